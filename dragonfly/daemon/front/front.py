"""The front: takes connections of clients, has their requests answered, and lets go of them."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory

from dragonfly.daemon.front.connection import Connection
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.opening import Opener
from dragonfly.daemon.front.refusals import FULL, Refusal
from dragonfly.daemon.http.messages import Answer
from dragonfly.net.fanout import OneShot

__all__ = ["FrontFactory"]


class FrontFactory(Factory):
    """Speaks HTTP on the connections of one port.

    :param answer: answers each request; see :class:`~dragonfly.daemon.http.messages.Responder`.
        Requests of one connection are answered one after another.
    :param clock: for the limits in time, and for ``Date``.
    :param opener: answers CONNECT; without one it is refused.
    :param tls: what TLS is spoken with, if a client begins with that.
    """

    noisy = False

    def __init__(
        self,
        answer: Answer,
        *,
        clock: IReactorTime,
        limits: FrontLimits | None = None,
        opener: Opener | None = None,
        tls: CertificateOptions | None = None,
    ) -> None:
        self.opener = opener
        self.tls = tls
        self._answer = answer
        self._clock = clock
        self._limits = limits or FrontLimits()
        self._open: set[Connection] = set()
        self.draining = False
        self._empty: OneShot[None] = OneShot()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def startFactory(self) -> None:
        """Take connections, again if it was drained before."""
        self.draining = False
        self._empty = OneShot()

    def buildProtocol(self, addr: IAddress | None) -> Connection | None:  # noqa: ARG002
        """Take one connection; while draining there are no new ones.

        Who is one too many is told so, which takes seconds; who is twice too many is not.
        """
        if self.draining or len(self._open) >= 2 * self._limits.connections:
            return None
        return self._connection("")

    def drain(self) -> Deferred[None]:
        """Close idle connections now, and busy ones after the answer that they are at.

        A connection on which part of a request has come is busy. The Deferred fires when
        none is left; there is no limit in time, see :meth:`abort`. Cancelling it stops the
        waiting only.
        """
        self.draining = True
        for connection in list(self._open):
            connection.leave()
        self._look()
        return self._empty.wait()

    def abort(self) -> None:
        """Cut all connections; their answers learn that the client is gone."""
        for connection in list(self._open):
            connection.abort()

    # -- for the connections ------------------------------------------------------

    def connection_made(self, connection: Connection) -> Refusal | None:
        """One more; or why there may not be."""
        self._open.add(connection)
        return FULL if len(self._open) > self._limits.connections else None

    def connection_lost(self, connection: Connection) -> None:
        """It is gone."""
        self._open.discard(connection)
        self._look()

    def connection_replaced(self, connection: Connection) -> None:
        """Another one begins on the same transport, and counts for it."""
        self._open.discard(connection)

    def secured(self, options: CertificateOptions, tunnel: str) -> IProtocol:
        """Make what speaks TLS on a connection, and HTTP inside."""
        inner = Factory.forProtocol(lambda: self._connection(tunnel))
        inner.noisy = False
        return TLSMemoryBIOFactory(options, False, inner, self._clock).buildProtocol(None)

    def _connection(self, tunnel: str) -> Connection:
        return Connection(
            self._answer, clock=self._clock, limits=self._limits, owner=self, tunnel=tunnel
        )

    def _look(self) -> None:
        if self.draining and not self._open:
            self._empty.fire(None)
