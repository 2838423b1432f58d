"""One client connection of the front: requests are read one after another, and answered in order.

A connection is in one phase at a time.  ``AWAITING``: for a request's head.  ``ANSWERING``:
somebody has the request; its body is read as he takes it, and the socket is read on as far as
may be, because only that shows that the client is gone.  ``DRAINING``: the answer is out, the
small rest of a body that nobody took is read and dropped.  ``LINGERING``: the last answer is
out; what still comes is dropped, because closing a socket with unread bytes resets it, and a
reset may take the answer from the client.  ``OPENING``: the client wants to be connected to
somewhere; what it sends already is kept.  ``PASSED_ON``: another protocol speaks on it, one of
TLS or of a tunnel.  ``CLOSED``: nothing counts any more.

A client that closes its sending side has hung up.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
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
from dragonfly.daemon.front.opening import Opening
from dragonfly.daemon.front.outflow import Outflow
from dragonfly.daemon.front.owner import ConnectionOwner
from dragonfly.daemon.front.refusals import CONNECT, CONNECT_BODY, SLOW_HEAD, TLS, Refusal
from dragonfly.daemon.front.requesthead import body_length
from dragonfly.daemon.front.requestreader import END, RequestReader
from dragonfly.daemon.front.tunnel import TunnelSide
from dragonfly.daemon.front.turn import Turn
from dragonfly.daemon.http.framing import frame_text
from dragonfly.daemon.http.marks import error_type
from dragonfly.daemon.http.messages import Answer, RequestHead
from dragonfly.net.addresses import plain_address
from dragonfly.net.reasons import cause
from dragonfly.net.watch import Watch

__all__ = ["Connection", "Phase"]


class Phase(Enum):
    """What a connection is doing."""

    AWAITING = "awaiting"
    ANSWERING = "answering"
    DRAINING = "draining"
    LINGERING = "lingering"
    OPENING = "opening"
    PASSED_ON = "passed on"
    CLOSED = "closed"


@implementer(IHandshakeListener)
class Connection(Protocol):
    """Speaks HTTP with one client.

    :param answer: answers each request.
    :param owner: told when the connection is made and when it is lost.
    :param tunnel: the ``host:port`` that the client believes to speak to, if that is not us.
    :ivar leaving: whether it is closed after the current answer.
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
        self.phase = Phase.AWAITING
        self.leaving = False
        self._answer = answer
        self._clock = clock
        self._limits = limits
        self._owner = owner
        self._tunnel = tunnel
        self._asked = False
        self._reading = True
        self._in_head = False
        self._lingered = 0
        self._soon: IDelayedCall | None = None
        self._late: Callable[[], None] = self._close
        self._watch = Watch(clock, self._too_late)
        self._turn: Turn | None = None
        self._opening: Opening | None = None
        self._heir: Any = None

    # -- Protocol -----------------------------------------------------------------

    def connectionMade(self) -> None:
        """Wait for the first request."""
        line: Any = self.transport
        self._line = line
        line.setTcpNoDelay(True)
        line.setTcpKeepAlive(True)
        self._client = plain_address(str(getattr(line.getPeer(), "host", "")))
        self._shaking = self._over_tls = INegotiated.providedBy(line)
        self._out = Outflow(line, clock=self._clock, stall_s=self._limits.write_stall_s)
        self._reader = RequestReader(
            client=self._client,
            limits=self._limits,
            tunnel=self._tunnel,
            secure=INegotiated.providedBy(line),
        )
        self.leaving = self._owner.draining
        refusal = self._owner.connection_made(self)
        if refusal is not None and self._shaking:
            self.abort()  # nothing can be said before the handshake, and that costs more than a no
        elif refusal is not None:
            self.refuse(refusal)
        elif self._shaking:
            self._wait(self._limits.head_s, self.abort)
        else:
            self._wait(self._limits.idle_s, self._close)

    def handshakeCompleted(self) -> None:
        """TLS is spoken: now the first request may take its time."""
        self._shaking = False
        if self.phase is Phase.AWAITING and not self._reader.begun:
            self._wait(self._limits.idle_s, self._close)

    def dataReceived(self, data: bytes) -> None:
        """Read what can be read now; hold the rest."""
        if self._heir is not None:
            self._heir.dataReceived(data)
        elif self.phase is Phase.LINGERING:
            self._lingered += len(data)
            if self._lingered > self._limits.linger_bytes:
                self._close()
        elif self.phase is not Phase.CLOSED and not self._broken:
            self._reader.receive(data)
            self._advance()
            self.mind_reading()

    def readConnectionLost(self) -> None:
        """In a tunnel an end may be that of one way only."""
        if self._heir is not None:
            self._heir.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """What we had to say is out."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell those who wait for this client."""
        self.phase = Phase.CLOSED
        self._watch.close()
        self._cancel_soon()
        producer = self._out.lost()
        if self._turn is not None:
            self._turn.gone(producer)
        if self._opening is not None:
            self._opening.lost()
        heir, self._heir = self._heir, None
        if heir is not None:
            heir.connectionLost(reason)
        if self._tunnel and not self._asked and self._owner.opener is not None:
            why = cause(reason) if self._shaking else ""
            self._owner.opener.unused(self._client, self._tunnel, why)
        self._owner.connection_lost(self)

    # -- for the factory ----------------------------------------------------------

    def leave(self) -> None:
        """Close: now if no request has begun, otherwise after its answer."""
        self.leaving = True
        if self.phase is Phase.AWAITING and not self._reader.begun:
            self._close()
        elif isinstance(self._heir, TunnelSide):
            self._heir.leave()

    def abort(self) -> None:
        """Cut it: what was not sent is dropped, and the client sees a reset."""
        self.phase = Phase.CLOSED
        self._watch.off()
        self._out.abort()

    # -- requests -----------------------------------------------------------------

    def _advance(self) -> None:
        if self.phase is Phase.AWAITING:
            self._read_head()
        elif self.phase is Phase.ANSWERING and self._turn is not None:
            self._turn.advance()
        elif self.phase is Phase.DRAINING:
            self._drain()
        elif self.phase is Phase.OPENING and self._opening is not None:
            self._opening.look_ahead()

    def _read_head(self) -> None:
        self._cancel_soon()
        event = self._reader.head()
        if event is TLS and self._owner.tls is not None and not self._over_tls:
            self.secure(self._owner.tls, "")
        elif isinstance(event, Refusal):
            self.refuse(event)
        elif event is not None and event.method == b"CONNECT":
            self._open(event)
        elif event is not None:
            self._begin(event)
        elif self._reader.begun and not self._in_head:
            self._in_head = True
            self._wait(self._limits.head_s, self._refuse_slow)

    def _begin(self, head: RequestHead) -> None:
        self.phase = Phase.ANSWERING
        self._asked = True
        self._in_head = False
        self._watch.off()
        self._turn = Turn(
            head,
            reader=self._reader,
            out=self._out,
            clock=self._clock,
            limits=self._limits,
            owner=self,
        )
        self._turn.begin(self._answer)

    def turn_over(self, stays: bool) -> None:
        """Go on with the next request, or close."""
        turn = self._turn
        if turn is None or not stays or self.leaving:
            self._out.when_taken(self._part)
        elif turn.body.ended:
            self._out.when_taken(self._next)
        elif turn.short:
            self.phase = Phase.DRAINING
            self._wait(self._limits.body_silence_s, self._close)
            self._drain()
        else:
            self._out.when_taken(self._part)

    def _drain(self) -> None:
        while self._watch.running and (event := self._reader.body()) is not None:
            if event is END or isinstance(event, Refusal):
                self._watch.off()
                self._out.when_taken(self._next if event is END else self._linger)
                return

    def _next(self) -> None:
        if self.leaving:
            self._part()
            return
        self.phase = Phase.AWAITING
        self._turn = None
        self._reader.next_request()
        self._wait(self._limits.idle_s, self._close)
        self.mind_reading()
        if self._reader.begun:
            # In a turn of its own: others get theirs between the requests of one client,
            # and a thousand of them do not answer each other inside the first one's finish.
            self._soon = self._clock.callLater(0, self._read_ahead)

    def _read_ahead(self) -> None:
        self._soon = None
        self._advance()
        self.mind_reading()

    def _cancel_soon(self) -> None:
        soon, self._soon = self._soon, None
        if soon is not None:
            soon.cancel()

    # -- connections to others ----------------------------------------------------

    def _open(self, head: RequestHead) -> None:
        opener = None if self._tunnel else self._owner.opener
        if opener is None or body_length(head) != 0:
            self.refuse(CONNECT if opener is None else CONNECT_BODY)
            return
        self.phase = Phase.OPENING
        self._in_head = False
        self._watch.off()
        self._opening = Opening(head, reader=self._reader, out=self._out, host=self)
        self._opening.begin(opener)

    def secure(self, options: CertificateOptions, tunnel: str) -> None:
        """Speak TLS from now on, and HTTP inside."""
        self._owner.connection_replaced(self)
        self.hand_over(self._owner.secured(options, tunnel))

    def hand_over(self, protocol: IProtocol) -> None:
        """Let another protocol speak from now on; it gets what was not read."""
        self.phase = Phase.PASSED_ON
        self._opening = None
        self._watch.close()
        self._cancel_soon()
        self._out.release()
        if not self._reading:
            self._reading = True
            self._line.resumeProducing()
        self._heir = protocol
        if IHalfCloseableProtocol.providedBy(protocol):
            alsoProvides(self, IHalfCloseableProtocol)
        protocol.makeConnection(self._line)
        rest = self._reader.rest()
        if rest and self._heir is not None:
            self._heir.dataReceived(rest)
        if self.leaving:
            self.leave()

    # -- reading ------------------------------------------------------------------

    @property
    def _broken(self) -> bool:
        return self._turn is not None and self._turn.broken

    def mind_reading(self) -> None:
        """Read as long as there is room: a socket that is not read hides the client's end."""
        wanted = self._has_room()
        done = self.phase in (Phase.CLOSED, Phase.PASSED_ON)
        if wanted is not self._reading and not done:
            self._reading = wanted
            (self._line.resumeProducing if wanted else self._line.pauseProducing)()

    def _has_room(self) -> bool:
        if self.phase is Phase.OPENING:
            return self._reader.held <= self._limits.held_bytes
        if self._turn is None or self._turn.broken or self.phase is Phase.LINGERING:
            return True
        if self._turn.body.flowing or self._turn.body.paused:
            return self._turn.body.flowing
        return self._reader.held <= self._limits.held_bytes

    # -- time, and the ends -------------------------------------------------------

    def _wait(self, seconds: float, late: Callable[[], None]) -> None:
        self._late = late
        self._watch.within(seconds)

    def _too_late(self) -> None:
        self._late()

    def _refuse_slow(self) -> None:
        self.refuse(SLOW_HEAD)

    def refuse(self, refusal: Refusal) -> None:
        """Answer with that, and end the connection."""
        if self.phase is Phase.CLOSED:
            return
        now, more = self._clock.seconds(), error_type(refusal.status)
        self._out.write(frame_text(refusal.status, refusal.text, now=now, more=more))
        self._linger()

    def _part(self) -> None:
        if self._turn is not None and self._turn.was_last and not self._reader.held:
            self._close()
        else:
            self._linger()

    def _linger(self) -> None:
        self.phase = Phase.LINGERING
        self._wait(self._limits.linger_s, self._close)
        self._out.half_close()
        self.mind_reading()

    def _close(self) -> None:
        self.phase = Phase.CLOSED
        self._watch.off()
        self._out.close()
