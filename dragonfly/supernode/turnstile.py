"""How many registrations wait at once, and when those beyond that are to come again.

Each waits for its origin, with a connection, a request and credentials in memory. Whoever is
sent away is told a time of his own, one after another at the pace at which registrations of
that origin end now: so a crowd comes back as fast as it can be served, not all at once, and
waits inside for less than it has patience. Pure: time comes in.
"""

from __future__ import annotations

import attrs

from dragonfly.errors import TrackerBusy

__all__ = [
    "INSIDE_EACH",
    "INSIDE_LEAST",
    "INSIDE_MAX",
    "RETRY_LEAST_S",
    "RETRY_MOST_S",
    "WAIT_MOST_S",
    "Turnstile",
]

INSIDE_MAX = 2048
"""Registrations that wait at once; with connection and TLS one takes some 60 KiB."""

INSIDE_EACH = 1536
"""Of them for one origin, so that one that is slow leaves room for the others."""

WAIT_MOST_S = 20.0
"""No more are let in than an origin is asked about in this time, a third of the 60 s for which
callers wait (``REGISTER_LIMIT_S`` of :mod:`dragonfly.peer.tracker.supernodes`): before they are
counted here they have waited for their turn to shake hands, and afterwards bytes may have to
come."""

INSIDE_LEAST = 64
"""So many are let in, however slow their origin is: 16 are asked for at once."""

RETRY_LEAST_S = 2.0
RETRY_MOST_S = 60.0
"""Nobody is sent away for longer: an origin that was slow may be fast again."""

PACE_S = 0.005
"""What one registration takes until that was measured."""

PACE_MOST_S = 1.0
PACE_WEIGHT = 1 / 32


@attrs.define(eq=False)
class _Origin:
    """Those who wait for one origin, how fast they end, and which turn was promised last.

    :ivar left_at: when the last one ended, if enough stayed behind for the next end to tell how
        fast they end; with few it would tell how fast they come.
    """

    inside: int = 0
    pace_s: float = PACE_S
    left_at: float | None = None
    promised: float = 0.0

    def room(self) -> float:
        return max(INSIDE_LEAST, WAIT_MOST_S / self.pace_s)

    def leave(self, now: float) -> None:
        if self.left_at is not None:
            took_s = min(now - self.left_at, PACE_MOST_S)
            self.pace_s += (took_s - self.pace_s) * PACE_WEIGHT
        self.inside -= 1
        self.left_at = now if self.inside > INSIDE_LEAST / 2 else None

    def turn(self, now: float) -> float:
        """The seconds to the next turn that nobody was promised."""
        first = now + RETRY_LEAST_S
        self.promised = max(first, self.promised + self.pace_s)
        if self.promised > now + RETRY_MOST_S:
            self.promised = first
        return self.promised - now


class Turnstile:
    """Counts registrations by origin.

    :param most: so many may be inside; ``each``: of them for one origin.
    """

    def __init__(self, *, most: int = INSIDE_MAX, each: int = INSIDE_EACH) -> None:
        self._most = most
        self._each = each
        self._origins: dict[str, _Origin] = {}
        self._others = _Origin()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, origin: str, now: float) -> None:
        """One more registration waits for ``origin``.

        :raises TrackerBusy: there are too many; it says when to come again.
        """
        found = self._origins.get(origin, self._others)
        if self._count >= self._most or found.inside >= min(self._each, found.room()):
            raise TrackerBusy(
                f"{self._count} registrations are waiting, {found.inside} of them for {origin}; "
                "no more are taken now",
                retry_after_s=found.turn(now),
            )
        self._count += 1
        self._origins.setdefault(origin, _Origin()).inside += 1

    def leave(self, origin: str, now: float) -> None:
        """One that waited for ``origin`` has its answer, or gave up."""
        self._count -= 1
        found = self._origins[origin]
        found.leave(now)
        if not found.inside:
            del self._origins[origin]
