"""The rate limits of one content: of those who want it, and of the whole home."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.interfaces import IReactorTime

from dragonfly.net.throttle import Flow, Throttle

__all__ = ["Pace"]


class Pace:
    """How fast one content may come.

    :param total: the limit of all downloads of the home, of which each content has the same
        part.
    """

    def __init__(self, total: Throttle, clock: IReactorTime) -> None:
        self._own = Throttle(clock)
        self.flows: tuple[Flow, ...] = (self._own.flow(self), total.flow(self))

    @property
    def rate(self) -> float | None:
        """What its clients allow, bytes for each second."""
        return self._own.rate

    def limit(self, rates: Iterable[int | None]) -> None:
        """Its clients have these limits: the most generous counts, since they share the bytes.

        When nobody is left, what was agreed last stays.
        """
        wanted = list(rates)
        if not wanted:
            return
        limited = [rate for rate in wanted if rate is not None]
        self._own.set(max(limited) if limited and len(limited) == len(wanted) else None)
