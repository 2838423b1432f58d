"""Where every piece is between being wanted and being here."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import attrs

from dragonfly.sched.neighbours import Flight
from dragonfly.task.bitfield import mask_of

__all__ = ["ALL", "Flights"]

ALL = -1
"""The set of all pieces, however many there are."""


@attrs.define(eq=False)
class Flights:
    """The books of one download's pieces.

    A missing piece is *wanted*, or *flying* from one or several neighbours, or has *landed*
    (all bytes came, and are being verified); whatever ends a flight without the piece makes
    it wanted again. Pieces are bits of integers, see :mod:`dragonfly.task.bitfield`.

    :ivar known: pieces whose digests are known.
    :ivar scope: pieces that anybody here has a use for.
    :ivar absent: those that are known, and not here.
    :ivar missing: those of the absent that are in the scope.
    :ivar wanted: those of the missing that nobody is sending.
    :ivar out: requests by name under way; answers that a seed chose do not count.
    """

    known: int = 0
    scope: int = ALL
    absent: int = 0
    missing: int = 0
    wanted: int = 0
    out: int = 0
    _flying: dict[int, list[Flight]] = attrs.field(factory=dict)
    _landed: dict[int, set[Hashable]] = attrs.field(factory=dict)

    def learn(self, pieces: list[int]) -> None:
        """These can be verified, and are not here."""
        mask = mask_of(pieces)
        self.known |= mask
        self.absent |= mask
        self.look_for(self.scope)

    def look_for(self, scope: int) -> None:
        """Have only these asked for from now on; what is on its way stays so.

        The cost does not depend on how many pieces there are.
        """
        self.scope = scope
        self.missing = self.absent & scope
        self.wanted = self.missing & ~mask_of([*self._flying, *self._landed])

    def start(self, flight: Flight) -> None:
        """A neighbour was asked for a piece, or began to send it unasked."""
        flight.neighbour.flights[flight.piece] = flight
        self._flying.setdefault(flight.piece, []).append(flight)
        self.wanted &= ~(1 << flight.piece)
        self.out += not flight.any

    def turn_any(self, flight: Flight) -> None:
        """What was asked by name comes as the answer to a REQUEST_ANY."""
        self.out -= not flight.any
        flight.any = True

    def end(self, flight: Flight) -> None:
        """It brings nothing (more)."""
        self._drop(flight)
        self._settle(flight.piece)

    def land(self, flight: Flight) -> None:
        """All its bytes are here, to be verified."""
        self._drop(flight)
        if self.absent >> flight.piece & 1:
            self._landed.setdefault(flight.piece, set()).add(flight.neighbour.peer)

    def spoilt(self, piece: int, peer: Hashable) -> None:
        """The bytes that came from ``peer`` are of no use."""
        peers = self._landed.get(piece)
        if peers is not None:
            peers.discard(peer)
            if not peers:
                del self._landed[piece]
        self._settle(piece)

    def got(self, piece: int) -> list[Flight]:
        """It is here: give the flights that are still bringing it, ended."""
        bit = 1 << piece
        self.known |= bit
        self.absent &= ~bit
        self.missing &= ~bit
        self.wanted &= ~bit
        self._landed.pop(piece, None)
        flights = list(self._flying.get(piece, ()))
        for flight in flights:
            self._drop(flight)
        return flights

    def alone(self) -> Iterator[Flight]:
        """Give the flights whose piece comes from nobody else."""
        for piece, flights in self._flying.items():
            if len(flights) == 1 and piece not in self._landed:
                yield flights[0]

    def pieces(self) -> list[int]:
        """Give the pieces that are flying or have landed, those on their way from seeds last.

        A seed knows what it is sending, so of a list that is cut short these matter least.
        """
        chosen = [piece for piece, flights in self._flying.items() if flights[0].any]
        named = [piece for piece, flights in self._flying.items() if not flights[0].any]
        landed = [piece for piece in self._landed if piece not in self._flying]
        return [*named, *landed, *chosen]

    def _drop(self, flight: Flight) -> None:
        flight.neighbour.flights.pop(flight.piece, None)
        flights = self._flying[flight.piece]
        flights.remove(flight)
        if not flights:
            del self._flying[flight.piece]
        self.out -= not flight.any

    def _settle(self, piece: int) -> None:
        """Want the piece again if nothing brings it any more."""
        if piece not in self._flying and piece not in self._landed:
            self.wanted |= self.missing & 1 << piece
