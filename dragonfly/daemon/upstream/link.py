"""One connection to a registry: HTTP/1.1 by h11, one exchange after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import h11
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.daemon.routing.registry import Registry
from dragonfly.net.calloff import call_off
from dragonfly.net.fanout import OneShot
from dragonfly.net.lastwords import hear_last_words

if TYPE_CHECKING:
    from dragonfly.daemon.upstream.exchange import Exchange

__all__ = ["MAX_HEAD", "UpstreamLink"]

# Bytes of a status line with its headers, and of the trailers of a body.  Registries stay below
# 8 KiB; servers in front of them add cookies and policies.
MAX_HEAD = 64 * 1024
# A registry that does not close its end after ours is not waited for longer.
CLOSE_S = 5.0


@implementer(IHandshakeListener)
class UpstreamLink(Protocol):
    """Carries the exchange that is attached to it; without one it is idle and still listens.

    :param clock: for the deadline of :meth:`retire`.
    :param on_lost: called once, when the connection is gone.

    :ivar ready: fires when requests may be sent (for TLS: after the handshake), or fails with
        what Twisted says of the lost connection.
    :ivar used: whether it has carried an exchange to its end.
    """

    def __init__(
        self, registry: Registry, clock: IReactorTime, on_lost: Callable[[UpstreamLink], None]
    ) -> None:
        self.registry = registry
        self.ready: OneShot[None] = OneShot()
        self.used = False
        self._clock = clock
        self._on_lost = on_lost
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._exchange: Exchange | None = None
        self._lost: Failure | None = None
        self._held = False
        self._paused = False
        self._pumping = False
        self._closing: IDelayedCall | None = None

    # -- for the exchange -----------------------------------------------------------

    @property
    def wire(self) -> Any:
        """The transport: what a producer of a request's body is registered with."""
        return self.transport

    def begin(self, exchange: Exchange, request: h11.Request) -> None:
        """Send the head of a request; what is heard from now on goes to *exchange*."""
        self._exchange = exchange
        self._held = False
        self._send(request)

    def send(self, data: bytes) -> None:
        """Send some of the request's body."""
        self._send(h11.Data(data=data))

    def send_end(self) -> None:
        """The request is complete."""
        self._send(h11.EndOfMessage())

    def hold(self) -> None:
        """Hand out nothing more for now, and read no further."""
        self._held = True
        if not self._pumping:
            self._read_or_pause()

    def flow(self) -> None:
        """Hand out what there is, and read on."""
        self._held = False
        self._pump()

    def release(self) -> bool:
        """Let the exchange go, which is over; return whether another one may follow."""
        self._exchange = None
        self.used = True
        more, _ = self._http.trailing_data  # beyond the end: it would pass for the next answer
        try:
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        self._read_or_pause()
        return not more and self._lost is None

    def abort(self) -> None:
        """Close at once; the exchange hears nothing any more."""
        self._exchange = None
        if self.transport is not None and self._lost is None:
            self.wire.abortConnection()

    def retire(self) -> None:
        """Close in good order, within :data:`CLOSE_S` seconds."""
        self._exchange = None
        if self._lost is None and self._closing is None:
            self._closing = self._clock.callLater(CLOSE_S, self.abort)
            self._read_or_pause()
            self.wire.loseConnection()

    def close(self) -> None:
        """Close at once; the exchange, if there is one, hears of it."""
        if self._exchange is not None:
            self._exchange.broken(Failure(ConnectionAborted()))
        elif self._closing is None:
            self.abort()

    # -- Protocol ---------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Without TLS that is all; with it the handshake comes first."""
        self.wire.setTcpNoDelay(True)  # small requests must not wait for acknowledgements
        self.wire.setTcpKeepAlive(True)
        hear_last_words(self.wire)
        if not self.registry.secure:
            self.ready.fire(None)

    def handshakeCompleted(self) -> None:
        """The registry's certificate is believed, unless the connection is closing already."""
        if not self.wire.disconnecting:
            self.ready.fire(None)

    def dataReceived(self, data: bytes) -> None:
        """Take some of the answer; an idle connection has none to expect."""
        if self._exchange is None:
            self.abort()
            return
        self._exchange.heard = True
        self._http.receive_data(data)
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Hand out what came before the end, if it is not held; then tell how it ended."""
        self._lost = reason
        closing, self._closing = self._closing, None
        call_off(closing)
        self.ready.fail(reason)
        if reason.check(ConnectionDone):  # only a proper end may be the end of a body
            self._http.receive_data(b"")
        self._on_lost(self)
        self._pump()

    # -- inside -----------------------------------------------------------------------

    def _send(self, event: h11.Event) -> None:
        pieces = self._http.send_with_data_passthrough(event)
        if pieces and self._lost is None:
            self.wire.writeSequence(pieces)

    def _pump(self) -> None:
        if self._pumping:  # the exchange calls us from inside an event
            return
        self._pumping = True
        try:
            while self._exchange is not None and not self._held and self._step(self._exchange):
                pass
        finally:
            self._pumping = False
        self._read_or_pause()

    def _step(self, exchange: Exchange) -> bool:
        """Hand out one event; return whether there may be more."""
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            too_long = error.error_status_hint == 431
            exchange.broken(self._lost, too_long=too_long)
            return False
        if isinstance(event, h11.Data):
            exchange.data(bytes(event.data))
        elif isinstance(event, h11.InformationalResponse):
            exchange.informed(event.status_code)
        elif isinstance(event, h11.Response):
            exchange.answered(event)
        elif isinstance(event, h11.EndOfMessage):
            self._held = True  # nothing that follows belongs to this exchange
            exchange.ended()
        else:
            if self._lost is not None:
                exchange.broken(self._lost)
            return False
        return True

    def _read_or_pause(self) -> None:
        pause = self._held and self._exchange is not None
        if pause == self._paused or self._lost is not None:
            return
        self._paused = pause
        if pause:
            self.wire.pauseProducing()
        else:
            self.wire.resumeProducing()
