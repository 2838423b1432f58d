"""In order, while the download runs: verified bytes of a file pushed to a consumer."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.errors import StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.peer.uploads.upload import READ_BYTES, read_slices
from dragonfly.store.piecestore import TaskFile

__all__ = ["OrderedReader", "Ready"]


class Ready(Protocol):
    """What a reader must know of the download that it follows."""

    @property
    def file(self) -> TaskFile:
        """Where the bytes are."""

    def ready_to(self, begin: int) -> int:
        """Up to where bytes from ``begin`` on may be given out; ``begin`` if none."""

    @property
    def memory(self) -> bytes | None:
        """All bytes, if they are in memory and may be given out."""

    def reader_at(self, reader: OrderedReader, position: int | None) -> None:
        """``reader`` has come to ``position``; ``None``: it has ended."""

    def unreadable(self, error: StoreError) -> None:
        """Bytes that are ready cannot be read."""


@implementer(IPushProducer)
class OrderedReader:
    """Pushes the bytes ``begin`` to ``end`` of a running download, in order.

    Registers itself as the consumer's streaming producer, and unregisters at the end.
    :attr:`done` fires with the number of bytes when all were written; it fails when the
    download fails, the file cannot be read, or the consumer stops. Cancelling it stops.
    """

    def __init__(
        self, source: Ready, disk: DiskPool, consumer: IConsumer, begin: int, end: int | None
    ) -> None:
        self._source = source
        self._disk = disk
        self._consumer = consumer
        self._begin = begin
        self._position = begin
        self._read_to = begin
        self._end = end
        self._slices: deque[bytes] = deque()
        self._reading = False
        self._paused = False
        self._over = False
        self.done: Deferred[int] = Deferred(lambda _: self._finish(None))
        source.reader_at(self, begin)
        consumer.registerProducer(self, True)

    @property
    def end(self) -> int | None:
        """Where it ends; ``None`` while that is not known."""
        return self._end

    def advance(self, end: int | None = None) -> None:
        """More bytes are ready, or the ``end`` of the content became known."""
        if end is not None:
            self._end = end if self._end is None else min(self._end, end)
        self._work()

    def fail(self, error: Exception) -> None:
        """The download failed: so does the reading."""
        self._finish(Failure(error))

    # -- IPushProducer ------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The consumer has enough for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The consumer wants more."""
        self._paused = False
        self._work()

    def stopProducing(self) -> None:
        """The consumer is gone."""
        self._finish(Failure(ConnectionAbortedError("the reader went away")))

    # -- inside -------------------------------------------------------------------

    def _work(self) -> None:
        """Write what was read while the consumer takes it, then read on."""
        while self._slices and not self._paused and not self._over:
            data = self._slices.popleft()
            self._position += len(data)
            self._consumer.write(data)
        if self._over or self._slices:
            return
        self._source.reader_at(self, self._position)
        if self._end is not None and self._position >= self._end:
            self._finish(self._position - self._begin)
        elif not self._reading:
            self._read()

    def _read(self) -> None:
        ready = self._source.ready_to(self._position)
        if self._end is not None:
            ready = min(ready, self._end)
        length = min(READ_BYTES, ready - self._position)
        if length <= 0:
            return
        memory = self._source.memory
        if memory is not None:
            self._got([memory[self._position : self._position + length]])
            return
        self._reading = True
        file = self._source.file
        file.retain()

        def release(result: Any) -> Any:
            self._reading = False
            file.release()
            error = getattr(result, "value", None)
            if isinstance(error, StoreError):
                self._source.unreadable(error)
            return result

        job = self._disk.run(("read", self), read_slices, file, self._position, length)
        job.addBoth(release).addCallback(self._got).addErrback(self._finish)

    def _got(self, slices: list[bytes]) -> None:
        if not self._over:
            self._slices.extend(slices)
            self._work()

    def _finish(self, result: int | Failure | None) -> None:
        """End with a count, an error, or (cancelled) without a word."""
        if self._over:
            return
        self._over = True
        self._slices.clear()
        self._consumer.unregisterProducer()
        self._source.reader_at(self, None)
        if isinstance(result, Failure):
            self.done.errback(result)
        elif result is not None:
            self.done.callback(result)
