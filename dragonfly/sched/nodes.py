"""Who is in a graph and who is linked with whom: the ground that :mod:`.graph` decides on."""

from __future__ import annotations

import random
from collections.abc import Iterable

import attrs

from dragonfly.sched.cycle import Cycle
from dragonfly.sched.peers import Labels
from dragonfly.sched.sampling import SampleSet

__all__ = ["BARRED_MAX", "Node", "Nodes"]

BARRED_MAX = 16
"""Peers that one has reported as unreachable and is not given again."""


@attrs.define(eq=False)
class Node:
    """One peer in the graph.

    :ivar core: on the cycles; the others are guests.
    :ivar chords: its edges beside the cycles.
    :ivar barred: nodes it is not to be linked with. Whoever left and came again is another
        node, and not barred.
    """

    labels: Labels
    core: bool = False
    done: bool = False
    chords: dict[bytes, None] = attrs.field(factory=dict)
    barred: dict[bytes, Node] = attrs.field(factory=dict)

    def bar(self, key: bytes, other: Node) -> None:
        """Do not link this one with ``other`` any more."""
        self.barred[key] = other
        while len(self.barred) > BARRED_MAX:
            del self.barred[next(iter(self.barred))]


class Nodes:
    """All nodes with their chords and cycles, and the core as sets to draw from.

    :param cycles: who is on them is the owner's business.
    """

    def __init__(self, cycles: list[Cycle[bytes]]) -> None:
        self.all: dict[bytes, Node] = {}
        self._cycles = cycles
        self._core: SampleSet[bytes] = SampleSet()
        self._sites: dict[str, SampleSet[bytes]] = {}

    def set_core(self, key: bytes, core: bool) -> None:
        """``key`` may be drawn from now on, or may not."""
        node = self.all[key]
        node.core = core
        site = self._sites.setdefault(node.labels.idc, SampleSet())
        for members in (self._core, site):
            if core:
                members.add(key)
            else:
                members.discard(key)
        if not site:
            del self._sites[node.labels.idc]

    def sample(self, rng: random.Random, count: int, *, idc: str = "") -> list[bytes]:
        """Some of the core, and as many more of site ``idc`` if that has a name."""
        found = self._core.sample(rng, count)
        if idc in self._sites and idc:
            found += self._sites[idc].sample(rng, count)
        return found

    def links(self, key: bytes) -> dict[bytes, None]:
        """All neighbours, in an order that does not depend on hashes."""
        found = dict.fromkeys(self.on_cycles(key))
        found.update(self.all[key].chords)
        found.pop(key, None)
        return found

    def on_cycles(self, key: bytes) -> Iterable[bytes]:
        """Who stands beside ``key`` on some cycle, with repetitions."""
        return [end for cycle in self._cycles for end in cycle.ends(key)]

    def degree(self, key: bytes) -> int:
        """How many neighbours."""
        return len(self.links(key))

    def link(self, key: bytes, other: bytes) -> None:
        """Make a chord."""
        self.all[key].chords[other] = None
        self.all[other].chords[key] = None

    def unlink(self, key: bytes, other: bytes) -> None:
        """Give a chord up; no error where there is none."""
        self.all[key].chords.pop(other, None)
        self.all[other].chords.pop(key, None)

    def bare_chords(self, key: bytes) -> list[bytes]:
        """The chords of ``key`` with no edge of a cycle beside them: to lose one is to lose a
        neighbour."""
        ringed = set(self.on_cycles(key))
        return [other for other in self.all[key].chords if other not in ringed]

    def guests_of(self, key: bytes) -> list[bytes]:
        """The guests among the chords of ``key``."""
        return [other for other in self.all[key].chords if not self.all[other].core]

    def suits(self, node: Node, other: bytes) -> bool:
        """Whether ``other`` is not barred by ``node``."""
        return node.barred.get(other) is not self.all[other]

    def distance(self, key: bytes, other: bytes) -> int:
        """How far apart two are by their labels."""
        return self.all[key].labels.distance(self.all[other].labels)
