"""Which piece a seed gives to which neighbour of one task.

A seed's uplink is what a swarm starts from, so nothing of it is to be sent twice before all
of it was sent once: each piece goes to one neighbour first, after that the rarest in sight.
A neighbour that gets pieces and passes none on wastes that uplink; how many of its pieces
nobody else shows is its *debt*, see :class:`~dragonfly.sched.seedturns.Turns` for what
follows from it. Sets of pieces are integers, see :mod:`dragonfly.task.bitfield`.
"""

from __future__ import annotations

import random
from typing import Any

import attrs

from dragonfly.sched.availability import Availability, random_piece

__all__ = ["ECHO_LIMIT", "ECHO_NEIGHBOURS", "REGIVE_S", "Receiver", "Seeding"]

ECHO_LIMIT = 4
"""Pieces that a neighbour may owe; free in a calm swarm, halves what a staller costs.

``None`` instead suits an uplink several times a peer's: there it costs 0.01 to 0.07."""

ECHO_NEIGHBOURS = 3
"""Neighbours of a task from which on debts count: of two nobody can tell which one stalls."""

REGIVE_S = 10.0
"""A piece that was given and not shown for so long is lost: a HAVE takes 0.25 s, a disk more."""


@attrs.define(eq=False)
class Receiver:
    """One neighbour as the seed sees it; made by :meth:`Seeding.add`.

    :ivar owner: whose it is.
    :ivar shown: pieces that it has.
    :ivar known: pieces whose digests it has; others are of no use to it.
    :ivar in_flight: pieces that it gets from others, as its last question said.
    :ivar busy: pieces that must not be chosen for it now, asked for by name or being sent.
    :ivar pending: pieces that were given to it and that it does not show.
    :ivar any: questions for any piece that wait.
    :ivar named: questions for a certain piece that wait.
    :ivar rests_until: see :class:`~dragonfly.sched.seedturns.Turns`.
    """

    seeding: Seeding
    owner: Any
    shown: int = 0
    known: int = 0
    in_flight: int = 0
    busy: int = 0
    pending: int = 0
    any: int = 0
    named: int = 0
    rests_until: float = 0.0
    _owed: int = 0
    _given: dict[int, float] = attrs.field(factory=dict)


