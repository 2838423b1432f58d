"""The way back for one request: an answer, framed and counted, or none at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IConsumer, IPullProducer, IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from dragonfly.daemon.front.outflow import Outflow
from dragonfly.daemon.http.framing import Framing, frame
from dragonfly.daemon.http.messages import Headers, RequestBody, RequestHead

__all__ = ["AnswerOwner", "ConnectionResponder"]


class AnswerOwner(Protocol):
    """The connection that an answer goes out on."""

    def may_stay(self) -> bool:
        """Whether it would take another request after this one."""

    def now(self) -> float:
        """Seconds since 1970."""

    def answered(self, stays: bool) -> None:
        """The answer is complete; *stays*: its framing lets another one follow."""

    def cut(self) -> None:
        """The answer cannot be completed: abort."""


@implementer(IConsumer)
class ConnectionResponder:
    """A :class:`~dragonfly.daemon.http.messages.Responder`."""

    _log = Logger()

    def __init__(
        self, head: RequestHead, body: RequestBody, *, outflow: Outflow, owner: AnswerOwner
    ) -> None:
        self.head = head
        self.body = body
        self.sent = 0
        self.status = 0
        self.over = False
        self._outflow = outflow
        self._owner = owner
        self._framing: Framing | None = None
        self._gone = False
        self._on_gone: list[Callable[[], None]] = []

    def on_gone(self, call: Callable[[], None]) -> None:
        """Call that (once, at once if so already) when the client is gone before the end."""
        if self._gone:
            call()
        elif not self.over:
            self._on_gone.append(call)

    def start(self, status: int, headers: Headers, *, reason: bytes = b"") -> None:
        """Send status line and headers.

        :raises OriginError: a line of it cannot be sent as HTTP; nothing was sent.
        :raises RuntimeError: an answer was started before.
        """
        if self.over:
            return
        if self._framing is not None:
            raise RuntimeError("the answer was started already")
        self._framing = frame(
            self.head,
            status,
            headers,
            reason=reason,
            stays=self._owner.may_stay(),
            now=self._owner.now(),
        )
        self.status = status
        self._outflow.write(self._framing.head)

    def write(self, data: bytes) -> None:
        """The next bytes of the body; the connection is aborted if they are too many."""
        if self.over or not data:
            return
        framing = self._started()
        if framing.bodiless:
            return
        if framing.length is not None and self.sent + len(data) > framing.length:
            self._log.warn(
                "answer cut: {length} bytes were announced, more came", length=framing.length
            )
            self._cut()
            return
        self.sent += len(data)
        if framing.chunked:
            self._outflow.write_all((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            self._outflow.write(data)

    def registerProducer(  # type: ignore[override] # the two kinds that there are
        self, producer: IPushProducer | IPullProducer, streaming: bool
    ) -> None:
        """Who writes hears when the client does not read; stopped at once when it is over."""
        if self.over:
            producer.stopProducing()
        else:
            self._outflow.register(producer, streaming)

    def unregisterProducer(self) -> None:
        """Nobody writes any more."""
        if not self.over:
            self._outflow.unregister()

    def finish(self) -> None:
        """The body is complete; aborts if it is shorter than announced."""
        if self.over:
            return
        framing = self._started()
        if not framing.bodiless and framing.length not in (None, self.sent):
            self._log.warn(
                "answer cut: {sent} of {length} bytes came", sent=self.sent, length=framing.length
            )
            self.abort()
            return
        self._end()
        if framing.chunked:
            self._outflow.write(b"0\r\n\r\n")
        self._owner.answered(framing.stays)

    def abort(self) -> None:
        """Cut the connection."""
        if not self.over:
            self._end()
            self._owner.cut()

    # -- for the connection -------------------------------------------------------

    def gone(self, producer: IPushProducer | None) -> None:
        """The connection is lost: *producer* and those who wait for that hear of it."""
        calls, self._on_gone = self._on_gone, []
        if not self.over:
            self.over = self._gone = True
        if producer is not None:
            calls.insert(0, producer.stopProducing)
        for call in calls:
            with self._log.failuresHandled("while telling that the client is gone"):
                call()

    def _end(self) -> None:
        self.over = True
        self._on_gone.clear()
        self._outflow.unregister()

    def _cut(self) -> None:
        # Its producer and whoever waits for on_gone hear of it with the connection's loss.
        self.over = self._gone = True
        self._owner.cut()

    def _started(self) -> Framing:
        if self._framing is None:
            raise RuntimeError("the answer was not started")
        return self._framing
