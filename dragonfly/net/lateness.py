"""How late the reactor is: the cheapest detector of something that blocks it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

__all__ = ["LatenessSampler"]

INTERVAL_S = 0.1


class LatenessSampler(Service):
    """Tells *observe*, ten times a second, by how many seconds its turn came late.

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
        self._loop = LoopingCall(self._sample)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to sample."""
        super().startService()  # type: ignore[no-untyped-call]
        self._due = self._clock.seconds() + self._interval_s
        self._loop.start(self._interval_s, now=False)

    def stopService(self) -> None:
        """Stop sampling."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()

    def _sample(self) -> None:
        now = self._clock.seconds()
        self._observe(max(0.0, now - self._due))
        # LoopingCall skips turns that were missed and keeps to its grid.
        self._due += self._interval_s * (1 + int((now - self._due) / self._interval_s))
