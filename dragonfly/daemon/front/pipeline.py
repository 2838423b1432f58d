"""The requests of one connection: read one after another, and answered in order.

A pipeline is in one phase at a time.  ``AWAITING``: for a request's head.  ``ANSWERING``:
somebody has the request; its body is read as he takes it, and the socket is read on as far as
may be, because only that shows that the client is gone.  ``LINGERING``: the last answer is out;
what still comes is dropped.  ``OPENING``: the client wants to be connected to somewhere; what
it sends already is kept.  ``OVER``: the connection is closed, or speaks something else.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.internet.ssl import CertificateOptions

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.lingering import LingeringClose
from dragonfly.daemon.front.opening import Opener, Opening
from dragonfly.daemon.front.outflow import Outflow
from dragonfly.daemon.front.refusals import CONNECT, CONNECT_BODY, SLOW_HEAD, TLS, Refusal
from dragonfly.daemon.front.requesthead import body_length
from dragonfly.daemon.front.requestreader import RequestReader
from dragonfly.daemon.front.turn import Turn
from dragonfly.daemon.http.framing import frame_text
from dragonfly.daemon.http.marks import error_type
from dragonfly.daemon.http.messages import Answer, RequestHead
from dragonfly.net.watch import Watch

__all__ = ["Phase", "Pipeline", "PipelineHost"]


class Phase(Enum):
    """What a pipeline is doing."""

    AWAITING = "awaiting"
    ANSWERING = "answering"
    LINGERING = "lingering"
    OPENING = "opening"
    OVER = "over"


class PipelineHost(Protocol):
    """The connection.

    :ivar opener: answers CONNECT on it; ``None``: nobody.
    :ivar tls: what TLS is spoken with if the client begins with it; ``None``: that is refused.
    """

    @property
    def opener(self) -> Opener | None:
        """See above."""

    @property
    def tls(self) -> CertificateOptions | None:
        """See above."""

    def read(self, wanted: bool) -> None:
        """Read the socket from now on, or do not."""

    def secured(self, options: CertificateOptions, tunnel: str) -> IProtocol:
        """Make what speaks TLS from now on, and HTTP inside."""

    def hand_over(self, protocol: IProtocol, rest: bytes) -> None:
        """Let another protocol speak from now on; *rest* is for it."""


class Pipeline:
    """Speaks HTTP with one client.

    :ivar asked: whether there was a request.
    :ivar leaving: whether the connection is closed after the current answer.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        reader: RequestReader,
        out: Outflow,
        clock: IReactorTime,
        limits: FrontLimits,
        host: PipelineHost,
    ) -> None:
        self.phase = Phase.AWAITING
        self.asked = False
        self.leaving = False
        self._answer = answer
        self._reader = reader
        self._out = out
        self._clock = clock
        self._limits = limits
        self._host = host
        self._soon: IDelayedCall | None = None
        self._idle = Watch(clock, self.close)
        self._slow = Watch(clock, self._refuse_slow)
        self._lingering = LingeringClose(out, clock=clock, limits=limits)
        self._turn: Turn | None = None
        self._opening: Opening | None = None

    # -- for the connection ---------------------------------------------------------

    def begin(self) -> None:
        """Let the first request take its time, from now on."""
        if self.phase is Phase.AWAITING and not self._reader.begun:
            self._idle.within(self._limits.idle_s)

    def receive(self, data: bytes) -> None:
        """Read what can be read now; hold the rest."""
        if self.phase is Phase.LINGERING:
            self._lingering.drop(len(data))
        elif self.phase is not Phase.OVER and not (self._turn is not None and self._turn.broken):
            self._reader.receive(data)
            self._advance()
            self.mind_reading()

    def leave(self) -> None:
        """Close: now if no request has begun, otherwise after its answer."""
        self.leaving = True
        if self.phase is Phase.AWAITING and not self._reader.begun:
            self.close()

    def refuse(self, refusal: Refusal) -> None:
        """Answer with that, and end the connection."""
        if self.phase is Phase.OVER:
            return
        now, more = self._clock.seconds(), error_type(refusal.status)
        self._out.write(frame_text(refusal.status, refusal.text, now=now, more=more))
        self._linger()

    def close(self) -> None:
        """Send what waits, then close."""
        self.phase = Phase.OVER
        self._await_nothing()
        self._out.close()

    def abort(self) -> None:
        """Cut it: what was not sent is dropped, and the client sees a reset."""
        self.phase = Phase.OVER
        self._await_nothing()
        self._lingering.over()
        self._out.abort()

    def lost(self) -> None:
        """Tell those who wait for this client that it is gone."""
        self._end()
        self._lingering.over()
        producer = self._out.lost()
        if self._turn is not None:
            self._turn.gone(producer)
        if self._opening is not None:
            self._opening.lost()

    # -- requests -------------------------------------------------------------------

    def _advance(self) -> None:
        if self.phase is Phase.AWAITING:
            self._read_head()
        elif self.phase is Phase.ANSWERING and self._turn is not None:
            self._turn.advance()
        elif self.phase is Phase.OPENING and self._opening is not None:
            self._opening.look_ahead()

    def _read_head(self) -> None:
        self._cancel_soon()
        event = self._reader.head()
        if event is TLS and (options := self._host.tls) is not None:
            self.secure(options, "")
        elif isinstance(event, Refusal):
            self.refuse(event)
        elif event is not None and event.method == b"CONNECT":
            self._open(event)
        elif event is not None:
            self._begin(event)
        elif self._reader.begun and not self._slow.running:
            self._idle.off()
            self._slow.within(self._limits.head_s)

    def _begin(self, head: RequestHead) -> None:
        self.phase = Phase.ANSWERING
        self.asked = True
        self._await_nothing()
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
        self._out.when_taken(self._next if stays else self._part)

    def _next(self) -> None:
        if self.leaving:
            self._part()
            return
        self.phase = Phase.AWAITING
        self._turn = None
        self._reader.next_request()
        self._idle.within(self._limits.idle_s)
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

    # -- connections to others ------------------------------------------------------

    def _open(self, head: RequestHead) -> None:
        opener = self._host.opener
        if opener is None or body_length(head) != 0:
            self.refuse(CONNECT if opener is None else CONNECT_BODY)
            return
        self.phase = Phase.OPENING
        self._await_nothing()
        self._opening = Opening(head, reader=self._reader, out=self._out, host=self)
        self._opening.begin(opener)

    def secure(self, options: CertificateOptions, tunnel: str) -> None:
        """Speak TLS from now on, and HTTP inside."""
        self.hand_over(self._host.secured(options, tunnel))

    def hand_over(self, protocol: IProtocol) -> None:
        """Let another protocol speak from now on; it gets what was not read."""
        self._end()
        self._opening = None
        self._out.release()
        self._host.hand_over(protocol, self._reader.rest())

    # -- reading --------------------------------------------------------------------

    def mind_reading(self) -> None:
        """Read as long as there is room: a socket that is not read hides the client's end."""
        if self.phase is not Phase.OVER:
            self._host.read(self._has_room())

    def _has_room(self) -> bool:
        if self.phase is Phase.OPENING:
            return self._reader.held <= self._limits.held_bytes
        return self._turn is None or self.phase is Phase.LINGERING or self._turn.has_room

    # -- time, and the ends ---------------------------------------------------------

    def _await_nothing(self) -> None:
        self._idle.off()
        self._slow.off()

    def _refuse_slow(self) -> None:
        self.refuse(SLOW_HEAD)

    def _part(self) -> None:
        if self._turn is not None and self._turn.was_last and not self._reader.held:
            self.close()
        else:
            self._linger()

    def _linger(self) -> None:
        self.phase = Phase.LINGERING
        self._await_nothing()
        self._lingering.begin()
        self.mind_reading()

    def _end(self) -> None:
        self.phase = Phase.OVER
        self._idle.close()
        self._slow.close()
        self._cancel_soon()
