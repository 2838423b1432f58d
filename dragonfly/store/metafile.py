"""What is noted of one task beside its content; the time of the file says when it was used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dragonfly.errors import JournalCorrupt
from dragonfly.store.files import atomic_write, naming

__all__ = ["MetaFile"]


class MetaFile:
    """One small file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[int | None, dict[str, Any]]:
        """Give the length of the content, and the notes.

        :raises FileNotFoundError: there is none.
        :raises JournalCorrupt: it is not what was written.
        """
        data = self._path.read_bytes()
        try:
            saved = json.loads(data)
            length, meta = saved["length"], saved["meta"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise self._corrupt() from None
        sound = length is None or (isinstance(length, int) and length >= 0)
        if not sound or not isinstance(meta, dict):
            raise self._corrupt()
        return length, meta

    def write(self, length: int | None, meta: dict[str, Any]) -> None:
        """Replace it, atomically.

        :raises StoreError: it cannot be written; the old stays.
        """
        body = {"length": length, "meta": meta}
        atomic_write(self._path, json.dumps(body, indent=1).encode())

    def touch(self, now: float) -> None:
        """Note that the task was used at ``now`` (unix seconds).

        :raises StoreError: it cannot be noted.
        """
        with naming(self._path.parent):
            os.utime(self._path, (now, now))

    @property
    def last_used(self) -> float:
        """When it was last touched or written, in unix seconds; 0.0 if it is gone."""
        try:
            return os.stat(self._path).st_mtime
        except OSError:
            return 0.0

    def _corrupt(self) -> JournalCorrupt:
        return JournalCorrupt(f"{self._path}: not what was written there")
