"""A ring through all of its members: as long as it is whole, everybody reaches everybody."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Cycle"]

T = TypeVar("T", bound=Hashable)


class Cycle(Generic[T]):
    """Members in a ring, never empty: the first one stays for good."""

    def __init__(self, first: T) -> None:
        self._after: dict[T, T] = {first: first}
        self._before: dict[T, T] = {first: first}

    def insert(self, member: T, place: T) -> None:
        """Put ``member`` between ``place`` and the one after it.

        :raises ValueError: it is in already.
        """
        if member in self._after:
            raise ValueError(f"{member!r} is in the cycle already")
        after = self._after[place]
        self._after[place] = self._before[after] = member
        self._before[member], self._after[member] = place, after

    def remove(self, member: T) -> None:
        """Take ``member`` out; the two beside it become neighbours.

        :raises ValueError: it is the only one.
        """
        if len(self._after) == 1:
            raise ValueError("a cycle is never empty")
        before, after = self._before.pop(member), self._after.pop(member)
        self._after[before], self._before[after] = after, before

    def after(self, member: T) -> T:
        """The one that follows ``member``."""
        return self._after[member]

    def before(self, member: T) -> T:
        """The one that precedes ``member``."""
        return self._before[member]

    def beside(self, member: T) -> tuple[T, T]:
        """The one before ``member`` and the one after it; ``member`` itself if it is alone."""
        return self._before[member], self._after[member]

    def ends(self, member: T) -> tuple[T, ...]:
        """As :meth:`beside`; nobody for one that is not in."""
        before = self._before.get(member)
        return () if before is None else (before, self._after[member])

    def __contains__(self, member: object) -> bool:
        return member in self._after

    def __len__(self) -> int:
        return len(self._after)
