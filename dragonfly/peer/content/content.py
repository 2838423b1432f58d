"""One version of one content on this host: its file, its manifest, which pieces are here.

:class:`Content` is where all ways of getting bytes meet: pieces from neighbours, ranges
from the origin, what an earlier run left on disk. It tells one observer (the swarm) what
became of pieces, and any number of watchers (downloads) which bytes may be used.
"""

from __future__ import annotations

import errno
from collections.abc import Hashable, Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import DragonflyError, OriginChanged, StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.peer.content.inventory import Inventory
from dragonfly.peer.content.piecefile import Verdict
from dragonfly.peer.content.pieces import PieceIntake
from dragonfly.peer.content.recovery import Recovery
from dragonfly.peer.content.watcher import Observer, Watcher
from dragonfly.sched.picker import ALL
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.digest import Digest
from dragonfly.task.layout import Layout
from dragonfly.task.manifest import Manifest, Run, parse_run

__all__ = [
    "INSIDE",
    "ORIGIN",
    "Content",
    "kind_of",
]

ORIGIN = "origin"
"""The source of bytes that came from the origin itself."""

_BUSY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)
"""The system lacks something at the moment; nothing is wrong with a file."""

INSIDE = "inside"
"""The source of bytes that came inside a register answer: the CDN."""


def kind_of(source: Hashable) -> str:
    """``cdn``, ``peers`` or ``origin``: how the bytes of ``source`` are counted."""
    if source == ORIGIN:
        return ORIGIN
    return "cdn" if source == INSIDE or getattr(source, "seed", False) else "peers"


