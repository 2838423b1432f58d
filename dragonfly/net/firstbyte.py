"""TLS and plain HTTP on one port, told apart by the first byte.

A TLS connection begins with a handshake record, type 22; no HTTP request and no
connection of the piece protocol can begin with that byte.

A handshake costs about as much as what is asked over the connection, and the memory of
one. When thousands come at once, :data:`HANDSHAKES_MAX` of them shake hands at a time, in
the order in which they came: else all would go on in step, hold memory all the while, and
be served after the time that all of them take. Who has not said its part yet, the first record
as a whole, has no place among them, and who falls silent keeps it for a moment only.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from dragonfly.net.meter import Meter, MeteredTransport

__all__ = ["HANDSHAKES_MAX", "HANDSHAKE_S", "FirstByteFactory"]

HANDSHAKES_MAX = 16
"""TLS handshakes under way at once: enough for a LAN, where one takes a few milliseconds."""

HANDSHAKE_S = 0.5
"""A handshake that takes longer than this goes on, but is not waited for by others. Sixteen take
some 80 ms of a busy supernode, a far client some 300 ms for its second word; and sixteen who say
nothing more slow the others down to 32 handshakes a second."""

TLS_HANDSHAKE = 0x16
_RECORD_HEAD = 5
_RECORD_MAX = 16384
"""Bytes in a TLS record (RFC 8446, 5.1), so much is held at most while it is not whole."""

# A client that connects speaks at once; this is for lost packets, not for thinking.
PATIENCE_S = 15.0


class FirstByteFactory(Factory):
    """Serves *plain* to those who speak it and to those who wrap it in TLS.

    :param tls: key and certificate.
    :param plain: makes the protocol for both; a ``Site`` sees TLS connections
        as secure.
    :param clock: for the deadline.
    :param patience_s: seconds in which the first byte, or the first record of TLS, must come.
    :param meter: told of all bytes.

    Connections that are open when the port closes are aborted.
    """

    noisy = False

    def __init__(
        self,
        tls: IOpenSSLServerConnectionCreator | CertificateOptions,
        plain: IProtocolFactory,
        *,
        clock: IReactorTime,
        patience_s: float = PATIENCE_S,
        meter: Meter | None = None,
    ) -> None:
        self.clock = clock
        self.meter = meter
        self.patience_s = patience_s
        self.open: set[FirstByteProtocol] = set()
        self._handshakes: set[FirstByteProtocol] = set()
        self._line: deque[FirstByteProtocol] = deque()
        self._plain = plain
        self._tls = TLSMemoryBIOFactory(tls, False, plain, clock)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Make a protocol that waits for the first byte."""
        return FirstByteProtocol(self, addr)

    def choose(self, first: int, addr: IAddress | None) -> IProtocol | None:
        """Make the protocol for a connection that begins with the byte *first*."""
        if first == TLS_HANDSHAKE:
            return self._tls.buildProtocol(addr)
        return self._plain.buildProtocol(addr)  # type: ignore[arg-type]

    def may_begin(self, connection: FirstByteProtocol) -> bool:
        """Take *connection* on, or let it wait in line for its ``begin``."""
        if len(self._handshakes) >= HANDSHAKES_MAX:
            self._line.append(connection)
            return False
        self._handshakes.add(connection)
        return True

    def handshake_ended(self, connection: FirstByteProtocol) -> None:
        """*connection* is through, lost, or slow: others may begin."""
        self._handshakes.discard(connection)
        while self._line and len(self._handshakes) < HANDSHAKES_MAX:
            first = self._line.popleft()
            if first in self.open:
                self._handshakes.add(first)
                first.begin()

    def startFactory(self) -> None:
        """Start the wrapped factories."""
        self._tls.doStart()  # starts the plain one too

    def stopFactory(self) -> None:
        """Abort what is open and stop the wrapped factories."""
        for connection in list(self.open):
            connection.abort()
        self._tls.doStop()


class FirstByteProtocol(Protocol):
    """Waits for the first byte, then hands everything to the protocol it stands for."""

    def __init__(self, factory: FirstByteFactory, addr: IAddress | None) -> None:
        self._factory = factory
        self._addr = addr
        self._inner: IProtocol | None = None
        self._deadline: IDelayedCall | None = None
        self._held = bytearray()
        self._in_line = False
        self._young = False

    def connectionMade(self) -> None:
        """Start waiting."""
        self._factory.open.add(self)
        self._deadline = self._factory.clock.callLater(self._factory.patience_s, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """Choose by the first byte; pass everything on, that byte included."""
        if self._factory.meter is not None:
            self._factory.meter.received(len(data))
        if self._inner is not None:
            self._inner.dataReceived(data)
            self._grow_up()  # who speaks twice has done its part of the handshake
        else:
            self._held += data
            if not self._in_line:  # there one read at most comes after the pause
                self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection."""
        self._factory.open.discard(self)
        self._stop_waiting()
        self._held.clear()
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connectionLost(reason)
        self._grow_up()

    def begin(self) -> None:
        """It is this connection's turn to shake hands."""
        self._young = True
        self._deadline = self._factory.clock.callLater(HANDSHAKE_S, self._slow)
        if self.transport is not None:
            self.transport.resumeProducing()  # type: ignore[attr-defined]
        self._hand_over()

    def abort(self) -> None:
        """Close the connection without waiting for anything."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _look(self) -> None:
        """Go on, if there is enough to begin with."""
        if self._held[0] != TLS_HANDSHAKE:
            self._stop_waiting()
            self._hand_over()
        elif _has_record(self._held):
            self._stop_waiting()
            self._shake_hands()

    def _shake_hands(self) -> None:
        """Now, or when it is this connection's turn."""
        if self._factory.may_begin(self):
            self.begin()
        elif self.transport is not None:
            self._in_line = True
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def _hand_over(self) -> None:
        data, self._held = bytes(self._held), bytearray()
        self._inner = self._factory.choose(data[0], self._addr)
        if self._inner is None or self.transport is None:
            self.abort()  # the factory takes no connection now
            return
        meter, transport = self._factory.meter, self.transport
        self._inner.makeConnection(
            transport if meter is None else MeteredTransport(transport, meter)  # type: ignore[arg-type]
        )
        self._inner.dataReceived(data)

    def _slow(self) -> None:
        self._deadline = None
        self._grow_up()

    def _grow_up(self) -> None:
        """Let another one shake hands, once."""
        if self._young:
            self._young = False
            self._stop_waiting()
            self._factory.handshake_ended(self)

    def _too_late(self) -> None:
        self._deadline = None
        self.abort()

    def _stop_waiting(self) -> None:
        waiting, self._deadline = self._deadline, None
        if waiting is not None:
            waiting.cancel()


def _has_record(data: bytearray) -> bool:
    """Whether a TLS record is here as a whole; or TLS is to refuse it, since it is too long."""
    if len(data) < _RECORD_HEAD:
        return False
    length = int.from_bytes(data[3:_RECORD_HEAD], "big")
    return length > _RECORD_MAX or len(data) >= _RECORD_HEAD + length
