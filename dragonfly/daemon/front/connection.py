"""One client connection of the front: what is spoken on it, and by whom.

HTTP at first, by a :class:`~dragonfly.daemon.front.pipeline.Pipeline`; another protocol, one of
TLS or of a tunnel, has the transport as soon as it is handed over, and the connection only
passes on what it hears.

A client that closes its sending side has hung up.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.opening import Opener
from dragonfly.daemon.front.outflow import Outflow
from dragonfly.daemon.front.owner import ConnectionOwner
from dragonfly.daemon.front.pipeline import Pipeline
from dragonfly.daemon.front.refusals import Refusal
from dragonfly.daemon.front.requestreader import RequestReader
from dragonfly.daemon.front.tunnel import TunnelSide
from dragonfly.daemon.http.messages import Answer
from dragonfly.net.addresses import plain_address
from dragonfly.net.reasons import cause
from dragonfly.net.watch import Watch

__all__ = ["Connection"]


@implementer(IHandshakeListener)
class Connection(Protocol):
    """Has the requests of one client answered, for as long as it speaks HTTP.

    :param answer: answers each request.
    :param owner: told when the connection is made and when it is lost.
    :param tunnel: the ``host:port`` that the client believes to speak to, if that is not us.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        clock: IReactorTime,
        limits: FrontLimits,
        owner: ConnectionOwner,
        tunnel: str = "",
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._limits = limits
        self._owner = owner
        self._tunnel = tunnel
        self._reading = True
        self._handshake = Watch(clock, self.abort)
        self._heir: Any = None

    # -- Protocol -----------------------------------------------------------------

    def connectionMade(self) -> None:
        """Wait for the first request, or for TLS to be spoken."""
        line: Any = self.transport
        self._line = line
        line.setTcpNoDelay(True)
        line.setTcpKeepAlive(True)
        self._client = plain_address(str(getattr(line.getPeer(), "host", "")))
        self._shaking = self._over_tls = INegotiated.providedBy(line)
        self._pipeline = self._new_pipeline()
        self._pipeline.leaving = self._owner.draining
        self._begin(self._owner.connection_made(self))

    def handshakeCompleted(self) -> None:
        """TLS is spoken: now the first request may take its time."""
        self._shaking = False
        self._handshake.close()
        self._pipeline.begin()

    def dataReceived(self, data: bytes) -> None:
        """Let whoever speaks on it read."""
        if self._heir is not None:
            self._heir.dataReceived(data)
        else:
            self._pipeline.receive(data)

    def readConnectionLost(self) -> None:
        """In a tunnel an end may be that of one way only."""
        if self._heir is not None:
            self._heir.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """What we had to say is out."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell those who wait for this client."""
        self._handshake.close()
        self._pipeline.lost()
        heir, self._heir = self._heir, None
        if heir is not None:
            heir.connectionLost(reason)
        if self._tunnel and not self._pipeline.asked and self._owner.opener is not None:
            why = cause(reason) if self._shaking else ""
            self._owner.opener.unused(self._client, self._tunnel, why)
        self._owner.connection_lost(self)

    # -- for the factory ----------------------------------------------------------

    def leave(self) -> None:
        """Close: now if no request has begun, otherwise after its answer."""
        self._pipeline.leave()
        if isinstance(self._heir, TunnelSide):
            self._heir.leave()

    def abort(self) -> None:
        """Cut it: what was not sent is dropped, and the client sees a reset."""
        self._handshake.off()
        self._pipeline.abort()

    # -- PipelineHost -------------------------------------------------------------

    @property
    def opener(self) -> Opener | None:
        """Answers CONNECT, but not inside of another one."""
        return None if self._tunnel else self._owner.opener

    @property
    def tls(self) -> CertificateOptions | None:
        """What TLS is spoken with, but not inside of TLS."""
        return None if self._over_tls else self._owner.tls

    def read(self, wanted: bool) -> None:
        """Read the socket from now on, or do not."""
        if wanted is not self._reading:
            self._reading = wanted
            (self._line.resumeProducing if wanted else self._line.pauseProducing)()

    def secured(self, options: CertificateOptions, tunnel: str) -> IProtocol:
        """Make what speaks TLS from now on, and HTTP inside."""
        self._owner.connection_replaced(self)
        return self._owner.secured(options, tunnel)

    def hand_over(self, protocol: IProtocol, rest: bytes) -> None:
        """Let another protocol speak from now on; *rest* is for it."""
        self.read(True)
        self._heir = protocol
        if IHalfCloseableProtocol.providedBy(protocol):
            alsoProvides(self, IHalfCloseableProtocol)
        protocol.makeConnection(self._line)
        if rest and self._heir is not None:
            self._heir.dataReceived(rest)
        if self._pipeline.leaving:
            self.leave()

    # -- inside -------------------------------------------------------------------

    def _new_pipeline(self) -> Pipeline:
        limits = self._limits
        return Pipeline(
            self._answer,
            reader=RequestReader(
                client=self._client, limits=limits, tunnel=self._tunnel, secure=self._over_tls
            ),
            out=Outflow(self._line, clock=self._clock, stall_s=limits.write_stall_s),
            clock=self._clock,
            limits=limits,
            host=self,
        )

    def _begin(self, refusal: Refusal | None) -> None:
        if refusal is not None and self._shaking:
            self.abort()  # nothing can be said before the handshake, and that costs more than a no
        elif refusal is not None:
            self._pipeline.refuse(refusal)
        elif self._shaking:
            self._handshake.within(self._limits.head_s)
        else:
            self._pipeline.begin()
