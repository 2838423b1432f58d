"""The signed runs of one task on disk: each with its size before it, one after another."""

from __future__ import annotations

import struct

from dragonfly.store.appendfile import AppendFile
from dragonfly.store.descriptors import Descriptors, StoredFile
from dragonfly.task.manifest import MAX_RUN_BYTES

__all__ = ["RunFile", "split_runs"]

_SIZE = struct.Struct(">I")


class RunFile:
    """Keeps runs, in memory too; what was torn by a crash is cut off.

    :param data: what the file holds already.
    """

    def __init__(self, path: str, descriptors: Descriptors, data: bytes = b"") -> None:
        self._runs, end = split_runs(data)
        self._appended = AppendFile(path, end, descriptors)

    @property
    def file(self) -> StoredFile:
        """The file itself."""
        return self._appended.file

    def append(self, raw: bytes) -> None:
        """Keep one signed run.

        :raises DiskFull: no space; it was not kept.
        :raises StoreError: it cannot be written.
        """
        self._appended.append(_SIZE.pack(len(raw)) + raw)
        self._runs.append(raw)

    def all(self) -> list[bytes]:
        """Give all runs that were kept, in the order they came."""
        return list(self._runs)


def split_runs(data: bytes) -> tuple[list[bytes], int]:
    """Take a manifest file apart: the runs, and where the last whole one ends."""
    runs = []
    at = 0
    while at + _SIZE.size <= len(data):
        (size,) = _SIZE.unpack_from(data, at)
        end = at + _SIZE.size + size
        if size > MAX_RUN_BYTES or end > len(data):
            break
        runs.append(data[at + _SIZE.size : end])
        at = end
    return runs, at
