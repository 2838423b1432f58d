"""Bytes in memory, as many as there is room for: what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

_Key = TypeVar("_Key", bound=Hashable)


class Recent(Generic[_Key]):
    """Byte strings by key. To keep one and to get it is to use it.

    :param limit: bytes that are kept at most; one that is longer is not kept at all, and leaves
        no room for others.
    :ivar size: bytes that are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()

    def keep(self, key: _Key, data: bytes) -> None:
        """Keep ``data`` in the place of what ``key`` had."""
        self.size += len(data) - len(self._kept.pop(key, b""))
        self._kept[key] = data
        while self.size > self.limit:
            self.size -= len(self._kept.popitem(last=False)[1])

    def get(self, key: _Key) -> bytes | None:
        """What ``key`` has, if that is still here."""
        data = self._kept.get(key)
        if data is not None:
            self._kept.move_to_end(key)
        return data

    def drop(self, which: Callable[[_Key], bool]) -> None:
        """Forget all whose key is one of those; looks at every key."""
        for key in [key for key in self._kept if which(key)]:
            self.size -= len(self._kept.pop(key))
