"""One timer for a deadline that moves with every message."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["DeadlineTimer"]


class DeadlineTimer:
    """Calls back no later than the deadline; perhaps earlier.

    A deadline that moves away does not touch the timer: it fires early, and whoever is called
    sets it again, which is cheaper than a cancelled call for every message.
    """

    def __init__(self, clock: IReactorTime, due: Callable[[], object]) -> None:
        self._clock = clock
        self._due = due
        self._call: IDelayedCall | None = None
        self._at = 0.0

    def set(self, deadline: float) -> None:
        """Call at ``deadline`` by the clock, or before."""
        if self._call is not None:
            if self._at <= deadline:
                return
            self._call.cancel()
        self._at = deadline
        self._call = self._clock.callLater(max(0.0, deadline - self._clock.seconds()), self._fire)

    def stop(self) -> None:
        """Do not call."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _fire(self) -> None:
        self._call = None
        self._due()
