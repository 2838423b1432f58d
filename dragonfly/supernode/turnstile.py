"""How many registrations wait at once, and when those beyond that are to come again.

Each waits for its origin, with a connection, a request and credentials in memory. Whoever is
sent away is told a time of his own, one after another at the pace at which registrations end
now: so a crowd comes back as fast as it can be served, not all at once. Pure: time comes in.
"""

from __future__ import annotations

from collections import Counter

from dragonfly.errors import TrackerBusy

__all__ = ["INSIDE_EACH", "INSIDE_MAX", "RETRY_LEAST_S", "RETRY_MOST_S", "Turnstile"]

INSIDE_MAX = 2048
"""Registrations that wait at once; with connection and TLS one takes some 60 KiB."""

INSIDE_EACH = 1536
"""Of them for one origin, so that one that is slow leaves room for the others."""

RETRY_LEAST_S = 2.0
RETRY_MOST_S = 60.0
"""Nobody is sent away for longer: an origin that was slow may be fast again."""

PACE_S = 0.005
"""What one registration takes until that was measured."""

PACE_MOST_S = 1.0
PACE_WEIGHT = 1 / 32


class Turnstile:
    """Counts registrations by origin, and measures how fast they end while many wait.

    :param most: so many may be inside; ``each``: of them for one origin.
    """

    def __init__(self, *, most: int = INSIDE_MAX, each: int = INSIDE_EACH) -> None:
        self._most = most
        self._each = each
        self._inside: Counter[str] = Counter()
        self._count = 0
        self._pace_s = PACE_S
        self._left_at = 0.0
        self._promised = 0.0

    def __len__(self) -> int:
        return self._count

    def enter(self, origin: str, now: float) -> None:
        """One more registration waits for ``origin``.

        :raises TrackerBusy: there are too many; it says when to come again.
        """
        if self._count >= self._most or self._inside[origin] >= self._each:
            raise TrackerBusy(
                f"{self._count} registrations are waiting, {self._inside[origin]} of them for "
                f"{origin}; at most {self._most} and {self._each} are taken at once",
                retry_after_s=self._turn(now),
            )
        self._count += 1
        self._inside[origin] += 1

    def leave(self, origin: str, now: float) -> None:
        """One that waited for ``origin`` has its answer, or gave up."""
        if self._count > self._each // 2:  # else it tells how fast they come
            took_s = min(now - self._left_at, PACE_MOST_S)
            self._pace_s += (took_s - self._pace_s) * PACE_WEIGHT
        self._left_at = now
        self._count -= 1
        self._inside[origin] -= 1
        if not self._inside[origin]:
            del self._inside[origin]

    def _turn(self, now: float) -> float:
        """The seconds to the next turn that nobody was promised."""
        first = now + RETRY_LEAST_S
        self._promised = max(first, self._promised + self._pace_s)
        if self._promised > now + RETRY_MOST_S:
            self._promised = first
        return self._promised - now
