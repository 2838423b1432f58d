"""All tasks of one home on disk; names are only ever hexadecimal ids.

One process at a time: the lock on the home sees to it. Everything here blocks.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from dragonfly.errors import StoreError, StoreUnusable
from dragonfly.store.descriptors import Descriptors
from dragonfly.store.files import atomic_write, naming
from dragonfly.store.hot import HotPieces
from dragonfly.store.taskfile import TaskFile
from dragonfly.task.digest import PieceHasher

__all__ = ["FORMAT", "PieceStore", "PieceWriter", "TaskFile", "verify_pieces"]

FORMAT = 1
"""Version of everything below the root; a store of another version is left alone."""

_FORMAT_PREFIX = "dragonfly store "
_GONE = ".gone-"
_TASK_ID = re.compile("[0-9a-f]{64}")
_HASH_BLOCK = 256 * 1024
_LIVE_SWEEP = 256
"""Tasks whose files are all gone are swept out when so many more are known than live."""


class PieceStore:
    """The tasks below ``root``.

    :param hot: what is served without a look at the disk.
    """

    def __init__(self, root: Path, hot: HotPieces | None = None) -> None:
        self.root = root
        self._tasks = root / "tasks"
        self._descriptors = Descriptors()
        self._hot = hot if hot is not None else HotPieces()
        self._lock = threading.Lock()
        self._live: dict[bytes, WeakSet[TaskFile]] = {}
        self._sweep_at = _LIVE_SWEEP

    def open(self) -> None:
        """Make the root, or check that it is a store of our version.

        What a crash left of making or removing a task is deleted.

        :raises StoreUnusable: it is of another version (nothing is touched), or cannot be
            written.
        """
        try:
            self._open()
        except StoreError as error:
            raise StoreUnusable(str(error)) from None

    def _open(self) -> None:
        marker = self.root / "format"
        with naming(marker):
            text = marker.read_bytes().decode("utf-8", "replace") if marker.exists() else ""
        if text and text.strip() != f"{_FORMAT_PREFIX}{FORMAT}":
            found = text.strip().removeprefix(_FORMAT_PREFIX)[:40]
            raise StoreError(f"{self.root} has store format {found!r}, this program has {FORMAT}")
        with naming(self.root):
            self._tasks.mkdir(parents=True, exist_ok=True)
        if not text:
            atomic_write(marker, f"{_FORMAT_PREFIX}{FORMAT}\n".encode())
        self._sweep()

    def _sweep(self) -> None:
        """Delete what no run finished: room for whole contents may hang on it."""
        with naming(self._tasks):
            for left in self._tasks.glob("??/*"):
                if _GONE in left.name or not (left / "meta.json").exists():
                    shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Close all files."""
        self._descriptors.close_all()

    def tasks(self) -> list[bytes]:
        """Give the ids of all tasks that are there."""
        return [
            bytes.fromhex(path.name)
            for path in sorted(self._tasks.glob("??/*"))
            if _TASK_ID.fullmatch(path.name) and (path / "meta.json").exists()
        ]

    def create(
        self,
        task: bytes,
        fetch: int,
        piece_size: int,
        length: int | None = None,
        meta: dict[str, Any] | None = None,
        *,
        reserve: bool = True,
    ) -> TaskFile:
        """Make room for a task; an earlier fetch of it is removed.

        :param reserve: space for all of it; ``False`` where parts of it are wanted.
        :raises DiskFull: there is no space for ``length`` bytes; nothing is left behind.
        :raises StoreError: it cannot be written.
        """
        self.remove(task)
        file = TaskFile(
            self._directory(task),
            self._descriptors,
            task=task,
            fetch=fetch,
            piece_size=piece_size,
            length=length,
            meta=meta or {},
            hot=self._hot,
        )
        file.reserved = reserve
        self._remember(file)
        try:
            file.create()
        except BaseException:
            self.remove(task)
            raise
        return file

    def load(self, task: bytes) -> TaskFile | None:
        """Open a task that is there; None if it is not.

        :raises JournalCorrupt: it is there, and not what was written; remove it.
        :raises StoreError: it cannot be read.
        """
        directory = self._directory(task)
        with naming(directory):
            file = TaskFile.load(directory, self._descriptors, task, self._hot)
        if file is not None:
            self._remember(file)
        return file

    def remove(self, task: bytes) -> None:
        """Remove a task; no error if it is not there.

        Its name is free at once. Its :class:`TaskFile` raises from now on, lest it touch what
        is made under the same name; who has opened the content by himself can read it to
        the end.

        :raises StoreError: it cannot be removed.
        """
        with self._lock:
            gone_files = list(self._live.pop(task, ()))
        for file in gone_files:
            file.forget()
        directory = self._directory(task)
        gone = directory.with_name(f"{directory.name}{_GONE}{secrets.token_hex(4)}")
        with naming(directory):
            try:
                os.rename(directory, gone)
            except FileNotFoundError:
                return
            shutil.rmtree(gone)

    def _remember(self, file: TaskFile) -> None:
        with self._lock:
            self._live.setdefault(file.task, WeakSet()).add(file)
            if len(self._live) > self._sweep_at:
                self._live = {task: files for task, files in self._live.items() if files}
                self._sweep_at = 2 * len(self._live) + _LIVE_SWEEP

    def _directory(self, task: bytes) -> Path:
        name = task.hex()
        return self._tasks / name[:2] / name


class PieceWriter:
    """Writes one piece part by part and hashes it on the way."""

    def __init__(self, file: TaskFile, piece: int, begin: int = 0) -> None:
        self._file = file
        self._at = piece * file.piece_size + begin
        self._hasher = PieceHasher()

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Hash and write the next bytes.

        :raises DiskFull: no space.
        """
        for chunk in chunks:
            self._hasher.update(chunk)
        self._file.write(self._at, chunks)
        self._at += sum(map(len, chunks))

    def digest(self) -> bytes:
        """Give the BLAKE3 of what was written so far."""
        return self._hasher.digest()


def verify_pieces(
    file: TaskFile, digest_of: Callable[[int], bytes | None], pieces: Iterable[int]
) -> list[int]:
    """Hash pieces as they lie on disk; give those that are what they should be.

    A piece that cannot be read, or has no digest, is not among them.
    """
    good = []
    for piece in pieces:
        expected = digest_of(piece)
        if expected is not None and _digest_on_disk(file, piece) == expected:
            good.append(piece)
    return good


def _digest_on_disk(file: TaskFile, piece: int) -> bytes | None:
    hasher = PieceHasher()
    begin = piece * file.piece_size
    end = begin + file.piece_length(piece)
    try:
        for at in range(begin, end, _HASH_BLOCK):
            hasher.update(file.read(at, min(_HASH_BLOCK, end - at)))
    except StoreError:
        return None
    return hasher.digest()
