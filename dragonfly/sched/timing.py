"""How fast neighbours answer, how long they may be silent, how long they are left alone."""

from __future__ import annotations

import random

__all__ = [
    "BUSY_FIRST_S",
    "BUSY_MAX_S",
    "FLOOR_S",
    "LIMIT_MAX_S",
    "NEVER",
    "PAUSE_MAX_S",
    "SEED_FLOOR_S",
    "TICK_S",
    "TIMES",
    "UNMEASURED_S",
    "Pace",
    "Timing",
]

TIMES = 4
"""Silence of so many smoothed response times is a stall; with 2 some thirty questions of a
calm download were taken back for nothing, 16 wins nothing and finds a stall later."""

FLOOR_S = 0.5
"""No silence shorter than this is a stall: a loss that TCP repairs takes 0.2 s and more."""

SEED_FLOOR_S = 8.0
"""The same for seeds. All neighbours of a seed share its slots, and taking a piece back costs
bytes of the scarcest uplink, while the others go on feeding us."""

UNMEASURED_S = 1.0
"""Response time of a neighbour of which nothing is known, in a download of which nothing is."""

LIMIT_MAX_S = 60.0
"""Failures do not make a limit longer than this."""

PAUSE_MAX_S = 30.0
"""The longest time without a question for a neighbour that stalled; it may be the only one."""

BUSY_FIRST_S = 0.02
"""Pause after the first BUSY: a few round trips of a local net. Each further one doubles it."""

BUSY_MAX_S = 1.0
"""The longest pause after BUSY: slots free one by one, all the time."""

NEVER = float("inf")

TICK_S = 0.001
"""What is due so soon is due now; a timer is no more exact, and rounding must not make it fire
in circles."""

_WEIGHT = 0.125
_DRIFT = 1 / 32


class Pace:
    """What all neighbours together do: the smoothed response, and the time between pieces."""

    def __init__(self) -> None:
        self.response: float | None = None
        self.piece_s: float | None = None
        self._last: float | None = None

    def arrived(self, response: float | None, now: float) -> None:
        """A piece has come, ``response`` seconds after it was asked for, if it was."""
        if response is not None:
            self.response = _smooth(self.response, response)
        if self._last is not None:
            self.piece_s = _smooth(self.piece_s, now - self._last)
        self._last = now

    def rest(self) -> None:
        """Nothing is asked for any more: the time until the next piece says nothing."""
        self._last = None


class Timing:
    """What was measured of one neighbour.

    :ivar heard: when it sent the last byte or verdict.
    :ivar until: it is to be asked nothing before this.
    """

    def __init__(self, pace: Pace, *, floor_s: float = FLOOR_S) -> None:
        self.heard = float("-inf")
        self.until = float("-inf")
        self.failures = 0
        self._pace = pace
        self._floor = floor_s
        self._busy = 0
        self._response: float | None = None
        self._latency: float | None = None

    @property
    def expected(self) -> float:
        """How long an answer takes as far as is known; 0 for one that was never measured."""
        return 0.0 if self._response is None else self._response

    @property
    def response(self) -> float:
        """How long an answer takes, or may be thought to take."""
        if self._response is not None:
            return self._response
        return UNMEASURED_S if self._pace.response is None else self._pace.response

    @property
    def limit(self) -> float:
        """How long it may send nothing while it owes an answer.

        Doubles with each failure, so that somebody who is slow, not dead, is waited for.
        """
        base = max(self._floor, TIMES * self.response)
        if not self.failures:
            return base
        return max(base, min(LIMIT_MAX_S, base * 2.0 ** min(self.failures, 10)))

    def is_long(self) -> bool:
        """Whether its round trip is longer than four piece times."""
        between = self._pace.piece_s
        return self._latency is not None and between is not None and self._latency > 4 * between

    def began(self, latency: float) -> None:
        """The first byte of an answer came ``latency`` seconds after the question.

        The shortest counts; the others have waited for a slot.
        """
        if self._latency is None or latency < self._latency:
            self._latency = latency
        else:
            self._latency += (latency - self._latency) * _DRIFT

    def answered(self, response: float, now: float, *, asked: bool = True) -> None:
        """A whole answer came: what went wrong before is forgotten.

        :param asked: ``response`` counts from the question; else from the first byte of what
            a seed chose, which is no measure for others.
        """
        self._response = _smooth(self._response, response)
        self._pace.arrived(response if asked else None, now)
        self.failures = self._busy = 0
        self.until = float("-inf")

    def failed(self, now: float) -> None:
        """It was silent for too long, or refuses: leave it alone, longer each time."""
        pause = self.limit
        self.failures += 1
        self.until = now + min(PAUSE_MAX_S, 2 * pause)

    def busy(self, now: float, rng: random.Random) -> None:
        """It has no slot: a short pause, longer each time, and not the same for everybody."""
        pause = min(BUSY_MAX_S, BUSY_FIRST_S * 2.0 ** min(self._busy, 10))
        self._busy += 1
        self.heard = now
        self.until = max(self.until, now + pause * (0.5 + rng.random()))


def _smooth(old: float | None, sample: float) -> float:
    return sample if old is None else old + (sample - old) * _WEIGHT
