"""One content, cut and signed, and the parts of a peer that hold it: a store, a disk pool.

::

    lab = TaskLab(tmp_path, size=100_000)
    file = lab.file()               # empty
    full = lab.full_file()          # another store's, with everything in it
    manifest_run = lab.run(0, 3)    # signed digests of pieces 0, 1, 2
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path

from twisted.internet.task import Clock

from dragonfly.net.disk import DiskPool
from dragonfly.peer.content.content import Content
from dragonfly.peer.content.writebatch import BATCH_S
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.store.hot import HotPieces
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.digest import piece_digest
from dragonfly.task.layout import Layout
from dragonfly.task.manifest import Manifest, Run, sign_run
from tests.doubles.stores import open_store
from tests.doubles.threads import HandThreads

__all__ = ["FETCH", "PIECE", "TASK", "TaskLab"]

TASK = b"T" * 32
FETCH = 7
PIECE = 32 * 1024


class Slow(Clock):
    """So much time passes between any two looks at it that no piece waits for others."""

    def seconds(self) -> float:
        """A batch time later each time."""
        self.rightNow += BATCH_S
        return float(super().seconds())


class TaskLab:
    """The content and whatever a test makes around it.

    :ivar threads: run the disk's jobs by hand, unless ``direct``.
    :ivar clock: no piece waits for a batch by it; a test of batches puts a ``Clock`` here.
    """

    def __init__(
        self,
        home: Path,
        *,
        size: int = 3 * PIECE - 1000,
        piece_size: int = PIECE,
        direct: bool = False,
    ) -> None:
        self.body = random.Random(size).randbytes(size)
        self.layout = Layout(piece_size, size)
        self.key = SigningKey.from_bytes(b"\1" * 32)
        self.threads = HandThreads(direct=direct)
        self.disk = DiskPool(self.threads, threads=self.threads)
        self.disk.start()
        self.clock: Clock = Slow()
        self._home = home
        self._stores = itertools.count()

    def file(self, *, length_known: bool = True) -> TaskFile:
        """An empty file in a store of its own."""
        store = open_store(self._home / f"store{next(self._stores)}", HotPieces(0))
        length = self.layout.length if length_known else None
        return store.create(TASK, FETCH, self.layout.piece_size, length)

    def full_file(self) -> TaskFile:
        """A file that holds the whole content."""
        file = self.file()
        file.write(0, [self.body])
        return file

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return self.layout.piece_count or 0

    def piece(self, piece: int) -> bytes:
        """The right bytes of a piece."""
        begin, end = self.layout.span(piece)
        return self.body[begin:end]

    def digest(self, piece: int) -> bytes:
        """The right digest of a piece."""
        return piece_digest(self.piece(piece))

    def run(
        self,
        first: int = 0,
        end: int | None = None,
        *,
        key: SigningKey | None = None,
        length_known: bool = True,
        wrong: tuple[int, ...] = (),
    ) -> bytes:
        """A signed run of the digests ``first`` to ``end``; those of ``wrong`` pieces are not
        those of the content."""
        pieces = range(first, self.count if end is None else end)
        run = Run(
            task=TASK,
            fetch=FETCH,
            piece_size=self.layout.piece_size,
            first=first,
            digests=tuple(b"?" * 32 if p in wrong else self.digest(p) for p in pieces),
            length=self.layout.length if length_known else None,
        )
        return sign_run(run, key or self.key)

    def content(
        self,
        file: TaskFile | None = None,
        *,
        length_known: bool = True,
        runs: bool = True,
    ) -> Content:
        """A content in a file of its own, with its digests unless ``runs`` is false."""
        file = file or self.file(length_known=length_known)
        length = self.layout.length if length_known else None
        manifest = Manifest(TASK, FETCH, self.layout.piece_size, length)
        content = Content(file, manifest, KeyRing([self.key.public]), self.disk, self.clock)
        if runs:
            for first in range(0, self.count, 256):
                content.add_run(self.run(first, min(self.count, first + 256)))
            self.threads.run()
        return content

    def on_disk(self, file: TaskFile, piece: int) -> bytes:
        """What the file holds of a piece."""
        begin, end = self.layout.span(piece)
        return file.read(begin, end - begin)
