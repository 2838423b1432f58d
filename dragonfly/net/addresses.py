"""Which addresses are fetched from; :mod:`dragonfly.net.endpoints` keeps to it.

A supernode fetches URLs for others, so a URL must not lead it to a cloud's
metadata service, to its own loopback services, or anywhere else that only *it*
can reach.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import attrs

from dragonfly.errors import AddressRefused

__all__ = ["FetchPolicy", "is_loopback", "literal", "plain_address"]

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

# Metadata and platform services that clouds put at addresses which are neither
# link-local nor otherwise special; the link-local ones are covered by the rule.
_METADATA = tuple(
    ip_network(text)
    for text in (
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle Cloud, old
        "fd00:ec2::/32",  # Amazon: metadata, time, credentials of containers
        "fd20:ce::254/128",  # Google Cloud
    )
)
# Prefixes whose addresses contain an IPv4 address that a gateway may unpack.
_TRANSLATED = tuple(
    IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")
)
_COMPATIBLE = IPv6Network("::/96")


def _inner(address: _Address) -> _Address:
    """Return the IPv4 address inside a mapped, translated or tunnelled IPv6 address."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    translated = any(address in network for network in _TRANSLATED)
    if inner is None and (translated or (address in _COMPATIBLE and int(address) > 0xFFFF)):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return address if inner is None else inner


ADDRESSES_KEPT = 16384
"""Texts whose meaning is remembered: a tracker looks at the same peers' addresses ten times in
each call, and reading one takes 5 µs. 3 MiB."""


def _parse(host: str) -> _Address:
    return ip_address(host.partition("%")[0])


def literal(host: str) -> str | None:
    """Return *host* as an address if it is one in any notation, also ``0x7f.1`` and
    ``2130706433``, which whoever connects takes for one; else ``None``."""
    try:
        return str(_parse(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


@lru_cache(ADDRESSES_KEPT)
def plain_address(host: str) -> str:
    """Return *host* with an IPv4-mapped IPv6 address as the IPv4 address it is.

    That is how a dual-stack listener reports IPv4 callers; anything that is not
    an address comes back as it is.
    """
    try:
        address = _parse(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return host if mapped is None else str(mapped)


@lru_cache(ADDRESSES_KEPT)
def is_loopback(host: str) -> bool:
    """True if *host* is an address of this machine's loopback, in any notation."""
    try:
        return _inner(_parse(host)).is_loopback
    except ValueError:
        return False


@attrs.frozen(kw_only=True)
class FetchPolicy:
    """Which addresses may be fetched from for one class of callers.

    Link-local and metadata addresses, multicast and the unspecified address:
    never.  Loopback: only with ``allow_loopback``, for callers who are on this
    machine's loopback themselves.  ``refused``: further networks that the
    operator rules out.  Private ranges are allowed: that is where registries are.
    """

    allow_loopback: bool = False
    refused: tuple[_Network, ...] = ()

    @classmethod
    def of(cls, *, allow_loopback: bool = False, refused: tuple[str, ...] = ()) -> FetchPolicy:
        """Make one from texts such as ``10.0.0.0/8``; ``ValueError`` if one is no network."""
        return cls(allow_loopback=allow_loopback, refused=tuple(map(ip_network, refused)))

    def refusal(self, host: str) -> str | None:
        """Say what kind of address *host* (a literal) is if it is refused, else ``None``."""
        outer = _parse(host)
        for address in {outer, _inner(outer)}:
            kind = self._kind(address)
            if kind is not None:
                return kind
        return None

    def check(self, host: str) -> None:
        """Raise :class:`~dragonfly.errors.AddressRefused` if *host* (a literal) is refused."""
        kind = self.refusal(host)
        if kind is not None:
            raise AddressRefused(f"{host} is {kind} and is not fetched from")

    def _kind(self, address: _Address) -> str | None:
        if address.is_unspecified:
            return "the unspecified address"
        if address.is_multicast:
            return "a multicast address"
        if address.is_link_local:
            return "a link-local address"
        if any(address in network for network in _METADATA):
            return "a metadata address"
        if address.is_loopback and not self.allow_loopback:
            return "a loopback address"
        if any(address in network for network in self.refused):
            return "in a network that the operator refuses"
        return _this_network(address)


def _this_network(address: _Address) -> str | None:
    # 0.0.0.0/8 reaches the host itself on Linux; 255.255.255.255 everyone near.
    if isinstance(address, IPv4Address) and (int(address) >> 24 == 0 or int(address) == 0xFFFFFFFF):
        return "no address of one host"
    return None
