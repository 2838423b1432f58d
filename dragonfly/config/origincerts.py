"""``originCerts`` of ``supernode.yml``: which certificates count with one origin."""

from __future__ import annotations

import re

import attrs

from dragonfly.config import values, yamlfile
from dragonfly.config.registries import TRUST_KEYS, check_client_key
from dragonfly.config.values import Parser
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
    for item in yamlfile.mappings(section):
        given = yamlfile.fields(item, _KEYS)
        if "place" not in given:
            raise ConfigError(f"{item.where}: originCerts: an entry names no host")
        check_client_key(item, given)
        host, port = place = given.pop("place")
        if place in found:
            raise ConfigError(f"{item.where}: {host}:{port} comes twice in {section.key}")
        found[place] = OriginCert(host=host, port=port, **given)
    return tuple(found.values())


def _place(key: str, text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None:
        raise ConfigError(f"{key}: {text!r} is not of the form host[:port]")
    port = _HTTPS_PORT if match[3] is None else values.number(key, match[3], 1, 65535)
    return _ascii(key, match[1] or match[2]), port


def _ascii(key: str, host: str) -> str:
    try:
        return (host if host.isascii() else host.encode("idna").decode("ascii")).lower()
    except UnicodeError:
        raise ConfigError(f"{key}: {host!r} is no host name") from None


_KEYS: dict[str, tuple[str, Parser]] = {"host": ("place", _place), **TRUST_KEYS}
