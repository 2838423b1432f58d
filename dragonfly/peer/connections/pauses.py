"""Why a connection is not read for now, and how long that may last."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off

__all__ = ["DEAF_S", "PAUSE_LIMIT_S", "Pauses"]

PAUSE_LIMIT_S = 60.0
"""A paused socket does not show that the other side is gone, so no pause lasts longer."""

DEAF_S = 2.0
"""After a pause the neighbour gets so long before its silence counts: we did not listen."""


class Pauses:
    """The pauses of one connection, each with a token; it is read while there are none.

    :param stop: called when the first begins.
    :param go: called when the last is taken back.
    :param too_long: called when there were some for :data:`PAUSE_LIMIT_S` without a break.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        stop: Callable[[], object],
        go: Callable[[], object],
        too_long: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._go = go
        self._too_long = too_long
        self._tokens: set[Hashable] = set()
        self._timed: dict[Hashable, IDelayedCall] = {}
        self._limit: IDelayedCall | None = None
        self._deaf_until = 0.0

    def __bool__(self) -> bool:
        return bool(self._tokens)

    @property
    def deaf(self) -> bool:
        """Whether the other side's silence may be our own doing."""
        return bool(self._tokens) or self._clock.seconds() < self._deaf_until

    def add(self, token: Hashable) -> None:
        """Pause until ``token`` is taken back; a second one of that name changes nothing."""
        if token in self._tokens:
            return
        if not self._tokens:
            self._stop()
            self._limit = self._clock.callLater(PAUSE_LIMIT_S, self._lasted)
        self._tokens.add(token)

    def add_for(self, token: Hashable, seconds: float) -> None:
        """Pause for so long; not longer than half of :data:`PAUSE_LIMIT_S`."""
        self.add(token)
        if token not in self._timed:
            wait = min(seconds, PAUSE_LIMIT_S / 2)
            self._timed[token] = self._clock.callLater(wait, self.remove, token)

    def remove(self, token: Hashable) -> None:
        """Take back one pause; unknown tokens are no error."""
        timed = self._timed.pop(token, None)
        call_off(timed)
        if token not in self._tokens:
            return
        self._tokens.discard(token)
        if not self._tokens:
            self._stop_limit()
            self._deaf_until = self._clock.seconds() + DEAF_S
            self._go()

    def clear(self) -> None:
        """The connection is gone: forget all of them, and call nobody."""
        self._tokens.clear()
        self._stop_limit()
        for timed in self._timed.values():
            call_off(timed)
        self._timed.clear()

    def _lasted(self) -> None:
        self._limit = None
        self._too_long()

    def _stop_limit(self) -> None:
        limit, self._limit = self._limit, None
        call_off(limit)
