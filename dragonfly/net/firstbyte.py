"""TLS and plain HTTP on one port, told apart by the first byte.

A TLS connection begins with a handshake record, type 22; no HTTP request and no
connection of the piece protocol can begin with that byte.
"""

from __future__ import annotations

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

__all__ = ["FirstByteFactory"]

TLS_HANDSHAKE = 0x16
# A client that connects speaks at once; this is for lost packets, not for thinking.
PATIENCE_S = 15.0


class FirstByteFactory(Factory):
    """Serves *plain* to those who speak it and to those who wrap it in TLS.

    :param tls: key and certificate.
    :param plain: makes the protocol for both; a ``Site`` sees TLS connections
        as secure.
    :param clock: for the deadline.
    :param patience_s: seconds in which the first byte must come.

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
    ) -> None:
        self.clock = clock
        self.patience_s = patience_s
        self.open: set[FirstByteProtocol] = set()
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

    def connectionMade(self) -> None:
        """Start waiting."""
        self._factory.open.add(self)
        self._deadline = self._factory.clock.callLater(self._factory.patience_s, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """Choose by the first byte; pass everything on, that byte included."""
        if self._inner is None and not self._hand_over(data[0]):
            return
        if self._inner is not None:
            self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection."""
        self._factory.open.discard(self)
        self._stop_waiting()
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connectionLost(reason)

    def abort(self) -> None:
        """Close the connection without waiting for anything."""
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _hand_over(self, first: int) -> bool:
        self._stop_waiting()
        self._inner = self._factory.choose(first, self._addr)
        if self._inner is None or self.transport is None:
            self.abort()  # the factory takes no connection now
            return False
        self._inner.makeConnection(self.transport)
        return True

    def _too_late(self) -> None:
        self._deadline = None
        self.abort()

    def _stop_waiting(self) -> None:
        waiting, self._deadline = self._deadline, None
        if waiting is not None:
            waiting.cancel()
