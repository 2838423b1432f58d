"""Two connections joined: what comes on one goes out on the other, unread.

Each side is the other's producer: one that does not take what is sent to it stops the reading
on the other. The end of what one side sends is passed on (a half-closed connection stays one);
a cut is passed on as a cut, so that nothing that was lost looks complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    INegotiated,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.net.watch import Watch

__all__ = ["QUIET_S", "Tunnel", "TunnelSide"]

QUIET_S = 1.0
"""When the front closes, a tunnel that was silent for so long is between two requests."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class TunnelSide(Protocol):
    """One of the two connections.

    :ivar count: bytes that came on it.
    """

    def __init__(self, tunnel: Tunnel) -> None:
        self.count = 0
        self.paused = False
        self.ended = False
        self.lost: Failure | None = None
        self.other: TunnelSide = self
        self._tunnel = tunnel

    @property
    def wire(self) -> Any:
        """The transport."""
        return self.transport

    # -- Protocol -----------------------------------------------------------------

    def connectionMade(self) -> None:
        """Nothing is read before the other side is there as well."""
        self.wire.setTcpNoDelay(True)
        self.wire.setTcpKeepAlive(True)
        self.wire.pauseProducing()
        self._tunnel.join()

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        self.count += len(data)
        if self.other.lost is None:
            self.other.wire.write(data)
        self._tunnel.mind()

    def readConnectionLost(self) -> None:
        """It will send no more: tell the other side, once all is out."""
        self.ended = True
        self.other.end_writing()
        self._tunnel.mind()
        if self.other.ended:
            self.finish()
            self.other.finish()

    def writeConnectionLost(self) -> None:
        """What ended the other side's sending is out."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone, and the other one goes with it."""
        self.lost = reason
        if reason.check(ConnectionDone):
            self.other.finish()
        else:
            if self.other.lost is None:
                self._tunnel.cut_by = self
            self.other.abort()
        self._tunnel.lost()

    # -- IPushProducer, for the other side's transport ------------------------------

    def pauseProducing(self) -> None:
        """The other side does not keep up."""
        self.paused = True
        self._read(False)

    def resumeProducing(self) -> None:
        """It has taken everything."""
        self.paused = False
        self._read(True)

    def stopProducing(self) -> None:
        """The other side is lost; its protocol hears of it, too."""

    def _read(self, wanted: bool) -> None:
        if self.lost is None and not self.ended:
            (self.wire.resumeProducing if wanted else self.wire.pauseProducing)()
        self._tunnel.mind()

    # -- the ends -----------------------------------------------------------------

    def join(self) -> None:
        """Begin to read, as fast as the other side takes it."""
        if self.lost is None and self.other.lost is None:
            self.other.wire.registerProducer(self, True)
            if not self.paused:
                self.wire.resumeProducing()

    def end_writing(self) -> None:
        """Send what waits, and then the end."""
        if self.lost is not None:
            return
        self.wire.unregisterProducer()
        if INegotiated.providedBy(self.transport):
            self.wire.loseConnection()  # TLS has an end of its own, for both ways
        else:
            self.wire.loseWriteConnection()

    def finish(self) -> None:
        """Send what waits, and close."""
        if self.lost is None and self.transport is not None:
            self.wire.unregisterProducer()
            self.wire.loseConnection()

    def abort(self) -> None:
        """Cut it."""
        if self.lost is None and self.transport is not None:
            self.wire.abortConnection()

    def leave(self) -> None:
        """Close as soon as nothing moves: the front closes."""
        self._tunnel.leave()


class Tunnel:
    """Joins :attr:`client` and :attr:`origin` as soon as both are connected.

    A tunnel in which nothing moves for :attr:`~FrontLimits.tunnel_idle_s` seconds is cut; so
    is one in which a side takes nothing, or only one side is left, for
    :attr:`~FrontLimits.write_stall_s`.

    :ivar why: why it was cut here.
    :ivar cut_by: the side whose connection was cut, and not by us.
    """

    def __init__(self, *, clock: IReactorTime, limits: FrontLimits) -> None:
        self.client = TunnelSide(self)
        self.origin = TunnelSide(self)
        self.client.other, self.origin.other = self.origin, self.client
        self.why = ""
        self.cut_by: TunnelSide | None = None
        self._limits = limits
        self._on_over: Callable[[], object] = lambda: None
        self._sides = (self.client, self.origin)
        self._leaving = self._closing = self._over = False
        self._watch = Watch(clock, self._too_late)

    def on_over(self, call: Callable[[], object]) -> None:
        """Call that once both are gone."""
        self._on_over = call

    def abort(self) -> None:
        """Cut both."""
        for side in self._sides:
            side.abort()

    def leave(self) -> None:
        """Close as soon as nothing moves."""
        self._leaving = True
        self.mind()

    # -- for the sides ----------------------------------------------------------------

    def join(self) -> None:
        """One more is there."""
        if self.client.transport is None or self.origin.transport is None:
            return
        if self.origin.lost is not None:
            self.client.finish()
        self.client.join()
        self.origin.join()
        self.mind()

    def mind(self) -> None:
        """Something moved, or stopped moving."""
        if not self._over:
            self._watch.within(self._limit_s())

    def lost(self) -> None:
        """One is gone; are both?"""
        if self._over or self.client.lost is None or self.origin.lost is None:
            return
        self._over = True
        self._watch.close()
        self._on_over()

    def _limit_s(self) -> float:
        if self._closing:
            return self._limits.linger_s
        if any(side.paused or side.ended or side.lost is not None for side in self._sides):
            return self._limits.write_stall_s
        return QUIET_S if self._leaving else self._limits.tunnel_idle_s

    def _too_late(self) -> None:
        limit_s = self._limit_s()
        if self._leaving and limit_s == QUIET_S:
            self._closing = True
            self.mind()
            for side in self._sides:
                side.finish()
            return
        self.why = f"nothing moved for {limit_s:g} s"
        self.abort()
