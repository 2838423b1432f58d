"""The neighbours of one download, and how many of them hold each piece."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from dragonfly.sched.availability import Availability
from dragonfly.sched.neighbours import Neighbour
from dragonfly.sched.timing import FLOOR_S, SEED_FLOOR_S, Pace, Timing

__all__ = ["Neighbourhood"]


class Neighbourhood:
    """Who is there.

    Seeds do not count as holders: they have everything sooner or later, so that what only they
    have shown is rare.

    :param pace: of the download that they serve.
    :ivar members: the neighbours by their peers; it is changed from here only.
    :ivar availability: what those show that are no seeds.
    """

    def __init__(self, pace: Pace) -> None:
        self.availability = Availability()
        self._pace = pace
        self._members: dict[Hashable, Neighbour] = {}
        self.members: Mapping[Hashable, Neighbour] = self._members

    def add(self, peer: Hashable, *, seed: bool) -> None:
        """One more, which has shown nothing yet; one that is there already stays as it is."""
        timing = Timing(self._pace, floor_s=SEED_FLOOR_S if seed else FLOOR_S)
        self._members.setdefault(peer, Neighbour(peer, seed, timing))

    def remove(self, peer: Hashable) -> Neighbour | None:
        """It is gone; give what was known of it."""
        neighbour = self._members.pop(peer, None)
        if neighbour is not None and not neighbour.seed:
            self.availability.remove(neighbour.mask)
        return neighbour

    def show(self, peer: Hashable, mask: int) -> None:
        """``peer`` shows the pieces of ``mask``, some of them again perhaps."""
        neighbour = self._members.get(peer)
        if neighbour is None:
            return
        new = mask & ~neighbour.mask
        neighbour.mask |= new
        neighbour.shows += bool(new)
        if not neighbour.seed:
            self.availability.add(new)

    def demote(self, neighbour: Neighbour) -> None:
        """It does not choose for us: no seed, but one like the others."""
        if neighbour.seed:
            neighbour.seed = False
            neighbour.standing = 0
            self.availability.add(neighbour.mask)
