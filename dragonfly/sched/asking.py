"""One round of asking: which neighbour is asked for which piece now."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from dragonfly.sched.availability import Availability, random_piece
from dragonfly.sched.flights import ALL, Flights
from dragonfly.sched.neighbours import MAX_DEPTH, Flight, Neighbour
from dragonfly.sched.timing import NEVER, TICK_S, TIMES

__all__ = [
    "ANY_PATIENCE_S",
    "FEW",
    "IN_ORDER_AHEAD_BYTES",
    "IN_ORDER_PATIENCE_S",
    "IN_ORDER_PIECES",
    "IN_ORDER_READERS",
    "PART_DEPTH",
    "PART_PATIENCE_S",
    "Ask",
    "InOrder",
    "Round",
    "second_at",
    "starved_at",
]

FEW = 2
"""So many neighbours or fewer share all requests, since one at a time would leave a fast link
idle for a round trip after each piece. With more there are requests enough for everybody."""

GROWING_AHEAD = 2
"""Questions that stand at a seed beyond what it has shown while it is still fetching: what it
gets next can come at once."""

ANY_PATIENCE_S = 8.0
"""A seed that chose nothing for so long is asked by name for what nobody else has. Its
neighbours share its slots, so some waiting is normal, and naming spoils its choice (1.24
copies of the content left the seed instead of 1.04, measured)."""

IN_ORDER_PIECES = 2
"""The next missing pieces before an in-order reader that go before the rarest: of eight
requests two. With more, all peers that stream want the same pieces. Of several readers each has
its next one asked for, since none is to wait for the others."""

IN_ORDER_READERS = 8
"""So many readers are looked after at once, the hungriest ones: of twelve requests eight."""

IN_ORDER_AHEAD_BYTES = 4 * 1024 * 1024
"""A reader that has so much ahead can wait for the rarest first: at 100 Mb/s it lasts 0.3 s,
several response times, which is what a piece needs that is asked for when less is left."""

IN_ORDER_PATIENCE_S = 1.0
"""So long a reader's next piece is hoped for from a neighbour before a seed is asked for it by
name: at the start all peers want piece 0, and the seed should not send it to each of them."""

PART_PATIENCE_S = 0.25
"""The same where only parts are wanted: neighbours may never want what he waits for. A short part
needs no patience, since all of it can be asked for at once. When 32 hosts read the same from the
front, and the seed has the link of one, they end at 1.4 times the bound with this, at 1.3 with
1 s, at 2.9 with none; and if their next two pieces are named at once, at more than eight times
the bound (simulated)."""

PART_DEPTH = 4
"""Questions by name at a seed for who wants parts only, and has no standing ones there: nobody
else may have these parts, and one at a time would leave the link idle after each piece. With two
or eight a crowd that reads the same is no slower or faster (simulated)."""


@attrs.frozen
class Ask:
    """Ask ``peer`` for ``piece``; ``None``: for any (REQUEST_ANY, seeds only)."""

    peer: Any
    piece: int | None


@attrs.define(eq=False)
class InOrder:
    """Where in-order readers are, and how long each has lacked what it needs next.

    :ivar readers: the piece that each is at, and the bytes that it has before it waits; the
        hungriest first.
    """

    readers: Sequence[tuple[int, int]] = ()
    patience_s: float = IN_ORDER_PATIENCE_S
    _lacking: dict[int, float] = attrs.field(factory=dict)

    def set(self, readers: Sequence[tuple[int, int]]) -> None:
        """Where they are now."""
        self.readers = readers
        if not readers:
            self._lacking = {}

    def next_pieces(self, missing: int, now: float) -> list[int]:
        """Give the missing pieces that go before others now, the first one first."""
        hungry = [at for at, ahead in self.readers if ahead < IN_ORDER_AHEAD_BYTES]
        each = max(1, IN_ORDER_PIECES // max(1, len(hungry)))
        pieces: dict[int, None] = {}
        lacking: dict[int, float] = {}
        for place in hungry[:IN_ORDER_READERS]:
            following = _following(missing, place, each)
            pieces.update(dict.fromkeys(following))
            for first in following[:1]:
                lacking[first] = self._lacking.get(first, now)
        self._lacking = lacking
        return list(pieces)

    def hopes(self) -> list[float]:
        """When a seed is to be asked by name for the next piece of each."""
        return [since + self.patience_s for since in self._lacking.values()]

    def hoped_enough(self, piece: int, now: float) -> bool:
        """Whether ``piece`` is what a reader needs next, and was hoped for long enough."""
        since = self._lacking.get(piece)
        return since is not None and since + self.patience_s <= now + TICK_S


def _following(missing: int, place: int, most: int) -> list[int]:
    """Give the first of the missing pieces from ``place`` on."""
    left, base = missing >> place, place
    pieces: list[int] = []
    while left and len(pieces) < most:
        step = (left & -left).bit_length()
        base += step
        left >>= step
        pieces.append(base - 1)
    return pieces


def second_at(flight: Flight) -> float:
    """When a piece that is late in ``flight`` may be asked for at a second neighbour.

    In the end game only, and not before the half of a normal answer's time: most of what is
    under way then is about to come, and a copy of it helps nobody.
    """
    return flight.since + flight.neighbour.timing.response / 2


def starved_at(seed: Neighbour) -> float:
    """When ``seed`` may be asked by name because it chose nothing; never if not starved."""
    if seed.starved_since is None:
        return NEVER
    return seed.starved_since + max(ANY_PATIENCE_S, TIMES * seed.timing.response)


class Round:
    """Asks as many questions as there may be, most important ones first.

    :ivar asks: what came of it.
    """

    def __init__(
        self,
        neighbours: Iterable[Neighbour],
        flights: Flights,
        availability: Availability,
        rng: random.Random,
        *,
        out: int,
        now: float,
    ) -> None:
        self.asks: list[Ask] = []
        self._flights = flights
        self._availability = availability
        self._rng = rng
        self._out = out
        self._now = now
        able = [n for n in neighbours if n.is_able(now)]
        ready = [n for n in able if not n.rests(now)]
        self._ordinary = [n for n in able if not n.seed]
        self._ready = [n for n in ready if not n.seed]
        self._seeds = [n for n in ready if n.seed]
        count = len(able)
        self._few = count <= FEW
        self._depth = max(1, min(MAX_DEPTH, out) // max(1, count)) if self._few else 1
        self._part = flights.scope != ALL
        self._seed_depth = max(self._depth, PART_DEPTH) if self._part else self._depth

    def run(self, reader: InOrder) -> list[Ask]:
        """Ask; everything is in the books when this returns."""
        if self._flights.missing:
            if reader.readers:
                self._in_order(reader)
            self._rarest_first()
            self._end_game()
            for seed in self._seeds:
                self._only_there(seed)
        for seed in self._seeds:
            self._any(seed)
        return self.asks

    # -- the kinds of asking, in order -----------------------------------------------------

    def _in_order(self, reader: InOrder) -> None:
        """What a reader waits for, at whoever has it."""
        for piece in reader.next_pieces(self._flights.missing, self._now):
            if not self._flights.wanted >> piece & 1:
                continue
            free = [n for n in self._ready if n.holds(piece) and n.has_room(self._depth)]
            elsewhere = any(n.holds(piece) for n in self._ordinary)
            if not elsewhere and (self._few or reader.hoped_enough(piece, self._now)):
                free = [n for n in self._seeds if n.holds(piece) and self._may_name(n)]
            if free:
                self._ask(self._pick(free), piece)

    def _rarest_first(self) -> None:
        """The rarest of what a neighbour has, as long as somebody is free."""
        flights = self._flights
        if not flights.wanted or flights.out >= self._out:
            return
        free = [n for n in self._ready if n.has_room(self._depth)]
        while free and flights.wanted and flights.out < self._out:
            neighbour = self._pick(free)
            useful = neighbour.mask & ~neighbour.barred & flights.wanted
            if useful:
                self._ask(neighbour, self._choose(useful))
            if not useful or not neighbour.has_room(self._depth):
                free.remove(neighbour)

    def _end_game(self) -> None:
        """Nothing is left unrequested: late pieces at a second neighbour, never at a seed."""
        if self._flights.wanted or self._flights.out >= self._out:
            return
        missing, due = self._flights.missing, self._now + TICK_S
        late = [f for f in self._flights.alone() if second_at(f) <= due and missing >> f.piece & 1]
        for flight in late:
            free = [
                n
                for n in self._ready
                if n is not flight.neighbour and n.holds(flight.piece) and n.has_room(self._depth)
            ]
            if free:
                self._ask(self._pick(free), flight.piece)

    def _only_there(self, seed: Neighbour) -> None:
        """What only ``seed`` has and does not send by its own choice, by name."""
        useful = seed.mask & ~seed.barred & self._flights.wanted
        if not useful:
            seed.starved_since = None
            return
        if seed.starved_since is None:
            seed.starved_since = self._now
        patient = not self._part and starved_at(seed) > self._now + TICK_S
        if patient and not self._unknown(seed):
            useful &= seed.excluded if seed.standing else 0
        for neighbour in self._ordinary if useful else ():
            useful &= ~(neighbour.mask & ~neighbour.barred)
        while useful and self._may_name(seed):
            piece = self._choose(useful)
            useful &= ~(1 << piece)
            self._ask(seed, piece)

    def _any(self, seed: Neighbour) -> None:
        """Let ``seed`` choose, as often as it may have something for us; not where only parts
        are wanted, which it cannot know."""
        if self._part or self._unknown(seed):
            return
        useful = (seed.mask & self._flights.wanted).bit_count()
        most = useful + GROWING_AHEAD if seed.growing else useful
        flying = mask_in_flight(self._flights) if most else 0
        while seed.standing < most and seed.load - seed.named < seed.depth(self._depth):
            seed.excluded = seed.excluded & flying if seed.standing else flying
            seed.standing += 1
            self.asks.append(Ask(seed.peer, None))

    # -- helpers ------------------------------------------------------------------------------

    def _ask(self, neighbour: Neighbour, piece: int) -> None:
        if self._flights.out >= self._out:
            return
        solo = not neighbour.load
        self._flights.start(Flight(neighbour, piece, self._now, solo=solo))
        self.asks.append(Ask(neighbour.peer, piece))

    def _choose(self, useful: int) -> int:
        return random_piece(self._availability.rarest(useful), self._rng)

    def _pick(self, free: list[Neighbour]) -> Neighbour:
        """The faster of two: nobody is rushed at by all, and slow ones get less to do."""
        if len(free) == 1:
            return free[0]
        one = free[int(self._rng.random() * len(free))]
        other = free[int(self._rng.random() * len(free))]
        return one if one.timing.expected <= other.timing.expected else other

    def _may_name(self, seed: Neighbour) -> bool:
        return self._flights.out < self._out and seed.named < seed.depth(self._seed_depth)

    def _unknown(self, seed: Neighbour) -> bool:
        """Whether ``seed`` could choose a piece that cannot be verified."""
        return bool(seed.mask & ~self._flights.known)


def mask_in_flight(flights: Flights) -> int:
    """Give the missing pieces that a REQUEST_ANY asked now would name."""
    return flights.missing & ~flights.wanted
