"""A deadline that is moved often and seldom comes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Watch"]

# Adding the seconds to a clock and taking them off again need not give the same number.
_ROUNDING_S = 0.001


class Watch:
    """Calls *late* if it is not called off in time.

    Moving it costs no timer: the one that runs finds out, when it fires, whether it is
    still wanted.  :meth:`close` takes that one away.
    """

    def __init__(self, clock: IReactorTime, late: Callable[[], object]) -> None:
        self._clock = clock
        self._late = late
        self._until: float | None = None
        self._timer: IDelayedCall | None = None
        self._fires = 0.0

    @property
    def running(self) -> bool:
        """Whether it waits for something."""
        return self._until is not None

    def within(self, seconds: float) -> None:
        """Wait for so long from now on, whatever was waited for before."""
        self.at(self._clock.seconds() + seconds)

    def at(self, deadline: float) -> None:
        """Wait until then by the clock, whatever was waited for before."""
        self._until = deadline
        if self._timer is None:
            self._start(deadline)
        elif self._fires > deadline:
            self._timer.cancel()
            self._start(deadline)

    def off(self) -> None:
        """What was waited for has come."""
        self._until = None

    def close(self) -> None:
        """Call it off for good; no timer is left."""
        self._until = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _start(self, deadline: float) -> None:
        self._fires = deadline
        left = max(0.0, deadline - self._clock.seconds())
        self._timer = self._clock.callLater(left, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._until - self._clock.seconds() > _ROUNDING_S:
            self._start(self._until)
            return
        self._until = None
        self._late()
