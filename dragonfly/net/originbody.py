"""The body of an origin's answer, before it flows."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IResponse

from dragonfly.net.drain import discard
from dragonfly.net.reply import OriginReply
from dragonfly.net.sink import BodySink

__all__ = ["OriginBody"]


class OriginBody:
    """A body that is there for the taking: deliver it or close it, exactly once.

    Until then its connection is paused and does not move.
    """

    def __init__(self, reply: OriginReply, response: IResponse, clock: IReactorTime) -> None:
        self.reply = reply
        self._response = response
        self._clock = clock

    @property
    def remaining(self) -> int | None:
        """How many bytes must come, ``None`` if the origin does not say."""
        if self.reply.status == 416:
            return 0
        end = self.reply.length if self.reply.end is None else self.reply.end
        return None if end is None else end - self.reply.start

    def deliver(self, sink: BodySink) -> Deferred[int]:
        """Let the bytes flow into *sink* and return its :attr:`~BodySink.done`.

        The sink learns how many bytes to expect, unless it was told already,
        and the name of the URL for its errors.
        """
        if sink.expected is None:
            sink.expected = self.remaining
        sink.what = sink.what or self.reply.shown_url
        if self.reply.status == 416:  # nothing is left; this body is an error page
            self.close()
            sink.connectionLost()
        else:
            self._response.deliverBody(sink)
        return sink.done

    def close(self) -> None:
        """Give the body up; its connection is closed unless the rest is short."""
        discard(self._response, self._clock)
