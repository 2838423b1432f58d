"""The reading end of an HTTP body: pausable, cancellable, checked.

treq's and Twisted's own readers neither push back, nor stop the transfer when
they are cancelled, nor notice a body that was cut short without an announced
length.  This one does, and it watches for silence.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from dragonfly.errors import OriginTruncated
from dragonfly.net.readsize import read_at_most
from dragonfly.net.reasons import cause

__all__ = ["BodySink"]

# A transport that is paused does not see the other side go away, so no pause is
# for ever.  Ten minutes is far above any wait for a disk or a rate limit.
LONGEST_PAUSE_S = 600.0


class BodySink(Protocol):
    """Hands each chunk of a body to *on_data* and tells in :attr:`done` how it ended.

    :param on_data: called with each chunk (``bytes``) as it comes.  It may call
        :meth:`pause`, :meth:`resume` or cancel :attr:`done`; if it raises, the
        transfer is stopped and ``done`` fails with what it raised.
    :param expected: how many bytes must come; ``None`` if nobody knows, then the
        framing alone tells where the body ends.
    :param stall_s: seconds of silence after which the transfer has failed.  Time
        in which we paused it ourselves does not count.
    :param what: names the body in errors; must be fit for logs.

    :attr:`done` fires with the number of bytes, or fails with
    :class:`~dragonfly.errors.OriginTruncated` naming both numbers.  Cancelling
    it closes the connection: not a byte more reaches *on_data*.
    """

    def __init__(
        self,
        on_data: Callable[[bytes], object],
        *,
        clock: IReactorTime,
        expected: int | None = None,
        stall_s: float = 30.0,
        what: str = "",
    ) -> None:
        self.expected = expected
        self.received = 0
        self.what = what
        self.done: Deferred[int] = Deferred(lambda _: self._stop())
        self._on_data = on_data
        self._clock = clock
        self._stall_s = stall_s
        self._producer: IPushProducer | None = None
        self._timer: IDelayedCall | None = None
        self._most: int | None = None
        self._paused = False
        self._ended = False

    # -- for whoever consumes ---------------------------------------------------

    @property
    def paused(self) -> bool:
        """True between :meth:`pause` and :meth:`resume`."""
        return self._paused

    def pause(self) -> None:
        """Stop reading from the connection; a few chunks already read may still come."""
        if not self._paused and not self._ended:
            self._paused = True
            if self._producer is not None:
                self._producer.pauseProducing()
                self._watch()

    def resume(self) -> None:
        """Go on reading."""
        if self._paused and not self._ended:
            self._paused = False
            if self._producer is not None:
                self._watch()
                self._producer.resumeProducing()

    def read_at_most(self, count: int) -> None:
        """Let one read of the connection bring no more bytes than that, if it can be told so."""
        self._most = count
        if self._producer is not None:
            read_at_most(self._producer, count)

    # -- Protocol ---------------------------------------------------------------

    def makeConnection(self, transport: object) -> None:
        """Take the response's transport; one that is wanted no more is closed at once."""
        producer = IPushProducer(transport)
        if self._ended:
            producer.stopProducing()
            return
        self._producer = producer
        if self._most is not None:
            read_at_most(producer, self._most)
        self._watch()
        if self._paused:
            producer.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        """Pass one chunk on, unless it is one too many."""
        if self._ended:
            return
        self.received += len(data)
        if self._paused and self._producer is not None:
            self._producer.pauseProducing()  # who delivers a body resumes it once, unasked
        if self.expected is not None and self.received > self.expected:
            self._fail(f"more than the announced {self.expected} bytes came")
            return
        self._watch()
        try:
            self._on_data(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is the transfer's result
            self._end(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Judge whether this was the end of the body or a cut."""
        if self._ended:
            return
        self._producer = None
        if self.expected is not None and self.received != self.expected:
            self._fail(
                f"the body ended after {self.received} of {self.expected} bytes{_why(reason)}"
            )
        elif self.expected is None and not reason.check(ResponseDone, PotentialDataLoss):
            self._fail(f"the body was cut after {self.received} bytes{_why(reason)}")
        else:
            self._end(self.received)

    # -- the ends ---------------------------------------------------------------

    def _watch(self) -> None:
        wait_s = LONGEST_PAUSE_S if self._paused else self._stall_s
        if self._timer is not None:
            self._timer.reset(wait_s)
        else:
            self._timer = self._clock.callLater(wait_s, self._silent)

    def _silent(self) -> None:
        self._timer = None
        state = "was left paused" if self._paused else "fell silent"
        wait_s = LONGEST_PAUSE_S if self._paused else self._stall_s
        of = "" if self.expected is None else f" of {self.expected}"
        self._fail(f"the transfer {state} for {wait_s:g} s after {self.received}{of} bytes")

    def _fail(self, text: str) -> None:
        self._end(Failure(OriginTruncated(f"{self.what}: {text}" if self.what else text)))

    def _end(self, result: int | Failure) -> None:
        self._stop()
        if self.done.called:  # cancelled from inside on_data
            return
        if isinstance(result, Failure):
            self.done.errback(result)
        else:
            self.done.callback(result)

    def _stop(self) -> None:
        self._ended = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()


def _why(reason: Failure) -> str:
    if reason.check(ResponseDone, PotentialDataLoss):
        return ""
    return f" ({cause(reason)})"
