"""``proxies``: which requests go through the swarm, and where others are sent instead."""

from __future__ import annotations

import re

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.registries import remote
from dragonfly.config.values import Parser
from dragonfly.config.yamlfile import Entry
from dragonfly.errors import ConfigError

__all__ = ["ProxyRule", "proxy_rules", "regx"]


@attrs.frozen(kw_only=True)
class ProxyRule:
    """What happens to requests for a URL in which ``regx`` is found.

    :ivar use_https: it is asked over TLS, whatever the URL says.
    :ivar direct: straight on; else GETs go through the swarm.
    :ivar redirect: another ``[http[s]://]host[:port]`` that is asked; empty: the same.
    """

    regx: str
    use_https: bool = False
    direct: bool = False
    redirect: str = ""


def regx(key: str, text: str) -> str:
    """Read a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ConfigError(f"{key}: {text!r} is not a regular expression: {error}") from None
    return text


_KEYS: dict[str, tuple[str, Parser]] = {
    "regx": ("regx", regx),
    "use_https": ("use_https", values.truth),
    "direct": ("direct", values.truth),
    "redirect": ("redirect", remote),
}


def proxy_rules(section: Entry) -> tuple[ProxyRule, ...]:
    """Read ``proxies``.

    :raises ConfigError: naming file and line.
    """
    rules = []
    for item in yamlfile.mappings(section):
        found = yamlfile.fields(item, _KEYS)
        if "regx" not in found:
            raise ConfigError(f"{item.where}: proxies: a rule has no regx")
        rules.append(ProxyRule(**found))
    return tuple(rules)
