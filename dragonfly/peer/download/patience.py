"""How long one download takes, and whether it keeps to its limits on time and rate."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off

__all__ = ["SLOW_AFTER_S", "Patience"]

SLOW_AFTER_S = 5.0
"""Rates are not judged before."""


class Patience:
    """The time of one download, from when this is made.

    :param timeout_s: it may take so long; ``None``: any time.
    :param min_rate: bytes per second that it must reach at least; ``None``: any.
    :param on_timeout: called when the time is over, unless it has ended.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        timeout_s: float | None,
        min_rate: int | None,
        on_timeout: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._min_rate = min_rate
        self._on_timeout = on_timeout
        self._began = clock.seconds()
        self._ended_at: float | None = None
        self._timeout: IDelayedCall | None = None

    @property
    def seconds(self) -> float:
        """How long it took, or takes so far."""
        end = self._ended_at if self._ended_at is not None else self._clock.seconds()
        return float(end - self._began)

    @property
    def ended(self) -> bool:
        """Whether it takes no longer."""
        return self._ended_at is not None

    def start(self) -> None:
        """It is under way: watch the time."""
        if self._timeout_s is not None:
            self._timeout = self._clock.callLater(self._timeout_s, self._timed_out)

    def end(self) -> None:
        """It is over."""
        self._ended_at = self._clock.seconds()
        timeout, self._timeout = self._timeout, None
        call_off(timeout)

    def spent(self, expected_s: float | None, rate: float, now: float) -> bool:
        """Whether the limits will not be met like this.

        :param expected_s: seconds that the rest takes, as far as one can see; ``None``: unknown.
        """
        seconds = now - self._began
        if self._min_rate is not None and seconds > SLOW_AFTER_S and rate < self._min_rate:
            return True
        if self._timeout_s is None or seconds < self._timeout_s / 4:
            return False
        return expected_s is None or seconds + expected_s > self._timeout_s

    def _timed_out(self) -> None:
        self._timeout = None
        self._on_timeout()
