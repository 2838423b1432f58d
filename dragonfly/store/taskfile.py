"""One task on disk: the content, and the files that tell of it.

Calls that write come one after another, from whichever thread; reads may run beside them.
Everything here blocks.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dragonfly.errors import JournalCorrupt, StoreError
from dragonfly.store.appendfile import AppendFile
from dragonfly.store.descriptors import Descriptors, StoredFile
from dragonfly.store.files import (
    atomic_write,
    naming,
    pread_cached,
    pread_exact,
    preallocate,
    pwrite_all,
    reserve,
)
from dragonfly.store.hot import HOT_PIECE_BYTES, HotPieces
from dragonfly.store.journal import encode_header, encode_records, recover
from dragonfly.store.metafile import MetaFile
from dragonfly.store.runfile import RunFile
from dragonfly.task.bitfield import Bitfield

__all__ = ["TaskFile"]

_NOT_CACHED = (errno.EAGAIN, errno.ENOENT)


class TaskFile:
    """The files of one task, in ``directory``; made by :class:`~.piecestore.PieceStore`.

    :param runs: what the file of signed runs holds already.
    :param hot: pieces of all tasks that need no look at the disk.
    """

    def __init__(
        self,
        directory: Path,
        descriptors: Descriptors,
        *,
        task: bytes,
        fetch: int,
        piece_size: int,
        length: int | None,
        meta: dict[str, Any],
        hot: HotPieces,
        runs: bytes = b"",
    ) -> None:
        self.hot = hot
        self.task = task
        self.fetch = fetch
        self.piece_size = piece_size
        self.length = length
        self.meta = meta
        self.recorded = Bitfield()
        """Pieces that the journal claimed when the task was loaded."""
        self.reserved = True
        """Whether space for all of it was asked for; not where parts are wanted."""
        self.path = directory / "data"
        self._directory = directory
        self._descriptors = descriptors
        self._data = StoredFile(str(self.path))
        self._journal = AppendFile(str(directory / "journal"), 0, descriptors)
        self._manifest = RunFile(str(directory / "manifest"), descriptors, runs)
        self._noted = MetaFile(directory / "meta.json")
        self._users = 0
        self._closing = False
        self._peekable = hot.limit > 0 and hasattr(os, "RWF_NOWAIT")

    # -- life --------------------------------------------------------------------

    def create(self) -> None:
        """Make the files; ``meta.json`` comes last, so a task without it never was.

        :raises DiskFull: no space for the content; remove the directory then.
        :raises StoreError: it cannot be written.
        """
        with naming(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in (self._data.path, self._manifest.file.path):
                os.close(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        header = encode_header(self.task, self.fetch, self.piece_size)
        atomic_write(self._journal.path, header)
        self._journal.end = len(header)
        if self.length is not None:
            self._resize(self.length)
        self.save_meta(self.meta)

    @classmethod
    def load(
        cls,
        directory: Path,
        descriptors: Descriptors,
        task: bytes,
        hot: HotPieces,
    ) -> TaskFile | None:
        """Open what an earlier run left; None if the task is not there.

        :raises JournalCorrupt: there is something, and it is not what was written.
        :raises StoreError: it cannot be read.
        """
        try:
            length, meta = MetaFile(directory / "meta.json").read()
        except FileNotFoundError:
            return None
        try:
            journal = (directory / "journal").read_bytes()
            runs = (directory / "manifest").read_bytes()
        except FileNotFoundError as error:
            raise JournalCorrupt(f"{error.filename} is missing") from None
        recovered = recover(journal, task)
        file = cls(
            directory,
            descriptors,
            task=task,
            fetch=recovered.fetch,
            piece_size=recovered.piece_size,
            length=length,
            meta=meta,
            hot=hot,
            runs=runs,
        )
        file.recorded = recovered.pieces
        file._journal.end = recovered.end
        return file

    def retain(self) -> None:
        """One more user: the file is not closed before each has released it."""
        self._users += 1

    def release(self) -> None:
        """One user less."""
        self._users -= 1
        if self._closing and self._users <= 0:
            self._close()

    @property
    def in_use(self) -> bool:
        """Whether somebody retains it."""
        return self._users > 0

    def close(self) -> None:
        """Let go of the descriptors, once nobody uses the file."""
        self._closing = True
        if self._users <= 0:
            self._close()

    def _close(self) -> None:
        for file in self._files:
            self._descriptors.close(file)

    def forget(self) -> None:
        """The task is removed: whatever has its name from now on is not touched from here.

        Every later use raises :exc:`~dragonfly.errors.StoreError`.
        """
        for file in self._files:
            self._descriptors.forget(file)

    @property
    def _files(self) -> tuple[StoredFile, ...]:
        return self._data, self._journal.file, self._manifest.file

    # -- content -------------------------------------------------------------------

    def write(self, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        """Write chunks one after another at ``offset``.

        :raises DiskFull: no space; what was there before may be overwritten in part.
        :raises StoreError: it cannot be written.
        """
        wanted = sum(map(len, chunks))
        with self._use_data(wanted) as descriptor:
            pwrite_all(descriptor, chunks, offset)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes.

        :raises StoreError: the file is shorter, or cannot be read.
        """
        with self._use_data() as descriptor:
            return pread_exact(descriptor, length, offset, self.path)

    def peek(self, piece: int, begin: int, length: int) -> bytes | None:
        """Give ``length`` bytes of ``piece`` from ``begin`` on, if that needs no waiting.

        They come from memory, or from the kernel's if it can tell (Linux, not on tmpfs);
        ``None``: :meth:`read` them in a thread. Only for the reactor's thread.
        """
        data = self.hot.get(self, piece)
        if data is not None:
            return data if length == len(data) else data[begin : begin + length]
        if not self._peekable or length > HOT_PIECE_BYTES:
            return None
        try:
            with self._descriptors.use(self._data) as descriptor:
                return pread_cached(descriptor, length, piece * self.piece_size + begin)
        except OSError as error:
            self._peekable = error.errno in _NOT_CACHED
            return None

    def stamp(self) -> tuple[int, int, int]:
        """Inode, length and time of the last write: as long as they are the same, so is the
        content, but for what a disk does by itself.

        :raises StoreError: the file cannot be looked at.
        """
        with self._use_data() as descriptor:
            found = os.fstat(descriptor)
        return found.st_ino, found.st_size, found.st_mtime_ns

    def set_length(self, length: int) -> None:
        """State the length of the content, once it is known; the file gets that long.

        :raises DiskFull: there is not that much space.
        """
        self._resize(length)
        self.length = length
        self.save_meta(self.meta)

    def reserve(self) -> None:
        """Have space for all of it, if that was not asked for before.

        :raises DiskFull: there is not that much space.
        """
        if not self.reserved and self.length:
            with self._use_data(self.length) as descriptor:
                reserve(descriptor, self.length, self.path)
        self.reserved = True

    def piece_length(self, piece: int) -> int:
        """Give the bytes of a piece; the last may be shorter."""
        if self.length is None:
            return self.piece_size
        return max(0, min(self.piece_size, self.length - piece * self.piece_size))

    def _resize(self, length: int) -> None:
        with self._use_data(length) as descriptor:
            if self.reserved:
                preallocate(descriptor, length, self.path)
            else:
                os.ftruncate(descriptor, length)

    @contextmanager
    def _use_data(self, wanted: int = 0) -> Iterator[int]:
        with naming(self.path, wanted), self._descriptors.use(self._data) as descriptor:
            yield descriptor

    def _check_there(self) -> None:
        if self._data.gone:
            raise StoreError(f"{self._directory} was removed from the store")

    # -- what survives -----------------------------------------------------------------

    def record(self, pieces: Iterable[int]) -> None:
        """Note in the journal that pieces were verified and written; one write.

        :raises DiskFull: no space; nothing was noted.
        """
        self._journal.append(encode_records(self.task, pieces))

    def append_run(self, raw: bytes) -> None:
        """Keep one signed run.

        :raises DiskFull: no space; it was not kept.
        """
        self._manifest.append(raw)

    def runs(self) -> list[bytes]:
        """Give all runs that were kept, in the order they came."""
        return self._manifest.all()

    def save_meta(self, meta: dict[str, Any]) -> None:
        """Replace what :attr:`meta` holds, atomically.

        :raises StoreError: it cannot be written; the old stays.
        """
        self._check_there()
        self._noted.write(self.length, meta)
        self.meta = meta

    def touch(self, now: float) -> None:
        """Note that the task was used at ``now`` (unix seconds).

        :raises StoreError: it cannot be noted.
        """
        self._check_there()
        self._noted.touch(now)

    @property
    def last_used(self) -> float:
        """When it was last used or written, in unix seconds; 0.0 if it is gone."""
        return self._noted.last_used
