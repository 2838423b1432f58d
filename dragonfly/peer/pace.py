"""The rate limits of one content: of those who want it, and of the whole home."""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.limits import TokenBucket

__all__ = ["Pace", "TotalLimit"]


class TotalLimit:
    """The limit of all downloads of a home together; the last one that names a rate wins."""

    def __init__(self) -> None:
        self._bucket = TokenBucket(None)

    def set(self, rate: int | None) -> None:
        """Keep to ``rate`` bytes for each second from now on; ``None`` changes nothing."""
        if rate is not None and rate != self._bucket.rate:
            self._bucket = TokenBucket(rate)

    def take(self, length: int, now: float) -> float:
        """Take ``length`` bytes; give the seconds to wait before the next."""
        return self._bucket.take(length, now)


class Pace:
    """How fast one content may come."""

    def __init__(self, total: TotalLimit) -> None:
        self._total = total
        self._own = TokenBucket(None)

    def limit(self, rates: Iterable[int | None]) -> None:
        """Its clients have these limits: the most generous counts, since they share the bytes.

        When nobody is left, what was agreed last stays.
        """
        wanted = list(rates)
        if not wanted:
            return
        limited = [rate for rate in wanted if rate is not None]
        rate = max(limited) if limited and len(limited) == len(wanted) else None
        if rate != self._own.rate:
            self._own = TokenBucket(rate)

    def take(self, length: int, now: float) -> float:
        """Take ``length`` bytes; give the seconds to wait before the next."""
        return max(self._own.take(length, now), self._total.take(length, now))
