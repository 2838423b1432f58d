"""Which requests go through the swarm, and which are sent elsewhere; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

import attrs

from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.errors import ConfigError

__all__ = ["LAYERS", "Rule", "Rules", "matched_text"]

LAYERS = r"^[^?]+/blobs/sha256[^?]*"
"""The path of a blob in a registry's API, and in storages that registries redirect to: layers,
and the configurations of images."""


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"rule {text!r} is not a regular expression: {error}") from None


def _is_place(_rule: object, _field: object, text: str) -> None:
    if text:
        parse_registry(text)


@attrs.frozen(kw_only=True)
class Rule:
    """What happens to requests for a URL that matches.

    :ivar regx: searched for in the absolute URL, path percent-decoded, query as it is.
    :ivar direct: they go straight on; else GETs and HEADs go through the swarm.
    :ivar use_https: they are asked over TLS.
    :ivar redirect: another host that is asked for the same, ``[http[s]://]host[:port]``; empty:
        the one that is named.
    """

    regx: re.Pattern[str] = attrs.field(converter=_compiled)
    direct: bool = False
    use_https: bool = False
    redirect: str = attrs.field(default="", validator=_is_place)

    def matches(self, text: str) -> bool:
        """Whether it is about the URL with that :func:`matched_text`."""
        return self.regx.search(text) is not None


_DEFAULT = Rule(regx=LAYERS)


class Rules:
    """Rules in their order, and behind them the one for layers: the first that matches counts.

    :raises ConfigError: an expression cannot be read; the text shows it.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = (*rules, _DEFAULT)

    def first(self, text: str) -> Rule | None:
        """The rule for a URL; ``None``: it goes straight on, where it would."""
        return next((each for each in self._rules if each.matches(text)), None)


def matched_text(scheme: str, netloc: str, target: bytes) -> str:
    """What expressions are searched for in: the absolute URL, its path percent-decoded."""
    path, query, rest = target.partition(b"?")
    text = f"{scheme}://{netloc}{unquote(path.decode('latin-1'))}"
    return text + (query + rest).decode("latin-1")
