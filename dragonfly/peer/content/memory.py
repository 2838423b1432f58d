"""Small contents in memory: what is asked for often, and costs more to read than it holds."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

__all__ = ["MEMORY_BYTES", "Memory", "Remembering"]

MEMORY_BYTES = 8 * 1024 * 1024
"""Some 800 contents of 10 KiB; a peer is to stay under 100 MiB in all."""


class Remembering(Protocol):
    """What has its bytes in memory for a while."""

    memory: bytes | None


class Memory:
    """Bounds what all contents of one peer have in memory; the least used forget first.

    :param most: bytes in all.
    """

    def __init__(self, most: int = MEMORY_BYTES) -> None:
        self._most = most
        self._held: OrderedDict[int, Remembering] = OrderedDict()
        self._bytes = 0

    def keep(self, content: Remembering, data: bytes) -> None:
        """Let ``content`` have all its bytes, ``data``, at hand."""
        self.forget(content)
        content.memory = data
        self._held[id(content)] = content
        self._bytes += len(data)
        while self._bytes > self._most:
            self.forget(next(iter(self._held.values())))

    def used(self, content: Remembering) -> None:
        """Somebody wants it again."""
        if id(content) in self._held:
            self._held.move_to_end(id(content))

    def forget(self, content: Remembering) -> None:
        """Its bytes are on disk only from now on."""
        if self._held.pop(id(content), None) is not None and content.memory is not None:
            self._bytes -= len(content.memory)
            content.memory = None
