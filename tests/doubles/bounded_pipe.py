"""Two transports joined by a pipe of limited size, moved by hand.

Twisted's own in-memory transports never pause a push producer, so nothing about
back-pressure can be tested with them.  These do::

    a, b = BoundedPipe.pair(high=64 * 1024, low=16 * 1024)
    left.makeConnection(a)
    right.makeConnection(b)
    pump(a, b)              # until nothing moves any more

Writing beyond *high* calls the registered producer's ``pauseProducing`` inside
the ``write``, as real transports do; taking the queue down to *low* resumes it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["BoundedPipe", "pump"]


@implementer(ITCPTransport, IPushProducer)
class BoundedPipe:
    """One end.  What is written here waits until :meth:`move` brings it to the other end.

    :param high: bytes queued above which the producer is paused.
    :param low: bytes queued at or below which it is resumed.
    :param spill: bytes that still come through after the reader paused, as they
        do from TLS and from read buffers.
    """

    def __init__(self, high: int = 65536, low: int = 16384, spill: int = 0) -> None:
        self.high = high
        self.low = low
        self.spill = spill
        self.other: BoundedPipe = self
        self.protocol: IProtocol | None = None
        self.queued = bytearray()
        self.written = 0
        self.peak = 0
        """The longest the queue ever was."""
        self.reading = True
        self.connected = True
        self.disconnecting = False
        self.ending = False
        self.ended = False
        self.producer: Any = None
        self.producer_paused = False
        self.pauses = 0
        self.lose_after: int | None = None
        """Cut the connection when this many bytes written here were delivered."""
        self.delivered = 0
        self._streaming = True
        self._spilled = 0

    @classmethod
    def pair(
        cls, high: int = 65536, low: int = 16384, spill: int = 0
    ) -> tuple[BoundedPipe, BoundedPipe]:
        """Return both ends."""
        left, right = cls(high, low, spill), cls(high, low, spill)
        left.other, right.other = right, left
        return left, right

    def connect(self, protocol: IProtocol) -> None:
        """Give this end to *protocol*."""
        self.protocol = protocol
        protocol.makeConnection(self)

    # -- ITransport -----------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue *data*; like the real ones, take nothing but ``bytes``."""
        if not isinstance(data, bytes):
            raise TypeError(f"Data must be bytes, not {type(data).__name__}")
        if not self.connected or self.disconnecting or self.ending:
            return
        self.queued += data
        self.written += len(data)
        self.peak = max(self.peak, len(self.queued))
        self._maybe_pause()

    def writeSequence(self, data: Any) -> None:
        """Queue all of *data*."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once everything is written and no producer is registered."""
        self.disconnecting = True
        self.reading = False
        self._maybe_close()

    def abortConnection(self) -> None:
        """Close now; what is queued is lost."""
        if self.connected:
            self.queued.clear()
            self._lost(ConnectionAborted())
            self.other._lost(ConnectionLost())

    def loseWriteConnection(self) -> None:
        """The other end hears of the end once everything is written."""
        self.ending = True
        self._maybe_end()

    def getPeer(self) -> IPv4Address:
        """Return a made-up address."""
        return IPv4Address("TCP", "192.0.2.2", 40002)

    def getHost(self) -> IPv4Address:
        """Return a made-up address."""
        return IPv4Address("TCP", "192.0.2.1", 40001)

    def getTcpNoDelay(self) -> bool:
        """Return what was set."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Accept anything."""

    def getTcpKeepAlive(self) -> bool:
        """Return what was set."""
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Accept anything."""

    # -- the producer that writes here ------------------------------------------------

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take a producer; a second one is an error, as it is for real."""
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        self.producer, self._streaming = producer, streaming
        self.producer_paused = False
        if not self.connected:
            producer.stopProducing()
        elif not streaming:
            producer.resumeProducing()
        else:
            self._maybe_pause()

    def unregisterProducer(self) -> None:
        """Let the producer go."""
        self.producer = None
        self._maybe_close()

    def _maybe_pause(self) -> None:
        if self.producer is None or not self._streaming or self.producer_paused:
            return
        if len(self.queued) > self.high:
            self.producer_paused = True
            self.pauses += 1
            self.producer.pauseProducing()

    def _maybe_resume(self) -> None:
        if self.producer is None or len(self.queued) > self.low:
            return
        if self._streaming and self.producer_paused:
            self.producer_paused = False
            self.producer.resumeProducing()
        elif not self._streaming and not self.queued:
            self.producer.resumeProducing()

    # -- the reader at this end ---------------------------------------------------------

    def pauseProducing(self) -> None:
        """Stop reading."""
        if self.reading:
            self.reading = False
            self._spilled = 0

    def resumeProducing(self) -> None:
        """Go on reading."""
        if self.connected and not self.disconnecting:
            self.reading = True

    def stopProducing(self) -> None:
        """Close the connection."""
        self.loseConnection()

    # -- moving ---------------------------------------------------------------------------

    def move(self, most: int = 65536) -> int:
        """Bring at most *most* queued bytes to the other end; return how many went."""
        if not self.connected or not self.other.connected:
            return 0
        room = min(most, len(self.queued))
        if not self.other.reading:
            room = min(room, self.other.spill - self.other._spilled)
            if self.other.disconnecting:
                room = len(self.queued)  # nobody reads; it goes nowhere
        if self.lose_after is not None:
            room = min(room, self.lose_after - self.delivered)
        data = bytes(self.queued[: max(0, room)])
        if data:
            self._deliver(data)
        if self.lose_after is not None and self.delivered >= self.lose_after and self.connected:
            self.queued.clear()
            self._lost(ConnectionLost())
            self.other._lost(ConnectionLost())
        return len(data)

    def _deliver(self, data: bytes) -> None:
        del self.queued[: len(data)]
        self.delivered += len(data)
        if not self.other.reading:
            self.other._spilled += len(data)
        if self.other.protocol is not None and not self.other.disconnecting:
            self.other.protocol.dataReceived(data)
        self._maybe_resume()
        self._maybe_end()
        self._maybe_close()

    def _maybe_end(self) -> None:
        if not self.ending or self.ended or self.queued or not self.other.connected:
            return
        self.ended = True
        reader: Any = self.other.protocol
        if IHalfCloseableProtocol.providedBy(reader):
            reader.readConnectionLost()
        else:
            self.other._lost(ConnectionDone())

    def _maybe_close(self) -> None:
        if self.disconnecting and self.connected and not self.queued and self.producer is None:
            self._lost(ConnectionDone())
            self.other._lost(ConnectionDone())

    def _lost(self, why: Exception) -> None:
        if not self.connected:
            return
        self.connected = self.reading = False
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(why))


def pump(left: BoundedPipe, right: BoundedPipe, most: int = 65536, rounds: int = 100_000) -> int:
    """Move bytes both ways until nothing moves; return how many went."""
    total = 0
    for _ in range(rounds):
        moved = left.move(most) + right.move(most)
        total += moved
        if not moved:
            return total
    raise AssertionError(f"still moving after {rounds} rounds")
