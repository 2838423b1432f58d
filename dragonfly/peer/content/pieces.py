"""From slices to verified pieces: gather, hash, write, compare, journal.

Small pieces whose digest is known are hashed and compared at once, given to others from
memory, and written in batches. Others up to :data:`WHOLE_BYTES` are gathered and then hashed,
compared and written in one job, so that wrong bytes of them never reach the file. Larger ones
are written while they come, hashed by the same job; no object ever holds one whole.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dragonfly.net.disk import DiskPool
from dragonfly.peer.content.assembly import Assembly, Buffer
from dragonfly.peer.content.piecefile import PieceFile, Verdict
from dragonfly.peer.content.writebatch import BATCH_S, READER_BATCH_S, Verified, WriteBatch
from dragonfly.store.hot import HOT_PIECE_BYTES
from dragonfly.store.piecestore import PieceWriter, TaskFile
from dragonfly.task.digest import piece_digest

__all__ = ["PART_BYTES", "WHOLE_BYTES", "PieceIntake", "PieceListener"]

WHOLE_BYTES = 1024 * 1024
"""Largest piece that waits in memory: 12 requests out make that 12 MiB at most."""

PART_BYTES = 1024 * 1024
"""How much of a larger piece goes to the disk pool in one job."""


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
        self._pieces = PieceFile(file)
        self._open: dict[tuple[Hashable, int], Assembly] = {}
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
            self._open[key] = Assembly(piece, piece * self._file.piece_size, length)
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
        self._run(0, self._pieces.trust, list(pieces))

    def distrust(self, pieces: Sequence[int]) -> None:
        """These pieces of the file turned out wrong: write over them."""
        self._settled.difference_update(pieces)
        self._run(0, self._pieces.distrust, list(pieces))

    def recheck(self, pieces: Sequence[int]) -> Deferred[list[int]]:
        """Hash ``pieces`` of the file again; the result: those that are what they should be.

        They count as verified from then on, and the others no longer. Cancelling drops the
        answer only.
        """
        expected = {piece: self._digest_of(piece) or b"" for piece in pieces}
        self._settled.update(pieces)
        answer = self._run(0, self._pieces.recheck, expected)
        return answer.addCallback(self._rechecked, pieces)

    def defer(self, pieces: Sequence[int]) -> None:
        """The file may hold these: let the disk's jobs decide, in their order."""
        self._settled.update(pieces)

    def _rechecked(self, good: list[int], pieces: Sequence[int]) -> list[int]:
        self._settled.difference_update(set(pieces) - set(good))
        return good

    # -- inside -----------------------------------------------------------------

    def _write_part(self, assembly: Assembly) -> None:
        if assembly.writer is None:
            assembly.writer = PieceWriter(self._file, assembly.piece, 0)
        cost, chunks = assembly.buffered, assembly.take()
        job = self._run(cost, self._pieces.write_part, assembly, chunks)
        job.addErrback(self._failed)

    def _finish(self, source: Hashable, assembly: Assembly) -> None:
        cost, chunks = assembly.buffered, assembly.take()
        expected = self._digest_of(assembly.piece)
        if self._is_small(assembly) and expected is not None:
            data = b"".join(chunks)
            if piece_digest(data) == expected:
                self._accept(Verified(assembly.piece, source, data))
                return
        whole = assembly.writer is None
        finish = self._pieces.store_whole if whole else self._pieces.finish_parts
        job = self._run(cost, finish, assembly, chunks, expected)
        job.addCallbacks(
            self._finished, self._failed, callbackArgs=(source, assembly.piece, assembly.length)
        )

    def _is_small(self, assembly: Assembly) -> bool:
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
        job = self._run(cost, self._pieces.store_verified, pieces)
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
