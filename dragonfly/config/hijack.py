"""``hijack_https``: for which hosts connections through the proxy are opened, and with what."""

from __future__ import annotations

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.proxies import regx
from dragonfly.config.values import Parser
from dragonfly.config.yamlfile import Entry
from dragonfly.errors import ConfigError

__all__ = ["Hijack", "HijackHost", "hijack_https"]


@attrs.frozen(kw_only=True)
class HijackHost:
    """Hosts whose connections are opened.

    :ivar regx: searched for in ``host:port``.
    :ivar insecure: any certificate of theirs is believed.
    :ivar certs: PEM files whose authorities alone count for them; empty: the system's.
    """

    regx: str
    insecure: bool = False
    certs: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Hijack:
    """The authority that vouches for the hosts, PEM files of certificate and key."""

    cert: str
    key: str
    hosts: tuple[HijackHost, ...] = ()


_HOST_KEYS: dict[str, tuple[str, Parser]] = {
    "regx": ("regx", regx),
    "insecure": ("insecure", values.truth),
    "certs": ("certs[]", values.path),
}


def hijack_https(section: Entry) -> Hijack | None:
    """Read ``hijack_https``; ``None``: nothing is opened.

    :raises ConfigError: naming file and line.
    """
    found: dict[str, str] = {}
    hosts: tuple[HijackHost, ...] = ()
    for entry in yamlfile.entries(section.node, section.source, section.key):
        if entry.key == "hosts":
            hosts = tuple(_host(item) for item in yamlfile.mappings(entry))
        elif entry.key in ("cert", "key"):
            found[entry.key] = values.path(f"{entry.where}: {entry.key}", entry.text())
        else:
            raise yamlfile.unknown(entry, section.key, dict.fromkeys(("cert", "key", "hosts")))
    if not found and not hosts:
        return None
    for key in ("cert", "key"):
        if key not in found:
            raise ConfigError(f"{section.where}: hijack_https: {key} is missing")
    return Hijack(cert=found["cert"], key=found["key"], hosts=hosts)


def _host(item: Entry) -> HijackHost:
    found = yamlfile.fields(item, _HOST_KEYS)
    if "regx" not in found:
        raise ConfigError(f"{item.where}: hijack_https: a host has no regx")
    return HijackHost(**found)
