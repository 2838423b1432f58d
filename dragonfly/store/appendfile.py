"""A file that only grows, whose end is known: a failed append leaves no trace."""

from __future__ import annotations

import os

from dragonfly.store.descriptors import Descriptors, StoredFile
from dragonfly.store.files import naming, pwrite_all

__all__ = ["AppendFile"]


class AppendFile:
    """Appends at a remembered end; what lies beyond it is torn and cut off first.

    :param end: where the good content ends.
    """

    def __init__(self, path: str, end: int, descriptors: Descriptors) -> None:
        self.file = StoredFile(path)
        self.end = end
        self._descriptors = descriptors
        self._torn = True

    @property
    def path(self) -> str:
        """Where it is."""
        return self.file.path

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end.

        :raises DiskFull: no space; the end stays where it was.
        :raises StoreError: it cannot be written.
        """
        with naming(self.path, len(data)), self._descriptors.use(self.file) as descriptor:
            if self._torn:
                os.ftruncate(descriptor, self.end)
            self._torn = True  # until it went well
            pwrite_all(descriptor, [data], self.end)
            self.end += len(data)
            self._torn = False
