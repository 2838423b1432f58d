"""Content to one HTTP client, while the CDN is still fetching it.

A push producer: bytes are read on the disk pool, a block ahead at most, and written while
the client takes them. What the CDN does not have yet is waited for; what it can never
deliver ends in a cut connection, never in a clean short body.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from dragonfly.net.calloff import call_off
from dragonfly.net.disk import DiskPool
from dragonfly.store.piecestore import TaskFile
from dragonfly.supernode.content import Content, State

__all__ = ["BLOCK_BYTES", "PATIENCE_S", "WRITE_BYTES", "ContentStream"]

BLOCK_BYTES = 1024 * 1024

WRITE_BYTES = 256 * 1024
"""Read, written and offered to the kernel at once; Twisted would offer 128 KiB and come back.
With more, a slow client would have to take more within :data:`PATIENCE_S`."""

PATIENCE_S = 60.0
"""twisted.web has no timeout while it answers: a client that takes nothing for so long
is cut off, or it would hold its producer for ever."""


def _read(file: TaskFile, begin: int, end: int) -> list[bytes]:
    """Read ``begin`` to ``end`` in writable blocks; blocks."""
    return [file.read(at, min(WRITE_BYTES, end - at)) for at in range(begin, end, WRITE_BYTES)]


@implementer(IPushProducer)
class ContentStream:
    """Writes bytes ``begin`` to ``end`` of a content to a request.

    :param end: ``None``: to the end, wherever that will be.
    """

    _log = Logger()

    def __init__(
        self,
        content: Content,
        request: Request,
        disk: DiskPool,
        clock: IReactorTime,
        *,
        begin: int = 0,
        end: int | None = None,
    ) -> None:
        self._content = content
        self._request = request
        self._disk = disk
        self._clock = clock
        self._cursor = begin
        self._end = end
        self._blocks: deque[bytes] = deque()
        self._reading = False
        self._paused = False
        self._cutting = False
        self._timer: IDelayedCall | None = None
        self._done: Deferred[None] | None = Deferred(lambda _: self._stop())

    def start(self) -> Deferred[None]:
        """Begin; the Deferred fires when the last byte was handed over, or the client left.

        Cancelling it stops.
        """
        done = self._done
        if done is None:
            raise RuntimeError("a stream is started once")
        self._content.listen(self)
        self._request.notifyFinish().addErrback(lambda _: self._finish())
        channel: Any = self._request.channel
        wire = getattr(channel.transport, "transport", channel.transport)  # below TLS
        wire.SEND_LIMIT = WRITE_BYTES
        self._request.registerProducer(self, True)
        self._pump()
        return done

    # -- IPushProducer ---------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The client has enough for now."""
        self._paused = True
        if self._timer is None and self._done is not None:
            self._timer = self._clock.callLater(PATIENCE_S, self._too_slow)

    def resumeProducing(self) -> None:
        """The client has taken what there was."""
        self._paused = False
        self._stop_timer()
        self._pump()

    def stopProducing(self) -> None:
        """The connection is gone; the request's own end, which follows, is ours too."""
        self._cutting = True
        self._blocks.clear()

    # -- ContentListener -------------------------------------------------------------

    def content_grew(self, content: Content, runs: Sequence[bytes]) -> None:  # noqa: ARG002
        """There may be more to send."""
        self._pump()

    def content_settled(self, content: Content) -> None:  # noqa: ARG002
        """It is all there, or will never be."""
        self._pump()

    # -- moving ----------------------------------------------------------------------

    def _pump(self) -> None:
        """Write until the client or the content has no more to give.

        ``write`` may pause or resume us from inside, so the cursor moves first. A version
        that failed gives nothing more, not even what was read already: its file may be
        another's by now.
        """
        if self._content.state is State.FAILED:
            self._cut()
        while self._done is not None and not self._paused and self._blocks:
            block = self._blocks.popleft()
            self._cursor += len(block)
            self._request.write(block)
        idle = not (self._blocks or self._reading or self._cutting)
        if self._done is not None and idle:
            self._advance()

    def _advance(self) -> None:
        content = self._content
        known_end = self._end if self._end is not None else content.length
        if known_end is not None and self._cursor >= known_end:
            self._finish()
            return
        there = content.held_bytes
        there = there if self._end is None else min(there, self._end)
        if content.file is not None and self._cursor < there:
            self._read(content.file, min(there, self._cursor + BLOCK_BYTES))

    def _read(self, file: TaskFile, end: int) -> None:
        self._reading = True
        file.retain()
        job = self._disk.run(("http", id(self)), _read, file, self._cursor, end)
        job.addBoth(self._released, file)
        job.addCallbacks(self._got, self._failed)

    def _released(self, result: list[bytes] | Failure, file: TaskFile) -> list[bytes] | Failure:
        self._reading = False
        file.release()
        return result

    def _got(self, blocks: list[bytes]) -> None:
        if not self._cutting:
            self._blocks.extend(blocks)
            self._pump()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.warn("reading for a client: {error}", error=failure.getErrorMessage())
        self._cut()

    # -- the ends --------------------------------------------------------------------

    def _too_slow(self) -> None:
        self._timer = None
        self._cut()

    def _cut(self) -> None:
        """End so that nobody takes what came for the whole; notifyFinish tells the rest."""
        self._blocks.clear()
        if self._cutting or self._done is None:
            return
        self._cutting = True
        channel: Any = self._request.channel
        channel.transport.abortConnection()

    def _finish(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._stop()
            done.callback(None)

    def _stop(self) -> None:
        self._done = None
        self._blocks.clear()
        self._stop_timer()
        self._content.unlisten(self)
        channel: Any = self._request.channel  # None when the client is gone
        if channel is not None and self._request.producer is self:
            self._request.unregisterProducer()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        call_off(timer)
