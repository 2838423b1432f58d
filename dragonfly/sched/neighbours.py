"""What the picker knows of one neighbour."""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from dragonfly.sched.timing import NEVER, TICK_S, Timing

__all__ = ["GONE_FIRST_S", "LONG_DEPTH", "MAX_DEPTH", "Flight", "Neighbour"]

MAX_DEPTH = 8
"""Requests that one neighbour can have at most: all there are, when there is no other."""

LONG_DEPTH = 2
"""Requests at a neighbour whose round trip is longer than four piece times. More is worse: a
piece that waits in a queue is bound to it (8 deep: 1.24 times the time, simulated)."""

GONE_FIRST_S = 1.0
"""A piece that is said to be gone is asked for again at the same neighbour after this, then
after twice as long, and so on: it may come back, and nobody else may have it."""


@attrs.define(eq=False)
class Flight:
    """One piece on its way from one neighbour.

    :ivar any: the seed chose it.
    :ivar solo: nothing else was asked of the neighbour then, so its first byte tells the
        round trip.
    """

    neighbour: Neighbour
    piece: int
    since: float
    any: bool = False
    solo: bool = False
    begun: bool = False


@attrs.define(eq=False)
class Neighbour:
    """One neighbour: what it holds, what it was asked, how it behaves.

    :ivar mask: the pieces that it has shown.
    :ivar barred: those that it must not be asked for, for ever or until they are in
        ``lifts`` no more.
    :ivar flights: what it sends or was asked by name.
    :ivar standing: REQUEST_ANYs without a piece yet.
    :ivar excluded: pieces that no standing REQUEST_ANY will bring, since all name them.
    :ivar starved_since: since when there was something to get from this seed, and nothing
        that it chose came.
    :ivar shows: how often it has shown pieces; a seed that did so once has everything.
    :ivar distrusted: it sent wrong bytes and is to be asked nothing.
    """

    peer: Hashable
    seed: bool
    timing: Timing
    mask: int = 0
    barred: int = 0
    lifts: dict[int, float] = attrs.field(factory=dict)
    flights: dict[int, Flight] = attrs.field(factory=dict)
    standing: int = 0
    excluded: int = 0
    starved_since: float | None = None
    shows: int = 0
    distrusted: bool = False
    _gone: dict[int, int] = attrs.field(factory=dict)
    _room: float = MAX_DEPTH

    @property
    def load(self) -> int:
        """Questions that it has not answered."""
        return self.standing + len(self.flights)

    @property
    def named(self) -> int:
        """Those of them that name a piece."""
        return sum(not flight.any for flight in self.flights.values())

    @property
    def growing(self) -> bool:
        """Whether more pieces may come to it: it has shown none, or some again and again."""
        return self.shows != 1

    def rests(self, now: float) -> bool:
        """Whether it is to be left alone for now."""
        return self.timing.until > now + TICK_S

    def is_able(self, now: float) -> bool:
        """Whether it may give us something soon: it is trusted, and not known to stall."""
        return not (self.distrusted or (self.timing.failures and self.rests(now)))

    def depth(self, common: int) -> int:
        """How many questions it should have, when ``common`` is right for most."""
        wish = max(common, LONG_DEPTH) if self.timing.is_long() else common
        return min(wish, int(self._room))

    def has_room(self, common: int) -> bool:
        """Whether it should have one more question, see :meth:`depth`."""
        load = self.standing + len(self.flights)
        return not load or load < self.depth(common)

    def holds(self, piece: int) -> bool:
        """Whether it may be asked for ``piece``."""
        return bool((self.mask & ~self.barred) >> piece & 1)

    def deadline(self) -> float:
        """When its silence becomes a stall; never while it owes nothing that has a limit."""
        if not self.flights:
            return NEVER
        timing = self.timing
        oldest = next(iter(self.flights.values())).since  # they are in the order of asking
        return max(oldest, timing.heard) + timing.limit

    # -- what it did --------------------------------------------------------------------

    def delivered(self, flight: Flight, now: float) -> None:
        """A whole piece came."""
        self.timing.answered(now - flight.since, now, asked=not flight.any)
        self._gone.pop(flight.piece, None)
        self._room = min(MAX_DEPTH, self._room + 1 / self._room)

    def crowded(self) -> None:
        """It has no slot for more than it has now."""
        self._room = max(1, self.load)

    def gone(self, piece: int, now: float) -> None:
        """It cannot give ``piece``: not again for a while."""
        times = self._gone.get(piece, 0)
        self._gone[piece] = times + 1
        self.barred |= 1 << piece
        self.lifts[piece] = now + GONE_FIRST_S * 2.0 ** min(times, 6)

    def lift(self, now: float) -> None:
        """Allow what was barred until now."""
        for piece in [p for p, until in self.lifts.items() if until <= now + TICK_S]:
            del self.lifts[piece]
            self.barred &= ~(1 << piece)
