"""Byte ranges that became ready, told together: some time's worth, or what a slow reader left."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off

__all__ = ["RANGES_EVERY_S", "RangeBatch", "merge"]

RANGES_EVERY_S = 0.02
"""Verified ranges are gathered this long: an event per piece would wake dfget each time."""


class RangeBatch:
    """Ranges that wait to be told; what waits is joined where it touches.

    :param tell: called with them, in order; never with none.
    """

    def __init__(
        self, clock: IReactorTime, tell: Callable[[list[tuple[int, int]]], object]
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._ranges: list[tuple[int, int]] = []
        self._timer: IDelayedCall | None = None
        self._held = False

    def add(self, ranges: list[tuple[int, int]]) -> None:
        """Tell of these, with what else comes in :data:`RANGES_EVERY_S`."""
        self._ranges.extend(ranges)
        if self._timer is None and not self._held:
            self._timer = self._clock.callLater(RANGES_EVERY_S, self.flush)

    def flush(self) -> None:
        """Tell of what waits, now."""
        self._stop_timer()
        ranges, self._ranges = self._ranges, []
        if ranges:
            self._tell(merge(ranges))

    def clear(self) -> None:
        """What waits is worth nothing."""
        self._ranges.clear()

    def hold(self) -> None:
        """Tell nothing by the timer until :meth:`release`: nobody reads it, or is there."""
        self._held = True
        self._stop_timer()

    def release(self) -> None:
        """Tell of what waits, and go on."""
        self._held = False
        self.flush()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        call_off(timer)


def merge(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort ranges and join those that touch."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
