"""Connecting to origins: only to addresses that may be fetched from, through a proxy or not.

Checking a name beforehand is no use: it may resolve to something else a moment
later.  So the check sits between name resolution and connecting, inside the
endpoint: :class:`~dragonfly.net.hostendpoint.HostEndpoint` asks its
reactor's name resolver and connects to the literal addresses that this resolver
reports, several in turn ("happy eyeballs").  Handing it a resolver that leaves
out the refused ones keeps all of that, and the address checked is the address
connected to, for redirect hops as well.

What a proxy makes of a name nobody here can see; addresses in URLs are checked
before it is asked.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from dragonfly.errors import AddressRefused
from dragonfly.hostport import host_port
from dragonfly.net.addresses import FetchPolicy, literal
from dragonfly.net.hostendpoint import HostEndpoint, WithResolver
from dragonfly.net.passage import ProxyEndpoint
from dragonfly.net.proxies import Proxies, Proxy

__all__ = ["CheckedEndpoints"]


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
        reactor = WithResolver(self._reactor, resolver)
        endpoint = HostEndpoint(reactor, self._host, self._port, self._timeout_s)
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

    For plain http behind a proxy it leads to the proxy, which is to be asked in absolute-form.

    :param reactor: real or memory reactor with a pluggable name resolver.
    :param trust: decides which certificates are believed.
    :param timeout_s: for each address that is tried.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        policy: FetchPolicy,
        trust: IPolicyForHTTPS,
        timeout_s: float,
        proxies: Proxies | None = None,
    ) -> None:
        self._reactor = reactor
        self._policy = policy
        self._trust = trust
        self._timeout_s = timeout_s
        self._proxies = proxies or Proxies()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return where to connect for *uri*.

        :raises AddressRefused: its address is refused, and it would go through a proxy.
        :raises OriginUnreachable: no certificate can be made out to a host of that name.
        """
        host = uri.host.decode("ascii")
        if uri.scheme == b"https":
            creator = self._trust.creatorForNetloc(uri.host, uri.port)
            return wrapClientTLS(creator, self.tunnel(host, uri.port))
        proxy = self._proxies.proxy_for("http", host, uri.port)
        if proxy is None:
            return self._direct(host, uri.port)
        return self._through(proxy, host)

    def tunnel(self, host: str, port: int) -> IStreamClientEndpoint:
        """Return the way to that port for any bytes: directly, or by CONNECT.

        :raises AddressRefused: as :meth:`endpointForURI` does.
        """
        proxy = self._proxies.proxy_for("https", host, port)
        if proxy is None:
            return self._direct(host, port)
        return self._through(proxy, host, host_port(host, port))

    def _direct(self, host: str, port: int) -> IStreamClientEndpoint:
        return _CheckedEndpoint(self._reactor, host, port, self._policy, self._timeout_s)

    def _through(
        self, proxy: Proxy, host: str, authority: str | None = None
    ) -> IStreamClientEndpoint:
        address = literal(host.rstrip("."))
        if address is not None:
            self._policy.check(address)
        return ProxyEndpoint(
            self._reactor,
            proxy,
            authority=authority,
            via=self._proxies.via,
            timeout_s=self._timeout_s,
        )
