"""Which addresses are fetched from, and the certainty that it is those we connect to.

A supernode fetches URLs for others, so a URL must not lead it to a cloud's
metadata service, to its own loopback services, or anywhere else that only *it*
can reach.  Checking the name beforehand is no use: it may resolve to something
else a moment later.  So the check sits between name resolution and connecting,
inside the endpoint: :class:`~twisted.internet.endpoints.HostnameEndpoint` asks
its reactor's name resolver and connects to the literal addresses that this
resolver reports, several in turn ("happy eyeballs").  Handing it a resolver
that leaves out the refused ones keeps all of that, and the address checked is
the address connected to, for redirect hops as well.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import attrs
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from dragonfly.errors import AddressRefused

__all__ = ["CheckedEndpoints", "FetchPolicy", "is_loopback", "plain_address"]

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


@implementer(IResolutionReceiver)
class _Sieve:
    """Passes on the addresses that the policy allows; remembers why others are missing."""

    def __init__(self, receiver: IResolutionReceiver, policy: FetchPolicy) -> None:
        self._receiver = receiver
        self._policy = policy
        self.refused: str | None = None

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: IAddress) -> None:
        host: str = address.host  # type: ignore[attr-defined]
        kind = self._policy.refusal(host)
        if kind is None:
            self._receiver.addressResolved(address)
        else:
            self.refused = f"{host} is {kind} and is not fetched from"

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class _SievingResolver:
    """The reactor's resolver behind a :class:`_Sieve`; one per connection attempt."""

    def __init__(self, inner: IHostnameResolver, policy: FetchPolicy) -> None:
        self._inner = inner
        self._policy = policy
        self._sieve: _Sieve | None = None

    @property
    def refused(self) -> str | None:
        return None if self._sieve is None else self._sieve.refused

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        *args: Any,
        **kwargs: Any,
    ) -> IHostResolution:
        self._sieve = _Sieve(resolutionReceiver, self._policy)
        return self._inner.resolveHostName(self._sieve, *args, **kwargs)


@implementer(IReactorPluggableNameResolver)
class _WithResolver:
    """A reactor in everything but its name resolver."""

    def __init__(self, reactor: Any, resolver: IHostnameResolver) -> None:
        self._reactor = reactor
        self.nameResolver = resolver

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        before, self.nameResolver = self.nameResolver, resolver
        return before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IStreamClientEndpoint)
class _CheckedEndpoint:
    """Connects to a host's allowed addresses only."""

    def __init__(
        self, reactor: Any, host: str, port: int, policy: FetchPolicy, timeout_s: float
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._policy = policy
        self._timeout_s = timeout_s

    def connect(
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803
    ) -> Deferred[IProtocol]:
        resolver = _SievingResolver(self._reactor.nameResolver, self._policy)
        endpoint = HostnameEndpoint(
            _WithResolver(self._reactor, resolver), self._host, self._port, self._timeout_s
        )
        connecting = endpoint.connect(protocolFactory)
        return connecting.addErrback(self._explain, resolver)

    def _explain(self, failure: Failure, resolver: _SievingResolver) -> Failure:
        # No address was left to try: say what was wrong with those there were.
        if resolver.refused is not None and failure.check(error.DNSLookupError):
            return Failure(AddressRefused(f"{self._host}: {resolver.refused}"))
        return failure


@implementer(IAgentEndpointFactory)
class CheckedEndpoints:
    """What an Agent connects through: plain or TLS, to addresses that *policy* allows.

    :param reactor: real or memory reactor with a pluggable name resolver.
    :param trust: decides which certificates are believed.
    :param timeout_s: for each address that is tried.
    """

    def __init__(
        self, reactor: Any, *, policy: FetchPolicy, trust: IPolicyForHTTPS, timeout_s: float
    ) -> None:
        self._reactor = reactor
        self._policy = policy
        self._trust = trust
        self._timeout_s = timeout_s

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return where to connect for *uri*."""
        host = uri.host.decode("ascii")
        endpoint: IStreamClientEndpoint = _CheckedEndpoint(
            self._reactor, host, uri.port, self._policy, self._timeout_s
        )
        if uri.scheme == b"https":
            creator = self._trust.creatorForNetloc(uri.host, uri.port)
            return wrapClientTLS(creator, endpoint)
        return endpoint
