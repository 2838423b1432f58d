"""Does a download starve? Judged by when it can be expected to end. Pure: time comes in."""

from __future__ import annotations

import math

__all__ = ["QUIET_S", "Hunger"]

QUIET_S = 3.0
"""Nothing at all for this long is starving, whatever was promised."""

SMOOTH_S = 3.0
"""Time constant of the smoothed rate."""

WARM_UP_S = 2.0
"""Rates of the first seconds promise nothing."""

SLACK_S = 10.0
"""A finish that slips by less than this is no reason to ask for anything."""

SLIP = 0.5
"""... nor one that slips by less than this share of the time it was to take."""


PROMISE_S = 10.0
"""What is slower than it was for longer than this, up to twice as long, is how fast it is. A
large content comes at the rate of the network until memory is full, and at that of disks from
then on: help from the origin that did not bring the end nearer is not asked for again. Where it
did, the better rate is a new promise."""


class Hunger:
    """Follows one download's bytes.

    Not how fast it is decides, but whether the end moves away: a slow link is no reason to
    burden the origin, a swarm that dries up is.
    """

    _weight: float
    _promised: float
    _promised_before: float

    def __init__(self, now: float) -> None:
        self.rest(now)

    def fed(self, length: int, now: float) -> None:
        """``length`` useful bytes came."""
        self._settle(now)
        self._weight += length
        self._fed_at = now

    def rate(self, now: float) -> float:
        """Smoothed bytes per second."""
        self._settle(now)
        span = 1.0 - math.exp(-max(now - self._began, 1e-3) / SMOOTH_S)
        return self._weight / (SMOOTH_S * span)

    def quiet_s(self, now: float) -> float:
        """Seconds since anything useful came."""
        return now - self._fed_at

    def expected_s(self, remaining: int, now: float) -> float | None:
        """Seconds that ``remaining`` bytes will take at this rate; ``None``: no telling."""
        rate = self.rate(now)
        return remaining / rate if rate >= 1.0 else None

    def rest(self, now: float) -> None:
        """Nothing is wanted now: what comes later is judged from its own beginning."""
        self._began = self._fed_at = self._rated_at = now
        self._weight = 0.0
        self._promised = self._promised_before = math.inf
        self._renew_at = now + PROMISE_S

    def starves(self, remaining: int | None, now: float) -> bool:
        """Whether ``remaining`` bytes will not come in anything like the time promised.

        :param remaining: ``None``: no end can be expected, since more is wanted when this has
            come; then only silence is hunger.
        """
        if remaining is not None and remaining <= 0:
            return False
        if self.quiet_s(now) >= QUIET_S:
            return True
        if remaining is None:
            return False
        expected = self.expected_s(remaining, now)
        if now - self._began < WARM_UP_S or expected is None:
            return False
        finish = now + expected
        promised = self._promise(finish, now)
        return finish - promised > max(SLACK_S, SLIP * (promised - self._began))

    def _promise(self, finish: float, now: float) -> float:
        """The earliest end that was to be expected lately."""
        if now >= self._renew_at:
            self._promised_before, self._promised = self._promised, math.inf
            self._renew_at = now + PROMISE_S
        self._promised = min(self._promised, finish)
        return min(self._promised_before, self._promised)

    def _settle(self, now: float) -> None:
        """Let the weight of old bytes fade up to ``now``."""
        if now > self._rated_at:
            self._weight *= math.exp((self._rated_at - now) / SMOOTH_S)
            self._rated_at = now
