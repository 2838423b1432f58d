"""One request's turn on its connection: the body on its way in, the answer on its way out.

The turn lasts until the answer is complete and the body is read.  If nobody took the body, a
short rest of it is read and dropped, because that is cheaper than another connection.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IPushProducer, IReactorTime

from dragonfly.daemon.front.answering import have_answered
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.outflow import Outflow
from dragonfly.daemon.front.refusals import Refusal
from dragonfly.daemon.front.requestbody import IncomingBody
from dragonfly.daemon.front.requesthead import body_length, wants_to_stay
from dragonfly.daemon.front.requestreader import END, RequestReader
from dragonfly.daemon.front.responder import ConnectionResponder
from dragonfly.daemon.http.messages import Answer, RequestHead
from dragonfly.net.watch import Watch

__all__ = ["Turn", "TurnOwner"]

_GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"


class TurnOwner(Protocol):
    """The requests of the connection."""

    @property
    def leaving(self) -> bool:
        """Whether the connection will be closed after this answer in any case."""

    def mind_reading(self) -> None:
        """What is read, or not, has changed."""

    def turn_over(self, stays: bool) -> None:
        """Answer and body are complete; *stays*: another request may follow."""

    def close(self) -> None:
        """The answer is complete; the short rest of the body does not come."""

    def abort(self) -> None:
        """The answer cannot be completed."""


class Turn:
    """Joins the reader, the body and the responder of one request.

    :ivar broken: whether nothing that still comes can be believed to be HTTP.
    """

    def __init__(
        self,
        head: RequestHead,
        *,
        reader: RequestReader,
        out: Outflow,
        clock: IReactorTime,
        limits: FrontLimits,
        owner: TurnOwner,
    ) -> None:
        self.broken = False
        self.body = IncomingBody(body_length(head), self)
        self._responder = ConnectionResponder(head, self.body, outflow=out, owner=self)
        self._reader = reader
        self._out = out
        self._clock = clock
        self._limits = limits
        self._owner = owner
        self._watch = Watch(clock, self._too_late)
        self._pumping = False
        self._draining = False
        self._went_ahead = False

    def begin(self, answer: Answer) -> None:
        """Have the request answered."""
        if self.body.length == 0:
            self._reader.body()  # its end, which h11 wants to have said
            self.body.end()
        have_answered(answer, self._responder)

    def advance(self) -> None:
        """Pass on what has come of the body, as far as somebody wants it."""
        if self._draining:
            self._drain()
        elif not self._pumping:
            self._pumping = True
            try:
                self._pump()
            finally:
                self._pumping = False

    def gone(self, producer: IPushProducer | None) -> None:
        """The connection is lost; *producer* was writing the answer."""
        self._watch.close()
        self._responder.gone(producer)
        self.body.lose("the client hung up")

    @property
    def has_room(self) -> bool:
        """Whether more may be read: for the body as its receiver likes, ahead of it a little."""
        if self.broken:
            return True
        if self.body.flowing or self.body.paused:
            return self.body.flowing
        return self._reader.held <= self._limits.held_bytes

    @property
    def short(self) -> bool:
        """Whether the rest of the body is worth reading only to keep the connection."""
        rest = self.body.rest
        return rest is not None and rest <= self._limits.drain_bytes

    @property
    def was_last(self) -> bool:
        """Whether all is read, and the client said that it would send no more."""
        return self.body.ended and not self.broken and not wants_to_stay(self._responder.head)

    # -- AnswerOwner --------------------------------------------------------------

    def may_stay(self) -> bool:
        """Whether another request may follow, as far as is known before the answer's end."""
        if self._owner.leaving or self.broken or not wants_to_stay(self._responder.head):
            return False
        return self.body.taken or (self.short and not self._reader.awaits_go_ahead)

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.seconds()

    def answered(self, stays: bool) -> None:
        """The turn is over, but for a short rest of the body."""
        self._watch.close()
        self.body.lose("the answer was complete before it")
        stays = stays and not self.broken and not self._owner.leaving
        if stays and self.short and not self.body.ended:
            self._draining = True
            self._watch.within(self._limits.body_silence_s)
            self._drain()
        else:
            self._owner.turn_over(stays and self.body.ended)

    def cut(self) -> None:
        """The answer cannot be completed."""
        self._watch.close()
        self._owner.abort()

    # -- BodySource ---------------------------------------------------------------

    def body_wanted(self) -> None:
        """Read the body; tell a client that waits for it to send it."""
        waits = self._reader.awaits_go_ahead and not self._went_ahead
        if waits and not self._responder.status:
            self._went_ahead = True
            self._out.write(_GO_AHEAD)
        self.advance()
        self._owner.mind_reading()

    def body_unwanted(self) -> None:
        """Stop reading, but not for ever: it hides the client's end."""
        self._watch.within(self._limits.write_stall_s)
        self._owner.mind_reading()

    # -- the body -----------------------------------------------------------------

    def _pump(self) -> None:
        while self.body.flowing:
            event = self._reader.body()
            if event is None:
                self._watch.within(self._limits.body_silence_s)
                return
            self._watch.off()
            if event is END:
                self.body.end()
            elif isinstance(event, Refusal):
                self._lose(event.text)
            else:
                self.body.data(event)

    def _drain(self) -> None:
        while self._draining and (event := self._reader.body()) is not None:
            if event is END or isinstance(event, Refusal):
                self._draining = False
                self._watch.close()
                self._owner.turn_over(event is END)

    def _too_late(self) -> None:
        if self._draining:
            self._draining = False
            self._owner.close()
        elif self.body.paused:
            self._lose(f"it was left paused for {self._limits.write_stall_s:g} s")
        else:
            self._lose(f"nothing came for {self._limits.body_silence_s:g} s")

    def _lose(self, why: str) -> None:
        self.broken = True
        self.body.lose(why)
        self._owner.mind_reading()
