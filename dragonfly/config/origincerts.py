"""``originCerts`` of ``supernode.yml``: which certificates count with one origin."""

from __future__ import annotations

import attrs

from dragonfly.config import yamlfile
from dragonfly.config.registries import TRUST_KEYS, check_client_key
from dragonfly.config.values import Parser
from dragonfly.config.yamlfile import Entry
from dragonfly.errors import ConfigError
from dragonfly.hostnames import ascii_host
from dragonfly.hostport import DEFAULT_PORTS, host_port, parse_host_port

__all__ = ["OriginCert", "origin_certs"]


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
    port: int = DEFAULT_PORTS["https"]
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
            raise ConfigError(f"{item.where}: {host_port(*place)} comes twice in {section.key}")
        found[place] = OriginCert(host=host, port=port, **given)
    return tuple(found.values())


def _place(key: str, text: str) -> tuple[str, int]:
    host, port = parse_host_port(key, text)
    return _ascii(key, host), port or DEFAULT_PORTS["https"]


def _ascii(key: str, host: str) -> str:
    try:
        return ascii_host(host)
    except UnicodeError:
        raise ConfigError(f"{key}: {host!r} is no host name") from None


_KEYS: dict[str, tuple[str, Parser]] = {"host": ("place", _place), **TRUST_KEYS}
