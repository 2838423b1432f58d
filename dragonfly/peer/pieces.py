"""From slices to verified pieces: gather, hash, write, compare, journal.

Small pieces whose digest is known are hashed and compared at once, given to others from
memory, and written in batches. Others up to :data:`WHOLE_BYTES` are gathered and then hashed,
compared and written in one job, so that wrong bytes of them never reach the file. Larger ones
are written while they come, hashed by the same job; no object ever holds one whole. Jobs of one
file run one after another, which is what makes the book-keeping in :class:`_Written` safe
without a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Any, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dragonfly.net.disk import DiskPool
from dragonfly.peer.writebatch import BATCH_S, READER_BATCH_S, Verified, WriteBatch
from dragonfly.store.hot import HOT_PIECE_BYTES
from dragonfly.store.piecestore import PieceWriter, TaskFile, verify_pieces
from dragonfly.task.digest import PieceHasher, piece_digest

__all__ = ["PART_BYTES", "WHOLE_BYTES", "Buffer", "PieceIntake", "PieceListener", "Verdict"]

WHOLE_BYTES = 1024 * 1024
"""Largest piece that waits in memory: 12 requests out make that 12 MiB at most."""

PART_BYTES = 1024 * 1024
"""How much of a larger piece goes to the disk pool in one job."""

SMALL_BYTES = 4 * 1024
"""Slices below this are joined: the objects around a thousand of them cost more than a copy."""

JOINED_BYTES = 64 * 1024
"""Where joining stops: what grows further is moved again and again."""

Buffer = bytes | memoryview


class Verdict(Enum):
    """What became of the bytes of one piece from one source."""

    VERIFIED = "verified"
    WRONG = "wrong"
    SECOND = "second"
    """Right or not, the piece was there already; nothing was written."""
    SPOILT = "spoilt"
    """These bytes were right, but another source wrote wrong ones over them: ask again."""


class PieceListener(Protocol):
    """Who is told what became of pieces; always on the reactor's thread."""

    def piece_verified(self, piece: int, source: Hashable) -> bool:
        """``piece`` is right and in memory; called inside :meth:`PieceIntake.add`.

        ``pieces_written`` follows, unless the disk fails. A piece gets either these two calls
        or ``piece_done`` from each source that sends it whole.

        :return: whether no more will come, so that there is nothing to wait for.
        """

    def pieces_written(self, pieces: list[tuple[int, Hashable]]) -> None:
        """These, and who sent them, are on disk."""

    def piece_done(
        self, piece: int, source: Hashable, verdict: Verdict, length: int, digest: bytes
    ) -> None:
        """All bytes of ``piece`` from ``source`` were dealt with."""

    def store_failed(self, error: Exception) -> None:
        """The disk did not take a piece; nothing more will be written well."""


@attrs.define(eq=False)
class _Assembly:
    """One piece as it comes from one source."""

    piece: int
    offset: int
    length: int
    received: int = 0
    buffered: int = 0
    chunks: list[Buffer | bytearray] = attrs.field(factory=list)
    writer: PieceWriter | None = None

    def put(self, data: Buffer) -> None:
        """Gather ``data``; what is kept in memory is at most about twice its length."""
        self.received += len(data)
        self.buffered += len(data)
        if not _wasteful(data):
            self.chunks.append(data)
            return
        last = self.chunks[-1] if self.chunks else None
        if isinstance(last, bytearray) and len(last) < JOINED_BYTES:
            last += data
        else:
            self.chunks.append(bytearray(data))

    def take(self) -> list[Buffer]:
        """Hand the gathered chunks over."""
        chunks, self.chunks, self.buffered = self.chunks, [], 0
        return [memoryview(each) if isinstance(each, bytearray) else each for each in chunks]


def _wasteful(data: Buffer) -> bool:
    """Whether to copy ``data``: a view keeps all of the read that it is a part of."""
    if len(data) < SMALL_BYTES:
        return True
    return isinstance(data, memoryview) and 2 * len(data) < memoryview(data.obj).nbytes


@attrs.define(eq=False)
class _Written:
    """What the file holds; touched only by jobs of that file, which never run at once."""

    verified: set[int] = attrs.field(factory=set)
    writers: dict[int, set[_Assembly]] = attrs.field(factory=dict)


