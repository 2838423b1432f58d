"""Who is asked for which piece: the decisions of one download.

Rarest first, few requests, balanced, bounded in time. The picker keeps books and decides;
its owner speaks with the neighbours and tells it what happened. Whatever happens, a missing
piece is either wanted, or on its way from somebody with a deadline, or being verified.
``doc/protocol.rst``, *Behaviour*, has the rules that neighbours rely on.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from typing import Any

import attrs

from dragonfly.errors import ErrorCode
from dragonfly.sched.asking import (
    IN_ORDER_PATIENCE_S,
    PART_PATIENCE_S,
    Ask,
    InOrder,
    Round,
    second_at,
    starved_at,
)
from dragonfly.sched.flights import ALL, Flights
from dragonfly.sched.neighbourhood import Neighbourhood
from dragonfly.sched.neighbours import Flight, Neighbour
from dragonfly.sched.timing import NEVER, TICK_S, Pace

__all__ = ["ALL", "OUT", "Ask", "Cancel", "Late", "Picker"]

OUT = 12
"""Requests by name under way at once: more than there are neighbours, so one at each. On their
way behind pieces that go to the same neighbour a quarter of them is idle; with 8 at nine
neighbours six brought something, and the median peer needed 1.11 times the bound, with 12 it
needs 1.07 (simulated, 64 hosts)."""


@attrs.frozen
class Cancel:
    """``piece`` is here: take the question for it back from ``peer``."""

    peer: Any
    piece: int


@attrs.frozen
class Late:
    """``peer`` did not send ``piece`` in time, or what it sends is of no use: take the question
    back. ``None`` stands for a REQUEST_ANY; these are never late, since a seed may have nothing,
    but what a seed would choose may be of no use.
    """

    peer: Any
    piece: int | None


class Picker:
    """Decides what to ask of whom in one download.

    Call :meth:`next_asks` after anything that could let more be asked, and :meth:`expire` at
    :meth:`next_deadline`. Peers are any hashable objects; those that are not (or no longer)
    known are ignored, for news of them crosses their end.

    :param rng: breaks ties.
    :param out: requests by name that may be under way at once.
    """

    def __init__(self, *, rng: random.Random, out: int = OUT) -> None:
        self._rng = rng
        self._out = out
        self._now = float("-inf")
        self._pace = Pace()
        self._flights = Flights()
        self._reader = InOrder()
        self._neighbourhood = Neighbourhood(self._pace)
        self._neighbours = self._neighbourhood.members
        self._useless: list[Flight] = []

    # -- what there is to know ---------------------------------------------------------

    @property
    def in_flight(self) -> list[int]:
        """What REQUEST_ANY is to name: pieces on their way, or being verified."""
        return self._flights.pieces()

    @property
    def missing(self) -> int:
        """The pieces that are to be asked for and are not here, as bits."""
        return self._flights.missing

    @property
    def piece_s(self) -> float | None:
        """Smoothed seconds between two pieces; ``None`` before there were two."""
        return self._pace.piece_s

    def next_deadline(self) -> float | None:
        """When :meth:`expire` and then :meth:`next_asks` are to be called, whatever happens."""
        soonest = self._now if self._useless else NEVER
        for neighbour in self._neighbours.values():
            if neighbour.flights and (due := neighbour.deadline()) < soonest:
                soonest = due
        if self._flights.missing:
            # What was due before has had its chance in the last round of asking.
            had = self._now + TICK_S
            soonest = min([soonest, *[due for due in self._chances() if due > had]])
        return None if soonest == NEVER else soonest

    # -- neighbours -----------------------------------------------------------------------

    def add_peer(self, peer: Hashable, *, seed: bool) -> None:
        """A neighbour is there; it has shown nothing yet."""
        self._neighbourhood.add(peer, seed=seed)

    def remove_peer(self, peer: Hashable) -> None:
        """It is gone: what it was asked for is wanted again; what landed is still awaited."""
        neighbour = self._neighbourhood.remove(peer)
        if neighbour is not None:
            self._take_back(neighbour)

    def peer_has(self, peer: Hashable, mask: int) -> None:
        """``peer`` shows the pieces of ``mask``."""
        self._neighbourhood.show(peer, mask)

    # -- pieces -----------------------------------------------------------------------------

    def learn(self, pieces: list[int]) -> None:
        """These can be verified, and are not here: they may be asked for."""
        self._flights.learn(pieces)

    def got(self, piece: int, now: float) -> list[Cancel]:
        """``piece`` is here, verified, wherever it came from.

        :return: the questions for it that are still open; they count as taken back.
        """
        self._now = max(self._now, now)
        return [Cancel(f.neighbour.peer, piece) for f in self._flights.got(piece)]

    def failed(self, piece: int, peer: Hashable) -> None:
        """``peer`` sent wrong bytes: it is asked for nothing any more."""
        self._flights.spoilt(piece, peer)
        neighbour = self._neighbours.get(peer)
        if neighbour is not None:
            neighbour.distrusted = True
            self._take_back(neighbour)

    def look_for(self, scope: int) -> list[Late]:
        """Only the pieces of ``scope`` are of use from now on; :data:`ALL`: all, as at first.

        What was asked for by name may come all the same. While the scope is less than all seeds
        are asked by name, for they do not know it: pieces of it by chance, so that neighbours
        get different ones, and what a reader needs next when nobody got that.

        :return: the standing questions that are of no use any more; they count as taken back.
        """
        self._flights.look_for(scope)
        self._reader.patience_s = IN_ORDER_PATIENCE_S if scope == ALL else PART_PATIENCE_S
        useless: list[Late] = []
        if scope != ALL:
            for neighbour in self._neighbours.values():
                useless += [Late(neighbour.peer, None)] * neighbour.standing
                neighbour.standing = 0
                neighbour.starved_since = None
        return useless

    def want_in_order(self, readers: Sequence[tuple[int, int]]) -> None:
        """Each reader is at a piece, and has so many bytes before it waits; the hungriest first."""
        self._reader.set(readers)

    # -- asking ------------------------------------------------------------------------------

    def next_asks(self, now: float) -> list[Ask]:
        """Decide what to ask now. All of it counts as asked."""
        self._now = max(self._now, now)
        for neighbour in self._neighbours.values():
            if neighbour.lifts:
                neighbour.lift(now)
        turn = Round(
            self._neighbours.values(),
            self._flights,
            self._neighbourhood.availability,
            self._rng,
            out=self._out,
            now=now,
        )
        return turn.run(self._reader)

    def any_started(self, peer: Hashable, piece: int) -> None:
        """A seed chose ``piece`` as the answer to a REQUEST_ANY, and sends it."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            return
        flight = neighbour.flights.get(piece)
        if flight is not None and flight.any:
            return
        neighbour.standing = max(0, neighbour.standing - 1)
        neighbour.starved_since = None
        if flight is not None:
            self._flights.turn_any(flight)
            return
        flight = Flight(neighbour, piece, self._now, any=True)
        self._flights.start(flight)
        if not self._flights.missing >> piece & 1:
            self._useless.append(flight)

    def progress(self, peer: Hashable, piece: int, length: int, now: float) -> None:  # noqa: ARG002
        """Bytes of ``piece`` came from ``peer``: it lives."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            return
        neighbour.timing.heard = now
        flight = neighbour.flights.get(piece)
        if flight is None:
            return
        if flight.any:
            neighbour.starved_since = None
        if not flight.begun:
            flight.begun = True
            if flight.solo:
                neighbour.timing.began(now - flight.since)

    def arrived(self, peer: Hashable, piece: int, now: float) -> None:
        """The last byte of ``piece`` came from ``peer``: it can be asked for something else.

        :meth:`got`, :meth:`failed` or :meth:`rejected` (``GONE``: ask again) tells what the
        bytes were worth.
        """
        neighbour = self._neighbours.get(peer)
        flight = neighbour.flights.get(piece) if neighbour is not None else None
        if neighbour is None or flight is None:
            return
        self._now = max(self._now, now)
        self._flights.land(flight)
        neighbour.timing.heard = now
        neighbour.delivered(flight, now)
        if not any(n.load for n in self._neighbours.values()):
            self._pace.rest()

    # -- what goes wrong ------------------------------------------------------------------------

    def rejected(self, peer: Hashable, piece: int | None, code: int, now: float) -> None:
        """``peer`` will not send ``piece`` (``None``: a piece of its choice), and says why.

        ``BUSY``: others are asked, and ``peer`` after a short pause. ``GONE``: not this piece
        for a while; also said of a piece that landed and must come once more. ``NOT_ALLOWED``:
        never this piece, or never REQUEST_ANY: no seed for us, then. Others: as ``BUSY``.
        """
        self._now = max(self._now, now)
        neighbour = self._neighbours.get(peer)
        flight = neighbour.flights.get(piece) if neighbour and piece is not None else None
        if flight is not None and flight.any and code == ErrorCode.BUSY:
            return  # its name was asked for while it was on its way as the answer to ANY
        if flight is not None:
            self._flights.end(flight)
        if piece is not None and code == ErrorCode.GONE:
            self._flights.spoilt(piece, peer)
        if neighbour is not None:
            self._judge(neighbour, piece, code, now)

    def excuse(self, peer: Hashable, now: float) -> None:
        """It could not be heard until now, so that its silence is not its fault."""
        neighbour = self._neighbours.get(peer)
        if neighbour is not None:
            neighbour.timing.heard = max(neighbour.timing.heard, now)

    def expire(self, now: float) -> list[Late]:
        """Take back what has been silent for too long, and what nobody needs."""
        self._now = max(self._now, now)
        useless = [f for f in self._useless if f.neighbour.flights.get(f.piece) is f]
        self._useless = []
        for flight in useless:
            self._flights.end(flight)
        late = [Late(flight.neighbour.peer, flight.piece) for flight in useless]
        for neighbour in self._neighbours.values():
            if neighbour.deadline() <= now + TICK_S:
                late += [Late(neighbour.peer, piece) for piece in neighbour.flights]
                for flight in list(neighbour.flights.values()):
                    self._flights.end(flight)
                neighbour.timing.failed(now)
        return late

    # -- inside -----------------------------------------------------------------------------------

    def _judge(self, neighbour: Neighbour, piece: int | None, code: int, now: float) -> None:
        """Draw the consequences of a REJECT for who said it."""
        if piece is None:
            neighbour.standing = max(0, neighbour.standing - 1)
        if code == ErrorCode.NOT_ALLOWED and piece is None:
            self._neighbourhood.demote(neighbour)
        elif code == ErrorCode.NOT_ALLOWED:
            neighbour.barred |= 1 << (piece or 0)
            neighbour.timing.failed(now)
        elif code == ErrorCode.GONE and piece is not None:
            neighbour.gone(piece, now)
            neighbour.timing.busy(now, self._rng)
        else:
            neighbour.crowded()
            neighbour.timing.busy(now, self._rng)

    def _take_back(self, neighbour: Neighbour) -> None:
        for flight in list(neighbour.flights.values()):
            self._flights.end(flight)
        neighbour.standing = 0

    def _chances(self) -> list[float]:
        """Give the times at which more may be asked because others have passed."""
        neighbours = self._neighbours.values()
        chances = [neighbour.timing.until for neighbour in neighbours]
        for neighbour in neighbours:
            if neighbour.lifts:
                chances += neighbour.lifts.values()
            if neighbour.starved_since is not None:
                chances.append(starved_at(neighbour))
        if self._reader.readers:
            chances += self._reader.hopes()
        if not self._flights.wanted:
            chances += map(second_at, self._flights.alone())
        return chances
