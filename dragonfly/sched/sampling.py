"""A set from which a few members are drawn at random, however large it is."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["SampleSet"]

T = TypeVar("T", bound=Hashable)


class SampleSet(Generic[T]):
    """A set whose :meth:`sample` takes time for what it gives, not for what is there."""

    def __init__(self) -> None:
        self._members: list[T] = []
        self._places: dict[T, int] = {}

    def add(self, member: T) -> None:
        """Put ``member`` in; no error when it is in already."""
        if member not in self._places:
            self._places[member] = len(self._members)
            self._members.append(member)

    def discard(self, member: T) -> None:
        """Take ``member`` out, its place goes to the last; no error when it is not in."""
        place = self._places.pop(member, None)
        if place is None:
            return
        last = self._members.pop()
        if last != member:
            self._members[place] = last
            self._places[last] = place

    def sample(self, rng: random.Random, count: int) -> list[T]:
        """Give ``count`` different members in random order, or all if there are fewer."""
        return rng.sample(self._members, min(count, len(self._members)))

    def __contains__(self, member: object) -> bool:
        return member in self._places

    def __iter__(self) -> Iterator[T]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
