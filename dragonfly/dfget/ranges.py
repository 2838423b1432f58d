"""Which bytes of a file are there: disjoint ranges, kept joined."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

__all__ = ["Ranges"]


class Ranges:
    """A set of byte positions as few half-open ranges."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    def add(self, begin: int, end: int) -> None:
        """Include ``begin`` up to, not including, ``end``."""
        if begin >= end:
            return
        # All ranges that overlap or touch become one with the new.
        first = bisect_left(self._ends, begin)
        last = bisect_right(self._begins, end)
        if first < last:
            begin = min(begin, self._begins[first])
            end = max(end, self._ends[last - 1])
        self._begins[first:last] = [begin]
        self._ends[first:last] = [end]

    def gaps(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The parts of ``begin`` to ``end`` that are not included."""
        missing = []
        for index in range(bisect_right(self._ends, begin), len(self._begins)):
            if self._begins[index] >= end:
                break
            if self._begins[index] > begin:
                missing.append((begin, self._begins[index]))
            begin = self._ends[index]
        if begin < end:
            missing.append((begin, end))
        return missing

    def reaches(self, begin: int) -> int:
        """Where the run of included bytes that starts at ``begin`` ends; ``begin`` if none."""
        index = bisect_right(self._begins, begin) - 1
        return max(begin, self._ends[index]) if index >= 0 else begin

    def clear(self) -> None:
        """Include nothing."""
        self._begins.clear()
        self._ends.clear()

    @property
    def total(self) -> int:
        """How many bytes are included."""
        return sum(self._ends) - sum(self._begins)
