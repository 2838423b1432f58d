"""Asking registries over connections that are used again."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar, cast

import h11
from OpenSSL import SSL
from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from dragonfly.daemon.http.hops import binds_connection
from dragonfly.daemon.http.messages import Headers, RequestBody
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.endpoints import Endpoints, RegistryEndpoints
from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.daemon.upstream.idlelinks import IdleLinks
from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.link import UpstreamLink
from dragonfly.errors import (
    AddressRefused,
    OriginError,
    OriginTimedOut,
    OriginTlsFailed,
    OriginUnreachable,
    OriginUntrusted,
)
from dragonfly.net.deadline import deadline
from dragonfly.net.fanout import OneShot
from dragonfly.net.proxies import Proxies, Proxy
from dragonfly.net.reasons import cause, innermost, untrusted

__all__ = ["Upstream"]

_LOGIN_TO_PROXY = 407
_P = TypeVar("_P")
_TIMED_OUT = (defer.TimeoutError, error.TimeoutError, error.TCPTimedOutError)

# RFC 9110, 9.2.2: what may be sent twice.
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"})


class Upstream:
    """The registries' client.  Header lines are sent and handed out as they are.

    It opens a connection for every request that finds none idle: whoever asks bounds how many
    there are.

    :param reactor: TCP, time and name resolution.
    :param endpoints: instead of those of the reactor.
    :param proxies: what registries are reached through; by default they are reached directly.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        limits: UpstreamLimits | None = None,
        endpoints: Endpoints | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._clock = reactor
        self._proxies = proxies or Proxies()
        self._limits = limits or UpstreamLimits()
        connect_s = self._limits.connect_s
        self._endpoints = endpoints or RegistryEndpoints(
            reactor, connect_s=connect_s, proxies=proxies
        )
        self._idle = IdleLinks(reactor, self._limits)
        self._links: set[UpstreamLink] = set()
        self._closed = False
        self._gone: OneShot[None] = OneShot()

    async def ask(
        self,
        registry: Registry,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: RequestBody | None = None,
        *,
        expects: bool = False,
    ) -> Exchange:
        """Send a request and return when the head of the final answer is here.

        :param headers: all of them, with ``Host`` and what frames the body.
        :param expects: they say ``Expect: 100-continue``: the body is held back until then.
        :raises OriginUnreachable: no connection, no answer in time, or it hung up; or so did
            the proxy, or wants a login.
        :raises OriginUntrusted: its certificate is not believed.
        :raises OriginError: what it answered is not HTTP, or this request is not.
        :raises ConfigError: a file that the registry's trust names cannot be used.

        An idempotent request whose body did not begin to flow is sent once more, on a new
        connection, if the registry hung up without a word: as it does when it gives up an idle
        connection at that moment.  Cancelling closes the connection.
        """
        proxy = None if registry.secure else self._proxy(registry)
        if proxy is not None:
            target, headers = _to_proxy(proxy, registry, target, headers)
        request = _request(registry, method, target, headers)
        repeatable = method in _IDEMPOTENT
        bodiless = body is None or body.length == 0 or expects
        recent_s = None if repeatable and bodiless else self._limits.recent_s
        link = self._idle.take(registry, within_s=recent_s)
        exchange = self._exchange(link or await self._dial(registry), headers)
        try:
            await exchange.begin(request, body, expects=expects)
        except OriginUnreachable:
            if not exchange.dropped or exchange.begun or not repeatable:
                raise
            exchange = self._exchange(await self._dial(registry), headers)
            await exchange.begin(request, body, expects=expects)
        if proxy is not None and exchange.status == _LOGIN_TO_PROXY:
            exchange.abort()  # it is our login that lacks: nothing for the client
            raise OriginUnreachable(f"{registry}: proxy {proxy} answered {exchange.status}")
        return exchange

    async def knock(self, registry: Registry) -> None:
        """Connect, and keep the connection for a request.

        :raises OriginUnreachable: no connection.
        :raises OriginTlsFailed: it speaks no TLS, and should.
        :raises OriginUntrusted: its certificate is not believed.
        :raises ConfigError: the file with the registry's authorities cannot be used.
        """
        self._keep(await self._dial(registry), True)

    async def connect(self, registry: Registry, factory: IProtocolFactory) -> None:
        """Connect over TCP, and no more; the protocol belongs to the caller.

        :raises OriginUnreachable: no connection.
        :raises AddressRefused: it is at an address that is not connected to.
        """
        self._check_open(registry)
        await self._limited(self._endpoints.plain(registry).connect(factory), registry)

    def close(self) -> Deferred[None]:
        """Close all connections, also those in use; fires when they are gone.

        Cancelling it stops the waiting only.
        """
        self._closed = True
        self._idle.close()
        for link in list(self._links):
            link.close()
        if not self._links:
            self._gone.fire(None)
        return self._gone.wait()

    # -- connections --------------------------------------------------------------------

    def _exchange(self, link: UpstreamLink, headers: Headers) -> Exchange:
        on_over = self._retire if binds_connection(headers) else self._keep
        return Exchange(link, self._clock, self._limits, on_over)

    def _keep(self, link: UpstreamLink, reusable: bool) -> None:
        if reusable and not self._closed:
            self._idle.put(link)
        else:
            link.retire()

    def _retire(self, link: UpstreamLink, _reusable: bool) -> None:
        link.retire()

    def _proxy(self, registry: Registry) -> Proxy | None:
        return self._proxies.proxy_for(registry.scheme, registry.host, registry.port)

    async def _dial(self, registry: Registry) -> UpstreamLink:
        self._check_open(registry)
        endpoint = self._endpoints.endpoint(registry)
        factory = Factory.forProtocol(lambda: self._link(registry))
        factory.noisy = False
        dialling = Deferred.fromCoroutine(_connect(endpoint, factory))
        return await self._limited(dialling, registry)

    def _limited(self, dialling: Deferred[_P], registry: Registry) -> Deferred[_P]:
        limited = deadline(dialling, self._limits.dial_s, self._clock)
        return limited.addErrback(_unreachable, registry)

    def _check_open(self, registry: Registry) -> None:
        if self._closed:
            raise OriginUnreachable(f"{registry}: it is not asked any more, we are stopping")

    def _link(self, registry: Registry) -> UpstreamLink:
        link = UpstreamLink(registry, self._clock, self._lost)
        self._links.add(link)
        return link

    def _lost(self, link: UpstreamLink) -> None:
        self._links.discard(link)
        self._idle.drop(link)
        if self._closed and not self._links:
            self._gone.fire(None)


