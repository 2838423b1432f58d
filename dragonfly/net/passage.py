"""The way through a proxy, as an endpoint."""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

import dragonfly
from dragonfly.errors import OriginUnreachable
from dragonfly.net.deadline import deadline
from dragonfly.net.fanout import OneShot
from dragonfly.net.hostendpoint import HostEndpoint
from dragonfly.net.proxies import Proxy
from dragonfly.net.reasons import cause
from dragonfly.net.trust import Trust

__all__ = ["ANSWER_S", "HEAD_BYTES", "ProxyEndpoint"]

ANSWER_S = 15.0
"""From a connection to the proxy until it has one to the origin; a request waits no longer than
20 s for both."""

HEAD_BYTES = 16 * 1024
"""Of the proxy's answer to CONNECT, which is one line, and perhaps a challenge."""


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """Connects to a proxy, and by ``CONNECT`` through it.

    The proxy's own address is the operator's choice and may be any.

    :param reactor: TCP, time and name resolution.
    :param authority: ``host:port`` to be connected with by the proxy; ``None``: the proxy
        itself is to be spoken with.
    :param via: the name of this process for ``Via``; empty: nothing is said.
    :param timeout_s: for each address of the proxy that is tried.
    """

    def __init__(
        self, reactor: Any, proxy: Proxy, *, authority: str | None, via: bytes, timeout_s: float
    ) -> None:
        self._reactor = reactor
        self._proxy = proxy
        self._authority = authority
        self._via = via
        where: IStreamClientEndpoint = HostEndpoint(reactor, proxy.host, proxy.port, timeout_s)
        if proxy.secure:
            creator = Trust().policy().creatorForNetloc(proxy.host.encode("ascii"), proxy.port)
            where = wrapClientTLS(creator, where)
        self._where = where

    def connect(
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803
    ) -> Deferred[IProtocol]:
        """Connect; the protocol is made when nothing stands between it and its other side.

        :raises OriginUnreachable: naming the proxy, and what it answered.

        Cancelling closes the connection.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        opening = Factory.forProtocol(lambda: _Passage(factory, self._proxy, self._request()))
        opening.noisy = False
        try:
            passage: Any = await self._where.connect(opening)
        except (CancelledError, error.ConnectingCancelledError):
            raise
        except Exception:  # noqa: BLE001 - Twisted and OpenSSL have dozens
            raise OriginUnreachable(f"proxy {self._proxy}: {cause(Failure())}") from None
        try:
            return await deadline(passage.opened.wait(), ANSWER_S, self._reactor)
        except defer.TimeoutError:
            passage.abort()
            text = f"proxy {self._proxy}: no answer in {ANSWER_S:g} s"
            raise OriginUnreachable(text) from None
        except BaseException:
            passage.abort()
            raise

    def _request(self) -> h11.Request | None:
        if self._authority is None:
            return None
        headers = [("Host", self._authority), ("User-Agent", f"dragonfly/{dragonfly.__version__}")]
        if self._proxy.authorization is not None:
            headers.append(("Proxy-Authorization", self._proxy.authorization))
        if self._via:
            headers.append(("Via", f"1.1 {self._via.decode('ascii')}"))
        return h11.Request(method="CONNECT", target=self._authority, headers=headers)


@implementer(IHandshakeListener)
class _Passage(Protocol):
    """Waits for the proxy to open the way, then hands everything to the protocol behind it.

    :ivar opened: fires with that protocol, or fails with OriginUnreachable.
    """

    def __init__(
        self, factory: IProtocolFactory, proxy: Proxy, request: h11.Request | None
    ) -> None:
        self.opened: OneShot[IProtocol] = OneShot()
        self._factory = factory
        self._proxy = proxy
        self._request = request
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._inner: Any = None
        self._over = False

    def abort(self) -> None:
        """Close at once."""
        self._over = True
        wire: Any = self.transport
        if wire is not None:
            wire.abortConnection()

    def connectionMade(self) -> None:
        """Over TLS the handshake comes first."""
        if not self._proxy.secure:
            self._begin()

    def handshakeCompleted(self) -> None:
        """The proxy is the one that it should be."""
        wire: Any = self.transport
        if not wire.disconnecting:
            self._begin()

    def dataReceived(self, data: bytes) -> None:
        """Pass on, or read the proxy's answer."""
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif not self._over:
            self._http.receive_data(data)
            self._read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass on, or say that the proxy hung up."""
        self._over = True
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._refuse(f"proxy {self._proxy}: {cause(reason)}")

    def _begin(self) -> None:
        if self._request is None:
            self._hand_over(b"")
            return
        wire: Any = self.transport
        head = self._http.send(self._request)
        self._http.send(h11.EndOfMessage())
        wire.write(head)

    def _read(self) -> None:
        try:
            event = self._http.next_event()
            while isinstance(event, h11.InformationalResponse):
                event = self._http.next_event()
        except h11.RemoteProtocolError:
            self._refuse(f"proxy {self._proxy}: its answer to CONNECT is not HTTP/1.1")
            return
        if isinstance(event, h11.Response):
            self._answered(event.status_code)

    def _answered(self, status: int) -> None:
        if 200 <= status < 300:  # any success: RFC 9110, 9.3.6
            self._hand_over(self._http.trailing_data[0])
            return
        authority = self._request.target.decode("ascii") if self._request is not None else ""
        self._refuse(f"proxy {self._proxy} answered {status} to CONNECT {authority}")

    def _hand_over(self, more: bytes) -> None:
        wire: Any = self.transport
        self._inner = self._factory.buildProtocol(wire.getPeer())
        self._inner.makeConnection(wire)
        self.opened.fire(self._inner)
        if more and not self._over:
            self._inner.dataReceived(more)

    def _refuse(self, text: str) -> None:
        if not self._over:
            self.abort()
        self.opened.fail(Failure(OriginUnreachable(text)))
