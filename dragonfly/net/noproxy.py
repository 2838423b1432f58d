"""``NO_PROXY``: which destinations are asked without a proxy, as Go's HTTP clients read it.

An entry is a host and all below it (``example.com``), only what is below it
(``.example.com``, ``*.example.com``), an address, a network (``10.0.0.0/8``), any of these but
networks with a port (``example.com:5000``, ``[fd00::1]:5000``), or ``*`` for everything.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import attrs

from dragonfly.hostnames import ascii_host

__all__ = ["Exemptions", "parse_exemptions"]

_Address = IPv4Address | IPv6Address
_PORT = re.compile(r"(.+):([0-9]{1,5})")


@attrs.frozen(kw_only=True)
class _Entry:
    """One entry: a network, or a name and what is below it.

    :ivar below: begins with a dot.
    """

    port: int | None = None
    network: IPv4Network | IPv6Network | None = None
    name: str | None = None
    below: str = ""

    def covers(self, host: str, address: _Address | None, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return host == self.name or (address is None and host.endswith(self.below))


@attrs.frozen
class Exemptions:
    """What ``NO_PROXY`` says.

    :ivar everything: no destination has a proxy.
    """

    entries: tuple[_Entry, ...] = ()
    everything: bool = False

    def cover(self, host: str, address: _Address | None, port: int) -> bool:
        """Tell whether that destination is asked without a proxy.

        :param host: lower-case, ASCII, without a dot at its end.
        :param address: the same, if it is an address.
        """
        return self.everything or any(e.covers(host, address, port) for e in self.entries)


def parse_exemptions(text: str) -> Exemptions:
    """Read the value; entries are separated by commas or blanks, and senseless ones match
    nothing."""
    words = re.split(r"[\s,]+", text.lower())
    if "*" in words:
        return Exemptions(everything=True)
    return Exemptions(tuple(entry for entry in map(_entry, words) if entry is not None))


def _entry(word: str) -> _Entry | None:
    network = _network(word)
    if network is not None:
        return _Entry(network=network)
    host, port = word, None
    if (match := _PORT.fullmatch(word)) is not None:
        host, port = match[1], int(match[2])
        network = _network(host) if "/" not in host else None
        if network is not None:
            return _Entry(network=network, port=port)
    return _named(_ascii(host.rstrip(".")), port)


def _named(host: str, port: int | None) -> _Entry | None:
    host = host.removeprefix("*") if host.startswith("*.") else host
    if not host.strip("."):
        return None
    if host.startswith("."):
        return _Entry(below=host, port=port)
    return _Entry(name=host, below=f".{host}", port=port)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None


def _ascii(host: str) -> str:
    try:
        return ascii_host(host)
    except UnicodeError:
        return host
