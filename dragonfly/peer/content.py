"""One version of one content on this host: its file, its manifest, which pieces are here.

:class:`Content` is where all ways of getting bytes meet: pieces from neighbours, ranges
from the origin, what an earlier run left on disk. It tells one observer (the swarm) what
became of pieces, and any number of watchers (downloads) which bytes may be used.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from dragonfly.errors import BadRun, DragonflyError, OriginChanged, StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.peer.pieces import PieceIntake, Verdict
from dragonfly.peer.watcher import Observer, Watcher
from dragonfly.sched.picker import ALL
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.bitfield import Bitfield, pieces_of
from dragonfly.task.digest import Digest
from dragonfly.task.layout import Layout
from dragonfly.task.manifest import Manifest, Run, parse_good, parse_run

__all__ = [
    "INSIDE",
    "ORIGIN",
    "RECHECK_BYTES",
    "RUNS_AT_ONCE",
    "Content",
    "kind_of",
]

ORIGIN = "origin"
"""The source of bytes that came from the origin itself."""

INSIDE = "inside"
"""The source of bytes that came inside a register answer: the CDN."""

RECHECK_BYTES = 8 * 1024 * 1024
"""How much of an old file is hashed in one job (a few milliseconds of one thread)."""

RUNS_AT_ONCE = 64
"""Stored runs whose signatures are checked in one job, 150 us each. Content that was fetched
meanwhile has one for every 50 ms: checking those of 20 GiB on the reactor took 190 ms."""


def kind_of(source: Hashable) -> str:
    """``cdn``, ``peers`` or ``origin``: how the bytes of ``source`` are counted."""
    if source == ORIGIN:
        return ORIGIN
    return "cdn" if source == INSIDE or getattr(source, "seed", False) else "peers"


class Content:
    """The state of one content.

    :param keys: whose runs are believed.
    :ivar have: verified pieces, which may be given to others; the last of them perhaps only
        in memory yet.
    :ivar extra: pieces that only the origin vouches for: for the user, never for others.
    :ivar wanted: pieces that somebody waits for or may soon, as bits; all of them at first.
    :ivar spoilt: all is here, and it is not what its name says: nobody is to have it.
    :ivar memory: all of it, verified, while :class:`~dragonfly.peer.memory.Memory` lets it.
    :ivar vouched: digests of the whole that were compared, and the file's stamp then.
    """

    _log = Logger()

    def __init__(
        self,
        file: TaskFile,
        manifest: Manifest,
        keys: KeyRing,
        disk: DiskPool,
        clock: IReactorTime,
    ) -> None:
        self.file = file
        self.manifest = manifest
        self.keys = keys
        self.have = Bitfield()
        self.extra = Bitfield()
        self.wanted = ALL
        self.error: Exception | None = None
        self.observer: Observer | None = None
        self.watchers: list[Watcher] = []
        self.intake = PieceIntake(
            disk, file, self, clock=clock, digest_of=self._expected, length_of=self.length_of
        )
        self._unwritten = 0
        self._disk = disk
        self._length = manifest.length
        self._layout = Layout(file.piece_size, manifest.length)
        self._told_finished = False
        self._in_order = False
        self._seen: set[bytes] = set()
        self._claimed: set[int] = set()
        self._to_check: list[int] = []
        self._checking = False
        self._reading = False
        self.wrong_from_origin = False
        self.spoilt = False
        self.vouched: dict[Digest, tuple[int, int, int]] = {}
        self.memory: bytes | None = None
        self._brought = False

    # -- facts --------------------------------------------------------------------

    @property
    def task(self) -> bytes:
        """The id of the task."""
        return self.file.task

    @property
    def layout(self) -> Layout:
        """Piece size and, when known, length."""
        return self._layout

    @property
    def complete(self) -> bool:
        """Whether every piece is here and verified."""
        return self.manifest.complete and len(self.have) == self.manifest.piece_count

    @property
    def finished(self) -> bool:
        """Whether every byte is here and on disk, verified or not."""
        return self.all_here and not self._unwritten

    @property
    def in_order(self) -> bool:
        """Whether somebody reads from the front while it comes."""
        return self._in_order

    @in_order.setter
    def in_order(self, wanted: bool) -> None:
        self._in_order = wanted
        self.intake.in_order(wanted)

    @property
    def all_here(self) -> bool:
        """Whether every byte is here, the last of them perhaps only in memory yet."""
        count = self.layout.piece_count
        return count is not None and len(self.have) + len(self.extra) >= count

    @property
    def on_disk(self) -> Bitfield:
        """The verified pieces that were written."""
        return Bitfield(self.have.mask & ~self._unwritten)

    @property
    def checking(self) -> bool:
        """Whether what an earlier run left is still being checked."""
        return self._reading or self._checking or bool(self._to_check)

    @property
    def remaining(self) -> int:
        """Bytes that are known to be missing, of those wanted; 1 when the length of all is not
        known."""
        length = self._length
        if self.wanted != ALL:
            return self.lacking.bit_count() * self.file.piece_size
        if length is None:
            return 1
        here = (len(self.have) + len(self.extra)) * self.file.piece_size
        return 0 if self.finished else max(1, length - here)

    def holds(self, piece: int) -> bool:
        """Whether ``piece`` is here, or will be as soon as the disk has it."""
        return piece in self.have or piece in self.extra

    @property
    def lacking(self) -> int:
        """The pieces that are wanted and not here, as bits; a negative number, so without an
        end, when all are wanted and the length is not known."""
        count = self.layout.piece_count
        lacking = self.wanted & ~(self.have.mask | self.extra.mask)
        return lacking if count is None else lacking & ((1 << count) - 1)

    def first_missing(self) -> int:
        """The first piece that is not here."""
        mask = self.have.mask | self.extra.mask
        return (~mask & (mask + 1)).bit_length() - 1

    def first_lacking(self) -> int:
        """The first piece that is wanted and not here; the first that is not here if nothing is."""
        lacking = self.lacking
        return (lacking & -lacking).bit_length() - 1 if lacking else self.first_missing()

    def length_of(self, piece: int) -> int:
        """The length of ``piece``."""
        return self.layout.piece_length(piece)

    def ready_to(self, begin: int) -> int:
        """Up to where the bytes from ``begin`` on are on disk without a gap."""
        size = self.file.piece_size
        mask = ((self.have.mask | self.extra.mask) & ~self._unwritten) >> (begin // size)
        pieces = (~mask & (mask + 1)).bit_length() - 1
        if pieces == 0:
            return begin
        end = (begin // size + pieces) * size
        return end if self._length is None else min(end, self._length)

    def ranges(self) -> list[tuple[int, int]]:
        """The byte ranges that are on disk."""
        joined: list[tuple[int, int]] = []
        for piece in pieces_of(self.on_disk.mask | self.extra.mask):
            if joined and joined[-1][1] == piece:
                joined[-1] = (joined[-1][0], piece + 1)
            else:
                joined.append((piece, piece + 1))
        return [(self._span(first)[0], self._span(end - 1)[1]) for first, end in joined]

    # -- what comes in ----------------------------------------------------------------

    def begin(self) -> None:
        """Take up what an earlier run left: its runs, and its pieces after hashing them.

        Both are checked by the disk pool, some at a time.
        """
        self._claimed = set(self.file.recorded)
        stored = self.file.runs()
        self._seen.update(stored)
        self._take_up(stored)

    def bring(self) -> None:
        """All of it came inside an answer, was verified, and is in the file already."""
        self._brought = True
        pieces = list(range(self.layout.piece_count or 0))
        self.intake.trust(pieces)
        self._verified(pieces, INSIDE)

    def introduction(self) -> str:
        """The kind of source that whoever is told of it first counts what is here by."""
        brought, self._brought = self._brought, False
        return "cdn" if brought else "cache"

    def adopt(self, pieces: Iterable[int]) -> None:
        """Take up pieces that an earlier run of this boot wrote, where no digests are.

        They are for the user only, as everything that nobody signed for.
        """
        here = list(pieces)
        self.extra.update(here)
        self.intake.trust(here)

    def add_run(self, raw: bytes) -> bool:
        """Believe a signed run; returns whether it told anything new.

        :raises BadRun: it is not signed by our supernode, or contradicts another.
        """
        if raw in self._seen:
            return False
        known = self._learn(raw)
        self._job(self.file.append_run, raw)
        self._sort(known)
        return True

    def set_length(self, length: int) -> None:
        """The length became known."""
        if self._length is None:
            self._length = length
            self._layout = self._layout.with_length(length)
            self._job(self.file.set_length, length)
            for watcher in list(self.watchers):
                watcher.content_layout()
            self._write_the_last()
            self._look_if_finished()

    def reserve(self) -> None:
        """All of it is going to come: have space for it, or fail."""
        if not self.file.reserved:
            self._job(self.file.reserve)

    def fail(self, error: Exception) -> None:
        """End this content's download with ``error``; only the first one counts."""
        if self.error is None and not self.finished:
            self.error = error
            self.intake.close()
            for watcher in list(self.watchers):
                watcher.content_failed(error)

    # -- PieceListener ------------------------------------------------------------------

    def piece_verified(self, piece: int, source: Hashable) -> bool:
        """Others may have it; who reads the file has to wait until it is written."""
        self._unwritten |= 1 << piece
        self._shared([piece], source)
        return self.all_here if self.wanted == ALL else not self.lacking

    def pieces_written(self, pieces: list[tuple[int, Hashable]]) -> None:
        """They may be read from the file."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for piece, source in pieces:
            self._unwritten &= ~(1 << piece)
            spans.setdefault(kind_of(source), []).append(self._span(piece))
        for kind, ranges in spans.items():
            self._tell(ranges, kind)
        self._look_if_finished()

    def piece_done(
        self, piece: int, source: Hashable, verdict: Verdict, length: int, digest: bytes
    ) -> None:
        """The disk pool has dealt with a piece."""
        expected = self.manifest.digest(piece)
        if verdict is Verdict.VERIFIED and expected == digest:
            self._verified([piece], source)
        elif verdict is Verdict.VERIFIED and expected is None and source == ORIGIN:
            self._unverified(piece, length)
        elif verdict is Verdict.VERIFIED and expected is None:  # nobody vouches for it
            self.intake.distrust([piece])
            self._again(piece, source)
        elif verdict is Verdict.VERIFIED:  # the digest became known after it was stored
            if piece not in self.have:  # others' right bytes are on their way over them
                self.intake.distrust([piece])
            self._wrong(piece, source)
        elif verdict is Verdict.WRONG:
            self._wrong(piece, source)
        elif not self.holds(piece):  # spoilt; or second to one that turned out wrong
            self._again(piece, source)

    def store_failed(self, error: Exception) -> None:
        """The disk does not take it."""
        self.fail(error if isinstance(error, DragonflyError) else StoreError(str(error)))

    # -- inside -------------------------------------------------------------------------

    def _expected(self, piece: int) -> bytes | None:
        return self.manifest.digest(piece)

    def _take_up(self, stored: list[bytes]) -> None:
        """Check the next of the runs that an earlier run of this program kept."""
        batch, rest = stored[:RUNS_AT_ONCE], stored[RUNS_AT_ONCE:]
        self._reading = bool(batch)
        if batch:
            parsed = self._disk.run(self.task, parse_good, batch, self.keys)
            parsed.addCallback(self._taken_up, batch, rest)
            parsed.addErrback(lambda failure: self._log.failure("reading old runs", failure))
        else:
            self._look_if_finished()

    def _taken_up(self, runs: list[Run], batch: list[bytes], rest: list[bytes]) -> None:
        """The runs before the first bad one count; the others can be had from neighbours."""
        if self.intake.closed:
            self._reading = False
            return
        known: list[int] = []
        good = 0
        with suppress(BadRun):
            for raw, run in zip(batch, runs, strict=False):
                known += self._add(raw, run)
                good += 1
        if good < len(batch):
            self._log.info("{n} stored runs are of no use", n=len(batch) - good + len(rest))
            self._seen.difference_update(batch[good:], rest)
            rest = []
        self._take_up(rest)
        self._sort(known)

    def _learn(self, raw: bytes) -> list[int]:
        """Check and add one run; the pieces it made known."""
        return self._add(raw, parse_run(raw, self.keys))

    def _add(self, raw: bytes, run: Run) -> list[int]:
        known = self.manifest.add(raw, run)
        self._seen.add(raw)
        if self.manifest.length is not None:
            self.set_length(self.manifest.length)
        return known

    def _sort(self, known: Iterable[int]) -> None:
        """Pieces whose digest is known now: hash those that are said to be here, and let
        the others be asked for."""
        wanted = []
        for piece in known:
            if piece in self._claimed or piece in self.extra:
                self._to_check.append(piece)
            elif piece not in self.have:
                wanted.append(piece)
        self.intake.defer(self._to_check)
        if wanted and self.observer is not None:
            self.observer.askable(wanted)
        self._recheck()
        self._look_if_finished()

    def _recheck(self) -> None:
        if self._checking or not self._to_check:
            return
        count = max(1, RECHECK_BYTES // self.file.piece_size)
        batch, self._to_check = self._to_check[:count], self._to_check[count:]
        self._checking = True
        done: Deferred[list[int]] = self.intake.recheck(batch)
        done.addCallbacks(self._rechecked, self._recheck_failed, callbackArgs=(batch,))
        done.addErrback(lambda failure: self._log.failure("checking old pieces", failure))

    def _rechecked(self, good: list[int], batch: list[int]) -> None:
        self._checking = False
        if self.intake.closed:
            return
        self._claimed.difference_update(batch)
        bad = sorted(set(batch) - set(good))
        if good:
            self._verified(good, "cache")
        if any(piece in self.extra for piece in bad):  # it was given to the user
            self.fail(OriginChanged("the origin gave other bytes than those being distributed"))
            return
        bad = [piece for piece in bad if piece not in self.have]
        if bad and self.observer is not None:
            self.observer.askable(bad)
        self._recheck()

    def _recheck_failed(self, failure: Any) -> None:
        self._checking = False
        self.store_failed(failure.value)

    def _verified(self, pieces: list[int], source: Hashable) -> None:
        new = [piece for piece in pieces if piece not in self.have]
        if not new:
            return
        untold = [piece for piece in new if piece not in self.extra]
        self._shared(new, source)
        kind = "cache" if source == "cache" else kind_of(source)
        if untold:
            self._tell_ranges([self._span(piece) for piece in untold], kind)
        self._write_the_last()

    def _write_the_last(self) -> None:
        """Have nothing wait for others when no others come."""
        if self._unwritten and self.all_here:
            self.intake.flush()

    def _shared(self, new: list[int], source: Hashable) -> None:
        self.have.update(new)
        self.extra.mask &= ~self.have.mask
        if self.observer is not None:
            self.observer.have(new, source)

    def _unverified(self, piece: int, length: int) -> None:
        """It came from the origin, and there is no digest for it."""
        self.extra.add(piece)
        begin = piece * self.file.piece_size
        self._tell_ranges([(begin, begin + length)], ORIGIN)

    def _wrong(self, piece: int, source: Hashable) -> None:
        if source == ORIGIN:
            self.wrong_from_origin = True
        elif self.observer is not None:
            self.observer.wrong(piece, source)

    def _again(self, piece: int, source: Hashable) -> None:
        if self.observer is not None:
            self.observer.again(piece, source)

    def _tell_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        self._tell(ranges, kind)
        self._look_if_finished()

    def _tell(self, ranges: list[tuple[int, int]], kind: str) -> None:
        for watcher in list(self.watchers):
            watcher.content_ranges(ranges, kind)

    def _look_if_finished(self) -> None:
        if self.finished and not self._told_finished:
            self._told_finished = True
            for watcher in list(self.watchers):
                watcher.content_finished()

    def _span(self, piece: int) -> tuple[int, int]:
        begin = piece * self.file.piece_size
        return begin, begin + self.length_of(piece)

    def _job(self, fn: Any, *args: Any) -> None:
        """Let ``fn`` touch the file in its turn."""
        self.file.retain()

        def done(result: Any) -> None:
            self.file.release()
            error = getattr(result, "value", None)
            if isinstance(error, Exception) and not self.intake.closed:
                self.store_failed(error)

        self._disk.run(self.task, fn, *args).addBoth(done)
