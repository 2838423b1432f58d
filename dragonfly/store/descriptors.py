"""Open files, bounded: a store of ten thousand tasks must not need as many descriptors."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

__all__ = ["OPEN_FILES_MAX", "Descriptors", "StoredFile"]

OPEN_FILES_MAX = 256
"""Files kept open while nobody uses them; the usual limit of a process is 1,024."""


@attrs.define(eq=False)
class StoredFile:
    """The file that had ``path`` when this was made; not whichever has that path now.

    Once ``gone`` it is not opened again, for its path may be another file's by then.
    """

    path: str
    gone: bool = False


@attrs.define(eq=False)
class _Open:
    descriptor: int
    users: int = 0
    unwanted: bool = False


class Descriptors:
    """Opens files on use and closes those not used for longest; for many threads.

    A file in use is never closed under its user: its number could be another file's by the
    next read.
    """

    def __init__(self, limit: int = OPEN_FILES_MAX) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[StoredFile, _Open] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def use(self, file: StoredFile) -> Iterator[int]:
        """Give a descriptor to read and write an existing file with, until the block ends.

        :raises OSError: it cannot be opened, or is gone.
        """
        with self._lock:
            entry = self._take(file)
        try:
            yield entry.descriptor
        finally:
            with self._lock:
                entry.users -= 1
                if entry.unwanted:
                    self._close_idle(file, entry)
                self._evict()

    def close(self, file: StoredFile) -> None:
        """Close a file as soon as nobody uses it; a later use opens it again."""
        with self._lock:
            self._let_go(file)

    def forget(self, file: StoredFile) -> None:
        """Close a file as soon as nobody uses it, and never open it again."""
        with self._lock:
            file.gone = True
            self._let_go(file)

    def close_all(self) -> None:
        """Close every file as soon as nobody uses it."""
        with self._lock:
            for file in list(self._open):
                self._let_go(file)

    # -- with the lock held ------------------------------------------------------------

    def _take(self, file: StoredFile) -> _Open:
        if file.gone:
            raise FileNotFoundError(None, "removed from the store", file.path)
        entry = self._open.get(file)
        if entry is None:
            entry = self._open[file] = _Open(os.open(file.path, os.O_RDWR | os.O_CLOEXEC))
        entry.users += 1
        entry.unwanted = False
        self._open.move_to_end(file)
        self._evict()
        return entry

    def _let_go(self, file: StoredFile) -> None:
        entry = self._open.get(file)
        if entry is not None:
            entry.unwanted = True
            self._close_idle(file, entry)

    def _evict(self) -> None:
        if len(self._open) <= self._limit:
            return
        for file, entry in list(self._open.items()):
            self._close_idle(file, entry)
            if len(self._open) <= self._limit:
                return

    def _close_idle(self, file: StoredFile, entry: _Open) -> None:
        if not entry.users:
            del self._open[file]
            os.close(entry.descriptor)
