"""Files as the plans see them: texts under absolute paths, wherever they really are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["MemoryTree", "Tree"]


class Tree(Protocol):
    """What is below one root, which is ``/`` or that of an image."""

    def read(self, path: str) -> str | None:
        """Give the text of a file, ``None`` where there is none.

        :raises ConfigError: it cannot be read, or is not UTF-8.
        """

    def names(self, path: str) -> list[str]:
        """Give the sorted names in a directory; none where there is no directory.

        :raises ConfigError: it cannot be read.
        """


class MemoryTree:
    """A tree that is a mapping from paths to texts."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> str | None:
        """Give the text."""
        return self.files.get(path)

    def names(self, path: str) -> list[str]:
        """Give the first parts of what is below."""
        start = path.rstrip("/") + "/"
        below = (file[len(start) :] for file in self.files if file.startswith(start))
        return sorted({name.partition("/")[0] for name in below})
