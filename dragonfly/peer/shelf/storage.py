"""The blocking side of a shelf: files are opened, made and put away; runs on the disk pool."""

from __future__ import annotations

import os
from typing import Any

import attrs
from twisted.logger import Logger

from dragonfly.errors import JournalCorrupt, StoreError
from dragonfly.peer.shelf.catalogue import Shelved
from dragonfly.store.piecestore import PieceStore, TaskFile
from dragonfly.task.layout import Layout

__all__ = ["Storage", "Whole", "put_away"]


@attrs.frozen
class Whole:
    """All of a small content, and the runs that name its pieces."""

    data: bytes = attrs.field(repr=False)
    runs: tuple[bytes, ...] = attrs.field(repr=False)


class Storage:
    """A store whose damaged tasks are as good as none.

    Every method blocks, and but for :meth:`index` is for jobs of the task that it is about.
    """

    _log = Logger()

    def __init__(self, store: PieceStore) -> None:
        self._store = store

    def index(self) -> list[Shelved]:
        """Everything that can be gone on with."""
        found = []
        for task in self._store.tasks():
            try:
                file = self.load(task)
            except StoreError as error:  # it costs this task, not the others
                self._log.warn("cannot read a stored task: {error}", error=str(error))
                continue
            if file is not None:
                found.append(Shelved.of(file, file.last_used))
                file.close()
        return found

    def load(self, task: bytes) -> TaskFile | None:
        """Open a task; one that is damaged is removed.

        :raises StoreError: it cannot be read.
        """
        try:
            file = self._store.load(task)
        except JournalCorrupt:
            file = None
        if file is not None and file.length is not None and _size(file) != file.length:
            file = None
        if file is None:
            self._store.remove(task)
        return file

    def create(
        self, task: bytes, piece_size: int, length: int | None, meta: dict[str, Any]
    ) -> TaskFile:
        """Make a task anew that no supernode knows, whatever is there.

        :raises StoreError: there is no space for it, or it cannot be written.
        """
        return self._store.create(task, 0, piece_size, length, meta)

    def take(self, wanted: Shelved, whole: Whole | None, reserve: bool) -> TaskFile:
        """Open what is there of this very fetch, or make it anew.

        :param whole: all of it, verified, to be written.
        :param reserve: what is made anew gets space for all of it.
        :raises StoreError: there is no space for it, or it cannot be read or written.
        """
        file = self._open_or_make(wanted, reserve)
        if whole is not None:
            _write_whole(file, whole)
        return file

    def remove(self, task: bytes) -> None:
        """Delete it.

        :raises StoreError: it cannot be deleted.
        """
        self._store.remove(task)

    def _open_or_make(self, wanted: Shelved, reserve: bool) -> TaskFile:
        file = self.load(wanted.task)
        if file is not None and (file.fetch, file.piece_size) == (wanted.fetch, wanted.piece_size):
            if file.length is None and wanted.length is not None:
                file.set_length(wanted.length)
            if file.length == wanted.length or wanted.length is None:
                return file
        return self._store.create(
            wanted.task,
            wanted.fetch,
            wanted.piece_size,
            wanted.length,
            meta=wanted.meta,
            reserve=reserve,
        )


def put_away(file: TaskFile, now: float) -> None:
    """Close a file that is kept, with the time when it was used last."""
    file.touch(now)
    file.close()


def _write_whole(file: TaskFile, whole: Whole) -> None:
    file.write(0, [whole.data])
    if not file.runs():
        for raw in whole.runs:
            file.append_run(raw)
    count = Layout(file.piece_size, len(whole.data)).piece_count or 0
    file.record(piece for piece in range(count) if piece not in file.recorded)


def _size(file: TaskFile) -> int:
    try:
        return os.stat(file.path).st_size
    except OSError:
        return -1