async def _connect(endpoint: IStreamClientEndpoint, factory: Any) -> UpstreamLink:
    link = cast("UpstreamLink", await endpoint.connect(factory))
    try:
        await link.ready.wait()
    except BaseException:
        link.abort()
        raise
    return link


def _to_proxy(
    proxy: Proxy, registry: Registry, target: bytes, headers: Headers
) -> tuple[bytes, Headers]:
    """Target and headers of a request as the proxy wants them: RFC 9112, 3.2.2."""
    absolute = str(registry).encode("ascii") + (b"" if target == b"*" else target)
    if proxy.authorization is None:
        return absolute, headers
    login = (b"Proxy-Authorization", proxy.authorization.encode("ascii"))
    return absolute, (*headers, login)


def _request(registry: Registry, method: bytes, target: bytes, headers: Headers) -> h11.Request:
    try:
        return h11.Request(method=method, target=target, headers=list(headers))
    except h11.LocalProtocolError:
        raise OriginError(f"{registry}: the request cannot be sent as HTTP/1.1") from None


def _unreachable(failure: Failure, registry: Registry) -> NoReturn:
    failed = innermost(failure)
    if failure.check(CancelledError):
        failure.raiseException()
    if isinstance(failed, AddressRefused):
        raise failed
    kind: type[OriginUnreachable] = OriginUnreachable
    if untrusted(failure):
        kind = OriginUntrusted
    elif isinstance(failed, SSL.Error):
        kind = OriginTlsFailed
    elif isinstance(failed, _TIMED_OUT):
        kind = OriginTimedOut
    raise kind(f"{registry}: {cause(failure)}") from None
