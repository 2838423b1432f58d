"""Answers requests from the store: bounded slots, one slice after another, never a pile.

What is still in memory is sent at once. Other blocks are read on the disk pool, cut into slices
there, and written while the connection takes them. A slot stays taken until the neighbour's host
has ACKed the bytes: on short round trips the kernel swallows a whole piece at once, and slots
that were freed then would bound nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import ErrorCode, StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.net.throttle import Throttle
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.uploads.draining import Draining
from dragonfly.peer.uploads.upload import READ_BYTES, Upload, read_slices
from dragonfly.sched.slots import UploadSlots
from dragonfly.store.piecestore import TaskFile
from dragonfly.wire.constants import SLICE_BYTES

_T = TypeVar("_T")

__all__ = ["LEAST_SLICE_BYTES", "SLICE_S", "Uploader"]

SLICE_S = 0.1
"""So long a slice may take at the rate limit: a longer one would be a burst."""

LEAST_SLICE_BYTES = 16 * 1024
"""Slices are not cut smaller for a rate limit; each is a frame, and a wake-up at both ends."""


class Uploader:
    """Sends pieces to neighbours; one for all tasks of a process.

    :param slots: who may be served now, who waits, who is told BUSY.
    :param on_served: called with (peer, file, bytes) for every slice handed to a connection.
    :param on_end: called with (peer, piece, begin, sent) when an answer has left its slot, or
        its place in line, for whatever reason but :meth:`drop`; must not call back.
    :param limit: what is sent keeps to it; each task has the same part.
    """

    _log = Logger()

    def __init__(
        self,
        slots: UploadSlots,
        clock: IReactorTime,
        disk: DiskPool,
        *,
        on_served: Callable[[PeerProtocol, TaskFile, int], None] | None = None,
        on_end: Callable[[PeerProtocol, int, int, bool], None] | None = None,
        limit: Throttle | None = None,
    ) -> None:
        self.slots = slots
        self._clock = clock
        self._disk = disk
        self._on_served = on_served
        self._on_end = on_end
        self._limit = limit if limit is not None else Throttle(clock)
        self._uploads: dict[PeerProtocol, dict[tuple[int, int], Upload]] = {}
        self._sending: dict[PeerProtocol, deque[Upload]] = {}
        self._draining = Draining(slots, clock, on_arrived=self._forget, on_free=self._start_next)

    # -- what the owner calls -----------------------------------------------------

    def serve(
        self, peer: PeerProtocol, file: TaskFile, piece: int, begin: int, length: int
    ) -> bool:
        """Answer a request for verified bytes of ``file``: now, soon, or with BUSY.

        The bytes must be on disk, verified and inside the piece. The file is retained until
        the answer is out. A store that cannot read them answers GONE.

        :return: whether it was taken (``False``: the neighbour was told BUSY).
        """
        earlier = self._uploads.get(peer, {}).get((piece, begin))
        if earlier is not None:
            if not earlier.over:
                return True
            self._end(earlier)
        verdict = self.slots.offer(peer, (piece, begin))
        if verdict == "busy":
            peer.session.reject(piece, begin, ErrorCode.BUSY)
            peer.flush()
            return False
        upload = Upload(peer, file, piece, begin, begin + length, begin)
        file.retain()
        self._uploads.setdefault(peer, {})[upload.key] = upload
        if verdict == "start":
            self._start(upload)
        else:
            self._draining.watch()
        return True

    def cancel(self, peer: PeerProtocol, piece: int, begin: int) -> None:
        """The neighbour no longer wants it: what is not sent yet is not sent."""
        upload = self._uploads.get(peer, {}).get((piece, begin))
        if upload is not None and upload not in self._draining:
            self._end(upload)

    def drop(self, peer: PeerProtocol) -> None:
        """The connection is gone: everything of it ends, its slots are free."""
        for upload in list(self._uploads.pop(peer, {}).values()):
            self._let_go(upload)
        self._sending.pop(peer, None)
        self.slots.remove(peer)
        self._start_next()

    def expect(self, more: bool) -> None:
        """Tell whether the owner waits for a free slot itself: then draining ones are watched."""
        self._draining.expect(more)

    def collect(self) -> None:
        """Free the slots of answers that have arrived since somebody last looked. To be called
        before :meth:`serve` when no slot is free; while requests wait a timer does it, too."""
        self._draining.collect()

    @property
    def active(self) -> int:
        """Requests taken and not yet done."""
        return sum(map(len, self._uploads.values()))

    def stop(self) -> None:
        """Drop everything; the connections themselves are the owner's."""
        for peer in list(self._uploads):
            self.drop(peer)
        self._draining.stop()

    # -- sending ------------------------------------------------------------------

    def _start(self, upload: Upload) -> None:
        upload.started = True
        upload.since = self._clock.seconds()
        peer = upload.peer
        peer.on_writable = lambda: self._pump(peer)
        self._sending.setdefault(peer, deque()).append(upload)
        length = upload.unread
        data = None
        if length <= SLICE_BYTES:
            data = upload.file.peek(upload.piece, upload.begin, length)
        if data is None:
            self._read(upload)
        else:
            upload.blocks.append(data)
            self._pump(peer)

    def _read(self, upload: Upload) -> None:
        """Fetch the next block of ``upload``, unless one is on its way or all is read.

        The job keeps the file for itself: it may outlive the connection it reads for.
        """
        length = min(READ_BYTES, upload.unread)
        if upload.reading or length <= 0:
            return
        upload.reading = True
        upload.file.retain()
        offset = upload.piece * upload.file.piece_size + upload.end - upload.unread
        job = self._disk.run(("read", upload.peer), read_slices, upload.file, offset, length)
        job.addBoth(self._read_done, upload)
        job.addCallbacks(
            self._got_block, self._read_failed, callbackArgs=(upload,), errbackArgs=(upload,)
        )
        job.addErrback(lambda failure: self._log.failure("answering a request", failure))

    def _read_done(self, result: _T, upload: Upload) -> _T:
        upload.reading = False
        upload.file.release()
        return result

    def _got_block(self, slices: list[bytes], upload: Upload) -> None:
        if not upload.over:
            upload.blocks.extend(slices)
            self._pump(upload.peer)

    def _read_failed(self, failure: Failure, upload: Upload) -> None:
        if upload.over or failure.check(CancelledError):
            return
        if not failure.check(StoreError, OSError):
            self._log.failure("reading piece {piece}", failure, piece=upload.piece)
        if upload.peer.is_open:
            upload.peer.session.reject(upload.piece, upload.begin, ErrorCode.GONE)
            upload.peer.flush()
        self._end(upload)

    def _pump(self, peer: PeerProtocol) -> None:
        """Write slices of the connection's oldest answer while it takes them.

        ``peer.writable`` may turn inside ``flush``, and a transport may drain or be lost
        there: the cursor moves before the write, and what comes after looks again.
        """
        sending = self._sending.get(peer)
        while sending and peer.writable and peer.is_open:
            upload = sending[0]
            if not upload.blocks:
                self._read(upload)
                return
            if not self._paid(upload):
                return
            self._send_slice(upload)
            if upload.over:
                continue
            if upload.cursor == upload.end:
                sending.remove(upload)
                self._sent(upload)
            elif len(upload.blocks) == 1:
                self._read(upload)

    def _send_slice(self, upload: Upload) -> None:
        data, upload.paid = upload.blocks.popleft(), 0
        begin, upload.cursor = upload.cursor, upload.cursor + len(data)
        upload.peer.session.send_data(upload.piece, begin, data)
        upload.peer.flush()
        if self._on_served is not None:
            self._on_served(upload.peer, upload.file, len(data))

    def _paid(self, upload: Upload) -> bool:
        """Whether the rate limit lets the next slice go; if not, it will go on by itself."""
        if upload.claim is not None:
            return False
        if not upload.paid:
            length = self._cut(upload)
            upload.claim = self._limit.claim(
                upload.file.task, length, partial(self._granted, upload, length)
            )
            upload.paid = length if upload.claim is None else 0
        return upload.claim is None

    def _granted(self, upload: Upload, length: int) -> None:
        upload.claim, upload.paid = None, length
        self._pump(upload.peer)

    def _cut(self, upload: Upload) -> int:
        """Make the next slice no longer than the rate limit lets pass in a moment."""
        rate = self._limit.rate
        if rate is None:
            return len(upload.blocks[0])
        return upload.cut(max(LEAST_SLICE_BYTES, int(rate * SLICE_S)))

    # -- slots ----------------------------------------------------------------------

    def _sent(self, upload: Upload) -> None:
        """All slices are with the connection; the slot is free when the other host has them."""
        upload.over = True
        upload.said = upload.peer.said_bytes
        upload.file.release()
        self._draining.add(upload)

    def _end(self, upload: Upload) -> None:
        """Give ``upload`` up before all of it was sent."""
        self._let_go(upload)
        if upload.started:
            sending = self._sending.get(upload.peer)
            if sending is not None and upload in sending:
                sending.remove(upload)
            self.slots.finished(upload.peer, upload.key)
        else:
            self.slots.cancel(upload.peer, upload.key)
        self._forget(upload)
        self._start_next()
        self._pump(upload.peer)  # the next answer may have been read, and waits for its turn

    def _let_go(self, upload: Upload) -> None:
        """Release what ``upload`` holds, if it still holds it."""
        if self._draining.discard(upload):
            return
        upload.over = True
        upload.blocks.clear()
        upload.file.release()
        claim, upload.claim = upload.claim, None
        if claim is not None:
            claim.cancel()
        if upload.paid:
            self._limit.charge(upload.file.task, -upload.paid)
            upload.paid = 0

    def _forget(self, upload: Upload) -> None:
        uploads = self._uploads.get(upload.peer)
        if uploads is not None:
            uploads.pop(upload.key, None)
            if not uploads:
                del self._uploads[upload.peer]
        if self._on_end is not None:
            self._on_end(upload.peer, upload.piece, upload.begin, upload.cursor == upload.end)

    def _start_next(self) -> None:
        while (chosen := self.slots.next_start()) is not None:
            peer, key = chosen
            upload = self._uploads.get(peer, {}).get(key)
            if upload is None:
                self.slots.finished(peer, key)
            else:
                self._start(upload)
        self._draining.watch()