class Seeding:
    """The pieces of one task and who has them.

    :param rng: breaks ties.
    :param echo_limit: the debt at which a neighbour is *limited*; ``None``: never.
    """

    def __init__(self, rng: random.Random, *, echo_limit: int | None = ECHO_LIMIT) -> None:
        self.running = 0
        """Answers under way to neighbours that were not limited when they began."""
        self._rng = rng
        self._echo_limit = echo_limit
        self._held = 0
        self._broken = 0
        self._receivers: set[Receiver] = set()
        self._copies = Availability()
        self._once = 0
        self._twice = 0

    # -- what changes ---------------------------------------------------------------

    def hold(self, pieces: int) -> None:
        """The first ``pieces`` pieces are here and may be given."""
        self._held = (1 << pieces) - 1

    def broke(self, piece: int) -> None:
        """This one cannot be read: never choose it again."""
        self._broken |= 1 << piece

    def add(self, owner: object) -> Receiver:
        """One more neighbour."""
        receiver = Receiver(self, owner)
        self._receivers.add(receiver)
        return receiver

    def remove(self, receiver: Receiver) -> None:
        """A neighbour is gone, and its pieces with it; no error if it went before."""
        if receiver not in self._receivers:
            return
        self._receivers.remove(receiver)
        self._copies.remove(receiver.shown | receiver.pending)
        self._recount()
        if len(self._receivers) < ECHO_NEIGHBOURS:
            for other in self._receivers:
                other._owed = 0  # noqa: SLF001 - the two are one thing

    def shows(self, receiver: Receiver, mask: int) -> bool:
        """``receiver`` has the pieces of ``mask``, too; tell whether that is news."""
        new = mask & ~receiver.shown
        if not new:
            return False
        receiver.shown |= new
        receiver.known |= new
        self._copies.add(new & ~receiver.pending)
        receiver.pending &= ~new
        self._twice |= self._once & new
        self._once |= new
        return True

    def shows_only(self, receiver: Receiver, mask: int) -> bool:
        """``receiver`` has the pieces of ``mask`` and no others; tell whether that is news."""
        gone = receiver.shown & ~mask
        if gone:
            receiver.shown &= mask
            self._copies.remove(gone)
            self._recount()
        return self.shows(receiver, mask) or bool(gone)

    # -- giving -----------------------------------------------------------------------

    def choose(self, receiver: Receiver) -> int | None:
        """The piece that ``receiver`` gets next; ``None``: there is none for it now.

        In ascending order as long as nobody has them: whoever reads in order waits less, and
        disks like it.
        """
        out = receiver.shown | receiver.pending | receiver.in_flight | receiver.busy
        able = self._held & receiver.known & ~(out | self._broken)
        if not able:
            return None
        rarest = self._copies.rarest(able)
        lowest = (rarest & -rarest).bit_length() - 1
        if not self._copies.count(lowest):
            return lowest
        return random_piece(rarest, self._rng)

    def give(self, receiver: Receiver, piece: int) -> None:
        """``piece`` is being sent to ``receiver``: it counts as a copy from now on."""
        bit = 1 << piece
        if (receiver.shown | receiver.pending) & bit:
            return
        receiver.pending |= bit
        self._copies.add(bit)
        if len(self._receivers) >= ECHO_NEIGHBOURS:
            receiver._owed |= bit  # noqa: SLF001

    def given(self, receiver: Receiver, piece: int, now: float) -> None:
        """All of ``piece`` was sent; ``receiver`` is to show it soon."""
        if receiver.pending >> piece & 1:
            receiver._given[piece] = now  # noqa: SLF001

    def take_back(self, receiver: Receiver, piece: int) -> None:
        """``receiver`` did not get ``piece`` after all."""
        bit = 1 << piece
        receiver._given.pop(piece, None)  # noqa: SLF001
        if receiver.pending & bit:
            receiver.pending &= ~bit
            receiver._owed &= ~bit  # noqa: SLF001
            self._copies.remove(bit)

    def lapse(self, receiver: Receiver, now: float) -> bool:
        """Take back what was given and not shown for :data:`REGIVE_S`; tell whether anything."""
        lapsed = False
        given = receiver._given  # noqa: SLF001
        while given:
            piece, at = next(iter(given.items()))
            if receiver.pending >> piece & 1:
                if now - at < REGIVE_S:
                    break
                self.take_back(receiver, piece)
                lapsed = True
            given.pop(piece, None)
        return lapsed

    # -- echo ---------------------------------------------------------------------------

    def debt(self, receiver: Receiver) -> int:
        """How many pieces that ``receiver`` was given no other neighbour has shown since.

        Pieces given while there were too few to pass them on to do not count.
        """
        if receiver._owed:  # noqa: SLF001
            others = self._twice | (self._once & ~receiver.shown)
            receiver._owed &= ~others  # noqa: SLF001
        return receiver._owed.bit_count()  # noqa: SLF001

    def limited(self, receiver: Receiver) -> bool:
        """Whether ``receiver`` owes so much that others go first."""
        if self._echo_limit is None or len(self._receivers) < ECHO_NEIGHBOURS:
            return False
        return self.debt(receiver) >= self._echo_limit

    def stallers(self) -> bool:
        """Whether those that are limited are few, half of the neighbours at most.

        When most owe, it is the way between them that is slow, and nobody is to blame.
        """
        return 2 * sum(map(self.limited, self._receivers)) <= len(self._receivers)

    def copies(self, piece: int) -> int:
        """How many neighbours show ``piece`` or are being given it."""
        return self._copies.count(piece)

    def _recount(self) -> None:
        """Somebody's pieces are gone: what the others show, afresh."""
        self._once = self._twice = 0
        for receiver in self._receivers:
            self._twice |= self._once & receiver.shown
            self._once |= receiver.shown
