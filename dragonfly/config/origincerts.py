"""``originCerts`` of ``supernode.yml``: which certificates count with one origin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.yamlfile import Entry
from dragonfly.errors import ConfigError

__all__ = ["OriginCert", "origin_certs"]

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s/@?#:\[\]]+))(?::([0-9]{1,5}))?")
_HTTPS_PORT = 443


@attrs.frozen(kw_only=True)
class OriginCert:
    """What holds for one origin; all paths are of PEM files.

    :ivar host: lower-case, an IPv6 address without brackets.
    :ivar certs: whose authorities alone are believed; none: the system's.
    :ivar insecure: any certificate is believed.
    :ivar client_cert: with the certificate that is shown, and its chain.
    :ivar client_key: with its key, if it is not in the same file.
    """

    host: str
    port: int = _HTTPS_PORT
    certs: tuple[str, ...] = ()
    insecure: bool = False
    client_cert: str | None = None
    client_key: str | None = None


def origin_certs(section: Entry) -> tuple[OriginCert, ...]:
    """Read the list.

    :raises ConfigError: naming file, line and key; also where an origin comes twice.
    """
    found: dict[tuple[str, int], OriginCert] = {}
    for where, node in yamlfile.items(section):
        entries = list(yamlfile.entries(node, section.source, f"an entry of {section.key}"))
        each = _read(where, entries)
        if (each.host, each.port) in found:
            raise ConfigError(f"{where}: {each.host}:{each.port} comes twice in {section.key}")
        found[each.host, each.port] = each
    return tuple(found.values())


def _read(where: str, entries: list[Entry]) -> OriginCert:
    given: dict[str, Any] = {}
    for entry in entries:
        if entry.key not in _KEYS:
            raise yamlfile.unknown(entry, "originCerts", dict.fromkeys(_KEYS))
        given.update(_KEYS[entry.key](entry))
    if "host" not in given:
        raise ConfigError(f"{where}: originCerts: an entry names no host")
    if "client_key" in given and "client_cert" not in given:
        raise ConfigError(f"{where}: originCerts: client_key is given and client_cert is not")
    return OriginCert(**given)


def _host(entry: Entry) -> Iterator[tuple[str, Any]]:
    match = _HOST.fullmatch(entry.text())
    if match is None:
        raise ConfigError(f"{entry.where}: host: {entry.text()!r} is not of the form host[:port]")
    yield "host", _ascii(entry, match[1] or match[2])
    if match[3] is not None:
        yield "port", values.number(f"{entry.where}: host", match[3], 1, 65535)


def _ascii(entry: Entry, host: str) -> str:
    try:
        return (host if host.isascii() else host.encode("idna").decode("ascii")).lower()
    except UnicodeError:
        raise ConfigError(f"{entry.where}: host: {host!r} is no host name") from None


def _certs(entry: Entry) -> Iterator[tuple[str, Any]]:
    paths = yamlfile.texts(entry, "the name of a PEM file")
    yield "certs", tuple(values.path(f"{at}: certs", path) for at, path in paths)


def _insecure(entry: Entry) -> Iterator[tuple[str, Any]]:
    yield "insecure", values.truth(f"{entry.where}: insecure", entry.text())


def _path(entry: Entry) -> Iterator[tuple[str, Any]]:
    yield entry.key, values.path(f"{entry.where}: {entry.key}", entry.text())


_KEYS = {
    "host": _host,
    "certs": _certs,
    "insecure": _insecure,
    "client_cert": _path,
    "client_key": _path,
}
