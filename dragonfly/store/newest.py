"""What is remembered of the newest so many, whatever it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

__all__ = ["Newest"]

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Newest(OrderedDict[_Key, _Value]):
    """A mapping with a limit: what was put in longest ago leaves first.

    :param most: how many entries stay.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def put(self, key: _Key, value: _Value) -> None:
        """Let ``key`` be the newest, in the place of what it had."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)