class Content:
    """The state of one content.

    :param keys: whose runs are believed.
    :ivar have: verified pieces, and
    :ivar extra: those that only the origin vouches for, see :class:`Inventory`.
    :ivar spoilt: it is not what its name says, or cannot be read: nobody is to have it.
    :ivar memory: all of it, verified, while :class:`~dragonfly.peer.content.memory.Memory` lets it.
    :ivar vouched: digests of the whole that were compared, and the file's stamp then.
    """

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
        self._inventory = Inventory(Layout(file.piece_size, manifest.length))
        self.have = self._inventory.have
        self.extra = self._inventory.extra
        self.error: Exception | None = None
        self.observer: Observer | None = None
        self.watchers: list[Watcher] = []
        self.intake = PieceIntake(
            disk, file, self, clock=clock, digest_of=self._expected, length_of=self.length_of
        )
        self._recovery = Recovery(file, keys, self.intake, disk, self)
        self._disk = disk
        self._told_finished = False
        self._in_order = False
        self._seen: set[bytes] = set()
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
        return self._inventory.layout

    @property
    def complete(self) -> bool:
        """Whether every piece is here and verified."""
        return self.manifest.complete and len(self.have) == self.manifest.piece_count

    @property
    def finished(self) -> bool:
        """Whether every byte is here and on disk, verified or not."""
        return self._inventory.finished

    @property
    def all_here(self) -> bool:
        """Whether every byte is here, the last of them perhaps only in memory yet."""
        return self._inventory.all_here

    @property
    def in_order(self) -> bool:
        """Whether somebody reads from the front while it comes."""
        return self._in_order

    @in_order.setter
    def in_order(self, wanted: bool) -> None:
        self._in_order = wanted
        self.intake.in_order(wanted)

    @property
    def wanted(self) -> int:
        """Pieces that somebody waits for or may soon, as bits; all of them at first."""
        return self._inventory.wanted

    @wanted.setter
    def wanted(self, pieces: int) -> None:
        self._inventory.wanted = pieces

    @property
    def on_disk(self) -> Bitfield:
        """The verified pieces that were written."""
        return self._inventory.on_disk

    @property
    def checking(self) -> bool:
        """Whether what an earlier run left is still being checked."""
        return self._recovery.under_way

    @property
    def remaining(self) -> int:
        """As :attr:`Inventory.remaining`."""
        return self._inventory.remaining

    @property
    def lacking(self) -> int:
        """As :attr:`Inventory.lacking`."""
        return self._inventory.lacking

    def holds(self, piece: int) -> bool:
        """Whether ``piece`` is here, or will be as soon as the disk has it."""
        return self._inventory.holds(piece)

    def first_missing(self) -> int:
        """The first piece that is not here."""
        return self._inventory.first_missing()

    def first_lacking(self) -> int:
        """As :meth:`Inventory.first_lacking`."""
        return self._inventory.first_lacking()

    def length_of(self, piece: int) -> int:
        """The length of ``piece``."""
        return self._inventory.layout.piece_length(piece)

    def ready_to(self, begin: int) -> int:
        """Up to where the bytes from ``begin`` on are on disk without a gap."""
        return self._inventory.ready_to(begin)

    def ranges(self) -> list[tuple[int, int]]:
        """The byte ranges that are on disk."""
        return self._inventory.ranges()

    # -- what comes in ----------------------------------------------------------------

    def begin(self) -> None:
        """Take up what an earlier run left: its runs, and its pieces after hashing them.

        Both are checked by the disk pool, some at a time.
        """
        stored = self.file.runs()
        self._seen.update(stored)
        self._recovery.begin(stored)

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
        self._inventory.trust_origin(here)
        self.intake.trust(here)

    def add_run(self, raw: bytes) -> bool:
        """Believe a signed run; returns whether it told anything new.

        :raises BadRun: it is not signed by our supernode, or contradicts another.
        """
        if raw in self._seen:
            return False
        known = self.run_recovered(raw, parse_run(raw, self.keys))
        self._job(self.file.append_run, raw)
        self._sort(known)
        return True

    def set_length(self, length: int) -> None:
        """The length became known."""
        if self.layout.length is None:
            self._inventory.layout = self.layout.with_length(length)
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

    def unreadable(self, error: StoreError) -> None:
        """Bytes that were stored cannot be read: the file was cut or removed, or its disk has a
        bad place. It is for nobody then who comes later; the next one has it fetched anew."""
        busy = isinstance(error.__cause__, OSError) and error.__cause__.errno in _BUSY
        self.spoilt = self.spoilt or not busy

    # -- PieceListener ------------------------------------------------------------------

    def piece_verified(self, piece: int, source: Hashable) -> bool:
        """Others may have it; who reads the file has to wait until it is written."""
        self._inventory.in_memory(piece)
        self._shared([piece], source)
        return self.all_here if self.wanted == ALL else not self.lacking

    def pieces_written(self, pieces: list[tuple[int, Hashable]]) -> None:
        """They may be read from the file."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for piece, source in pieces:
            self._inventory.written(piece)
            spans.setdefault(kind_of(source), []).append(self.layout.span(piece))
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

    # -- RecoveryListener -----------------------------------------------------------------

    def run_recovered(self, raw: bytes, run: Run) -> list[int]:
        """Its digests are known from now on."""
        known = self.manifest.add(raw, run)
        self._seen.add(raw)
        if self.manifest.length is not None:
            self.set_length(self.manifest.length)
        return known

    def runs_recovered(self, known: list[int], useless: list[bytes]) -> None:
        """What is of no use may come again, from neighbours."""
        self._seen.difference_update(useless)
        self._sort(known)

    def runs_read(self) -> None:
        """An empty content has nothing else to wait for."""
        self._look_if_finished()

    def pieces_recovered(self, good: list[int], bad: list[int]) -> bool:
        """Others may have the good ones; the bad ones are to come anew."""
        if good:
            self._verified(good, "cache")
        if any(piece in self.extra for piece in bad):  # it was given to the user
            self.fail(OriginChanged("the origin gave other bytes than those being distributed"))
            return False
        self._askable([piece for piece in bad if piece not in self.have])
        return True

    # -- inside -------------------------------------------------------------------------

    def _expected(self, piece: int) -> bytes | None:
        return self.manifest.digest(piece)

    def _sort(self, known: Iterable[int]) -> None:
        """Pieces whose digest is known now: hash those that are said to be here, and let
        the others be asked for."""
        claimed, wanted = [], []
        for piece in known:
            if self._recovery.claims(piece) or piece in self.extra:
                claimed.append(piece)
            elif piece not in self.have:
                wanted.append(piece)
        self._askable(wanted)
        self._recovery.check(claimed)
        self._look_if_finished()

    def _askable(self, pieces: list[int]) -> None:
        if pieces and self.observer is not None:
            self.observer.askable(pieces)

    def _verified(self, pieces: list[int], source: Hashable) -> None:
        new = [piece for piece in pieces if piece not in self.have]
        if not new:
            return
        untold = [self.layout.span(piece) for piece in new if piece not in self.extra]
        self._shared(new, source)
        kind = "cache" if source == "cache" else kind_of(source)
        if untold:
            self._tell_ranges(untold, kind)
        self._write_the_last()

    def _write_the_last(self) -> None:
        """Have nothing wait for others when no others come."""
        if self._inventory.unwritten and self.all_here:
            self.intake.flush()

    def _shared(self, new: list[int], source: Hashable) -> None:
        self._inventory.verify(new)
        if self.observer is not None:
            self.observer.have(new, source)

    def _unverified(self, piece: int, length: int) -> None:
        """It came from the origin, and there is no digest for it."""
        self._inventory.trust_origin([piece])
        begin, _ = self.layout.span(piece)
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

    def _job(self, fn: Any, *args: Any) -> None:
        """Let ``fn`` touch the file in its turn."""
        self.file.retain()

        def done(result: Any) -> None:
            self.file.release()
            error = getattr(result, "value", None)
            if isinstance(error, Exception) and not self.intake.closed:
                self.store_failed(error)

        self._disk.run(self.task, fn, *args).addBoth(done)
