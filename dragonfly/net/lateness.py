"""How late the reactor is: the cheapest detector of something that blocks it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from dragonfly.net.calloff import call_off

__all__ = ["BOUNDS_S", "INTERVAL_S", "Lateness", "LatenessSampler"]

INTERVAL_S = 0.5
"""Two looks a second cost nothing, also where a host runs many processes that are idle: a
process that wakes up finds its caches cold, and uses a third of a millisecond for each look."""

BOUNDS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
"""Upper bounds of the classes, as in the metrics of supernode and dfdaemon."""


class LatenessSampler(Service):
    """Tells *observe*, every *interval_s*, by how many seconds its turn came late.

    A turn of the reactor that takes longer than the interval is seen as one that is late by at
    least the difference, and at most by all of it; of shorter ones some are seen.

    :param clock: the reactor to watch.
    :param observe: takes seconds, never negative; usually a histogram's method.
    """

    def __init__(
        self,
        clock: IReactorTime,
        observe: Callable[[float], object],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._clock = clock
        self._observe = observe
        self._interval_s = interval_s
        self._due = 0.0
        self._first: IDelayedCall | None = None
        self._loop = LoopingCall(self._sample)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to sample, in the reactor's first turn: what comes before is not its lateness."""
        super().startService()  # type: ignore[no-untyped-call]
        self._first = self._clock.callLater(0, self._begin)

    def stopService(self) -> None:
        """Stop sampling."""
        super().stopService()  # type: ignore[no-untyped-call]
        call_off(self._first)
        if self._loop.running:
            self._loop.stop()

    def _begin(self) -> None:
        self._due = self._clock.seconds() + self._interval_s
        self._loop.start(self._interval_s, now=False)

    def _sample(self) -> None:
        now = self._clock.seconds()
        self._observe(max(0.0, now - self._due))
        # LoopingCall skips turns that were missed and keeps to its grid.
        self._due += self._interval_s * (1 + int((now - self._due) / self._interval_s))


class Lateness:
    """A histogram for a process that has no metrics, such as the peer of dfget.

    :ivar worst_s: the most that was observed.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)

    def observe(self, seconds: float) -> None:
        """Count one look."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.worst_s = max(self.worst_s, seconds)

    def told(self) -> dict[str, object]:
        """What a status shows: how many were at most so late, and the worst.

        The numbers grow from bound to bound, as Prometheus has it.
        """
        upto, total = {}, 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._counts, strict=True):
            total += count
            upto[bound] = total
        return {"le": upto, "worst_s": round(self.worst_s, 4)}
