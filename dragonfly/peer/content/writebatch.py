"""Verified pieces on their way to the disk, several in one job.

A job of the disk pool costs about as much as all else that is done for a small piece. Others
get such a piece from memory meanwhile; the user's own download sees it when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["BATCH_BYTES", "BATCH_S", "READER_BATCH_S", "Verified", "WriteBatch"]

BATCH_S = 1.0
"""How long a verified piece may wait for others; the first after a pause does not wait. Each job
wakes two threads, and the process once more."""

READER_BATCH_S = 0.2
"""The same while somebody reads what comes in its order: he sees what is written."""

BATCH_BYTES = 1024 * 1024
"""So much is written at once."""


@attrs.frozen(eq=False)
class Verified:
    """One verified piece, whole."""

    piece: int
    source: Hashable
    data: bytes


class WriteBatch:
    """Gathers verified pieces of one file.

    :param write: has the disk pool write pieces; called on the reactor's thread.
    :ivar wait_s: how long a piece may wait from now on.
    """

    def __init__(self, clock: IReactorTime, write: Callable[[list[Verified]], None]) -> None:
        self.wait_s = BATCH_S
        self._clock = clock
        self._write = write
        self._waiting: list[Verified] = []
        self._size = 0
        self._last = float("-inf")
        self._timer: IDelayedCall | None = None

    def add(self, verified: Verified) -> None:
        """Write it soon."""
        self._waiting.append(verified)
        self._size += len(verified.data)
        now = self._clock.seconds()
        if self._size >= BATCH_BYTES or now - self._last >= self.wait_s:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._last + self.wait_s - now, self._due)

    def flush(self) -> None:
        """Write what waits now."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        waiting, self._waiting, self._size = self._waiting, [], 0
        if waiting:
            self._last = self._clock.seconds()
            self._write(waiting)

    def _due(self) -> None:
        self._timer = None
        self.flush()