class PieceIntake:
    """Takes the slices of one task and tells of the pieces they make.

    :param clock: tells when a batch of verified pieces is to be written.
    :param digest_of: the expected digest of a piece, ``None`` where there is none: then
        whatever comes is stored, and the listener gets its digest.
    :param length_of: the length of a piece.
    """

    def __init__(
        self,
        disk: DiskPool,
        file: TaskFile,
        listener: PieceListener,
        *,
        clock: IReactorTime,
        digest_of: Callable[[int], bytes | None],
        length_of: Callable[[int], int],
    ) -> None:
        self._disk = disk
        self._file = file
        self._listener = listener
        self._digest_of = digest_of
        self._length_of = length_of
        self._written = _Written()
        self._open: dict[tuple[Hashable, int], _Assembly] = {}
        self._settled: set[int] = set()
        self._batch = WriteBatch(clock, self._write_batch)
        self.closed = False

    def add(self, source: Hashable, piece: int, begin: int, data: Buffer) -> bool:
        """Bytes of ``piece`` at ``begin`` came from ``source``, in order within the piece.

        A piece that begins again (``begin`` 0) forgets what came of it before.

        :return: whether they were the last of the piece.
        :raises ValueError: they do not continue what came before, or go past the end.
        """
        key = (source, piece)
        if begin == 0:
            length = self._length_of(piece)
            self._open[key] = _Assembly(piece, piece * self._file.piece_size, length)
        assembly = self._open.get(key)
        if assembly is None or begin != assembly.received:
            raise ValueError(f"piece {piece}: bytes at {begin} do not continue it")
        if begin + len(data) > assembly.length:
            raise ValueError(f"piece {piece}: more than {assembly.length} bytes")
        assembly.put(data)
        if assembly.received == assembly.length:
            del self._open[key]
            self._finish(source, assembly)
            return True
        if assembly.length > WHOLE_BYTES and assembly.buffered >= PART_BYTES:
            self._write_part(assembly)
        return False

    def end_short(self, source: Hashable, piece: int) -> None:
        """The content ends inside ``piece`` (its length was unknown): what came is all of it."""
        assembly = self._open.pop((source, piece), None)
        if assembly is not None and assembly.received:
            assembly.length = assembly.received
            self._finish(source, assembly)

    def forget(self, source: Hashable, piece: int | None = None) -> None:
        """``source`` will not finish ``piece`` (``None``: anything)."""
        for key in [k for k in self._open if k[0] == source and piece in (None, k[1])]:
            del self._open[key]

    def close(self) -> None:
        """Take nothing more and tell nothing more; what is verified is still written."""
        self.closed = True
        self._open.clear()
        self._batch.flush()

    def in_order(self, wanted: bool) -> None:
        """Tell whether somebody reads what comes in its order, so that it had better be written
        sooner."""
        wait_s = READER_BATCH_S if wanted else BATCH_S
        if wait_s < self._batch.wait_s:
            self._batch.flush()
        self._batch.wait_s = wait_s

    def flush(self) -> None:
        """Let no verified piece wait for others."""
        self._batch.flush()

    def trust(self, pieces: Sequence[int]) -> None:
        """These pieces of the file were verified otherwise: never write over them."""
        self._settled.update(pieces)
        self._run(0, _trust, self._written, list(pieces))

    def distrust(self, pieces: Sequence[int]) -> None:
        """These pieces of the file turned out wrong: write over them."""
        self._settled.difference_update(pieces)
        self._run(0, _distrust, self._written, list(pieces))

    def recheck(self, pieces: Sequence[int]) -> Deferred[list[int]]:
        """Hash ``pieces`` of the file again; the result: those that are what they should be.

        They count as verified from then on, and the others no longer. Cancelling drops the
        answer only.
        """
        expected = {piece: self._digest_of(piece) or b"" for piece in pieces}
        self._settled.update(pieces)
        answer = self._run(0, _recheck, self._written, self._file, expected)
        return answer.addCallback(self._rechecked, pieces)

    def defer(self, pieces: Sequence[int]) -> None:
        """The file may hold these: let the disk's jobs decide, in their order."""
        self._settled.update(pieces)

    def _rechecked(self, good: list[int], pieces: Sequence[int]) -> list[int]:
        self._settled.difference_update(set(pieces) - set(good))
        return good

    # -- inside -----------------------------------------------------------------

    def _write_part(self, assembly: _Assembly) -> None:
        if assembly.writer is None:
            assembly.writer = PieceWriter(self._file, assembly.piece, 0)
        cost, chunks = assembly.buffered, assembly.take()
        job = self._run(cost, _write_part, self._written, assembly, chunks)
        job.addErrback(self._failed)

    def _finish(self, source: Hashable, assembly: _Assembly) -> None:
        cost, chunks = assembly.buffered, assembly.take()
        expected = self._digest_of(assembly.piece)
        if self._is_small(assembly) and expected is not None:
            data = b"".join(chunks)
            if piece_digest(data) == expected:
                self._accept(Verified(assembly.piece, source, data))
                return
        finish = _store_whole if assembly.writer is None else _finish_parts
        job = self._run(cost, finish, self._written, self._file, assembly, chunks, expected)
        job.addCallbacks(
            self._finished, self._failed, callbackArgs=(source, assembly.piece, assembly.length)
        )

    def _is_small(self, assembly: _Assembly) -> bool:
        """Whether to verify it here and now: what the file holds already is left to the job
        that knows, and so are the pieces that would keep the reactor for long."""
        small = assembly.length <= HOT_PIECE_BYTES
        return small and assembly.piece not in self._settled and not self.closed

    def _accept(self, verified: Verified) -> None:
        """Share it from memory, and write it with the next batch."""
        self._settled.add(verified.piece)
        self._file.hot.put(self._file, verified.piece, verified.data)
        last = self._listener.piece_verified(verified.piece, verified.source)
        self._batch.add(verified)
        if last:
            self.flush()

    def _write_batch(self, pieces: list[Verified]) -> None:
        cost = sum(len(each.data) for each in pieces)
        job = self._run(cost, _store_verified, self._written, self._file, pieces)
        job.addCallbacks(self._batch_written, self._failed, callbackArgs=(pieces,))

    def _batch_written(self, _: object, pieces: list[Verified]) -> None:
        """The disk has them. If it fails they stay in memory until the file is given back:
        who was told of them may ask for them."""
        for each in pieces:
            self._file.hot.written(self._file, each.piece)
        if not self.closed:
            self._listener.pieces_written([(each.piece, each.source) for each in pieces])

    def _finished(
        self, result: tuple[Verdict, bytes], source: Hashable, piece: int, length: int
    ) -> None:
        if not self.closed:
            if result[0] is Verdict.VERIFIED:  # told first: what follows may distrust it
                self._settled.add(piece)
            self._listener.piece_done(piece, source, result[0], length, result[1])

    def _failed(self, failure: Failure) -> None:
        if self.closed or failure.check(CancelledError):
            return
        if not isinstance(failure.value, Exception):
            failure.raiseException()
        self._listener.store_failed(failure.value)

    def _run(self, cost: int, job: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Run ``job`` after the file's earlier ones.

        The file stays open until the job ends, which is why cancelling what is returned
        does not reach the job.
        """
        self._file.retain()
        answer: Deferred[Any] = Deferred()

        def release(result: Any) -> Any:
            self._file.release()
            return result

        self._disk.run(self._file.task, job, *args, cost=cost).addBoth(release).chainDeferred(
            answer
        )
        return answer


# -- what runs on the disk pool, one at a time for each file ---------------------------


def _store_whole(
    written: _Written,
    file: TaskFile,
    assembly: _Assembly,
    chunks: list[Buffer],
    expected: bytes | None,
) -> tuple[Verdict, bytes]:
    if assembly.piece in written.verified:
        return Verdict.SECOND, b""
    hasher = PieceHasher()
    for chunk in chunks:
        hasher.update(chunk)
    digest = hasher.digest()
    if expected is not None and digest != expected:
        return Verdict.WRONG, digest
    file.write(assembly.offset, chunks)
    return _verified(written, file, assembly.piece), digest


def _store_verified(written: _Written, file: TaskFile, pieces: list[Verified]) -> None:
    new = [each for each in pieces if each.piece not in written.verified]
    for each in pieces:  # what the file holds may have been stored without a digest
        file.write(each.piece * file.piece_size, [each.data])
    numbers = [each.piece for each in new]
    if numbers:
        file.record(numbers)
    written.verified.update(numbers)


def _write_part(written: _Written, assembly: _Assembly, chunks: list[Buffer]) -> None:
    if assembly.piece in written.verified or assembly.writer is None:
        return
    written.writers.setdefault(assembly.piece, set()).add(assembly)
    assembly.writer.write(chunks)


def _finish_parts(
    written: _Written,
    file: TaskFile,
    assembly: _Assembly,
    chunks: list[Buffer],
    expected: bytes | None,
) -> tuple[Verdict, bytes]:
    """The last part of a large piece: judge its source by the bytes that it sent, and the
    file, if others wrote there too, by the bytes that it holds."""
    if assembly.piece in written.verified or assembly.writer is None:
        return Verdict.SECOND, b""
    _write_part(written, assembly, chunks)
    digest = assembly.writer.digest()
    if expected is not None and digest != expected:
        return Verdict.WRONG, digest
    alone = written.writers.pop(assembly.piece) == {assembly}
    if not alone and not verify_pieces(file, lambda _: digest, [assembly.piece]):
        return Verdict.SPOILT, digest
    return _verified(written, file, assembly.piece), digest


def _verified(written: _Written, file: TaskFile, piece: int) -> Verdict:
    file.record([piece])
    written.verified.add(piece)
    return Verdict.VERIFIED


def _trust(written: _Written, pieces: list[int]) -> None:
    written.verified.update(pieces)


def _distrust(written: _Written, pieces: list[int]) -> None:
    written.verified.difference_update(pieces)


def _recheck(
    written: _Written,
    file: TaskFile,
    expected: dict[int, bytes],
) -> list[int]:
    good = list(verify_pieces(file, expected.get, sorted(expected)))
    written.verified.difference_update(expected)
    written.verified.update(good)
    return good
