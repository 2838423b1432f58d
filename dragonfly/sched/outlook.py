"""When pieces that nobody has are to be expected, by how fast others have come. Pure."""

from __future__ import annotations

import math

__all__ = ["SMOOTH_S", "WATCH_S", "Outlook"]

WATCH_S = 0.5
"""So long a swarm is watched before anything is said of it: neighbours tell what they have every
0.1 to 0.6 s, and the first ones are connected to in a few round trips."""

SMOOTH_S = 1.0
"""What came so long ago counts for a third: a front that has stopped is noticed in a second or
two, one that stops for a HAVE or two is not."""


class Outlook:
    """Watches one content's pieces appear in the swarm.

    Supernodes read origins from the front, so that how far a piece is from the last one before
    it that anybody has, and how fast new ones come, tells when it will be there.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._faded_at = now
        self._weight = 0.0
        self._seen = 0

    def met(self, pieces: int) -> None:
        """A neighbour came that has these (as bits); they are not new for that."""
        self._seen |= pieces

    def shown(self, pieces: int, now: float) -> None:
        """A neighbour has these by now, too."""
        new = pieces & ~self._seen
        if new:
            self._seen |= new
            self._fade(now)
            self._weight += new.bit_count()

    def due_s(self, wanted: int, held: int, now: float) -> float | None:
        """Give the seconds until somebody will have the ``wanted`` pieces.

        :param held: those that anybody has now. That it may be busy is another matter: 0.
        :return: infinite where nothing moves; ``None``: it was not watched for long enough.
        """
        missing = wanted & ~held
        if not missing:
            return 0.0
        if now - self._began < WATCH_S:
            return None
        last = missing.bit_length()
        front = (held & ((1 << last) - 1)).bit_length()
        rate = self._rate(now)
        return (last - front) / rate if rate > 0 else math.inf

    def _rate(self, now: float) -> float:
        """New pieces for each second."""
        self._fade(now)
        return self._weight / (SMOOTH_S * (1.0 - math.exp((self._began - now) / SMOOTH_S)))

    def _fade(self, now: float) -> None:
        if now > self._faded_at:
            self._weight *= math.exp((self._faded_at - now) / SMOOTH_S)
            self._faded_at = now
