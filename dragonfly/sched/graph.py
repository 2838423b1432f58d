"""Net-paths: which peers of a task connect to which.

The graph is a union of random cycles through all peers that can be reached, the seed being
one of them. Each cycle alone holds the swarm together, whoever comes or goes; together they
give everybody, the seed too, the same few neighbours, about as many as a peer has upload
slots. A peer enters each cycle at a place that suits it: most of them near hosts with its
labels, one anywhere, so that the swarm does not fall apart into sites. *Chords*, a few more
edges beside the cycles, even the degrees out.

Peers that nobody can reach are *guests*: not on a cycle, they dial some that can be reached,
while those have room. One that finds no room has the seed, beyond the seed's own degree.

All calls take time for a few neighbours and samples, never for the whole swarm; there is no
clock, and chance is handed in.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from dragonfly.sched.cycle import Cycle
from dragonfly.sched.guests import squeeze_in
from dragonfly.sched.nodes import Node, Nodes
from dragonfly.sched.peers import Labels
from dragonfly.sched.sampling import SampleSet

__all__ = ["CYCLES", "DEGREE", "DEGREE_MAX", "Graph"]

CYCLES = 4
"""Twice that many neighbours come from cycles: as many as there are upload slots."""

DEGREE = 9
"""With chords everybody has about so many. Measured with 8 slots: 8 to 9 true neighbours are
best (1.08 of the bound), 7 cost 0.01 to 0.06, 13 cost 0.07."""

DEGREE_MAX = 10
"""Nobody has more."""

PLACES = 8
"""Places looked at before entering a cycle, and as many near ones where labels say so."""

CANDIDATES = 12
"""Peers looked at to find one with room for a chord."""

_TAKEN, _SEEDED, _BARRED = 8, 16, 32
"""What a place costs at which one stands beside a neighbour that one has already, takes the seed
from one that it feeds, or stands beside one that cannot be reached; distances and the breaking of
an edge cost 1 to 7. Each new neighbour of the seed is sent all digests, by the scarcest uplink:
when a swarm began at once it had 26 of them one after another, 2.6 % of 1,024 pieces."""


class Graph:
    """The neighbours of all peers of one task; symmetric, connected, of bounded degree.

    :param seed: the key of the seed, which is in from the beginning and stays.
    """

    def __init__(self, seed: bytes, rng: random.Random) -> None:
        self.seed = seed
        self._rng = rng
        self._cycles = [Cycle(seed) for _ in range(CYCLES)]
        self._nodes = Nodes(self._cycles)
        self._short: SampleSet[bytes] = SampleSet()
        self._nodes.all[seed] = Node(Labels())
        self._nodes.set_core(seed, True)

    # -- who is in ---------------------------------------------------------------------

    def join(
        self, key: bytes, labels: Labels | None = None, *, reachable: bool = False
    ) -> list[bytes]:
        """Take a peer in, if it is not in yet, and give its neighbours.

        :param reachable: others can connect to it; until that is known say it is not.
        """
        if key not in self:
            self._nodes.all[key] = Node(labels or Labels())
            if reachable:
                self._enter(key)
            self.top_up(key)
        return self.neighbours(key)

    def leave(self, key: bytes) -> None:
        """Take a peer out; the cycles close behind it. No error for one that is not in."""
        if key == self.seed or key not in self:
            return
        node = self._nodes.all[key]
        if node.core:
            self._exit(key)
        for other in list(node.chords):
            self._nodes.unlink(key, other)
        self._short.discard(key)
        del self._nodes.all[key]

    def set_reachable(self, key: bytes, reachable: bool) -> None:
        """Others can, or cannot, connect to ``key``: it becomes one of the core, or a guest."""
        node = self._nodes.all.get(key)
        if node is None or key == self.seed or node.core == reachable:
            return
        if reachable:
            self._enter(key)
        else:
            self._exit(key)
            for other in self._nodes.guests_of(key):
                self._nodes.unlink(key, other)
        self.top_up(key)

    def set_done(self, key: bytes) -> None:
        """``key`` has everything: an edge between two such is the first to be given up."""
        if key in self:
            self._nodes.all[key].done = True

    # -- who sees whom -------------------------------------------------------------------

    def neighbours(self, key: bytes) -> list[bytes]:
        """Whom ``key`` should be connected to; the seed for one that has nobody else.

        For the seed itself only those that the graph connects it to.
        """
        if key not in self:
            return []
        found = list(self._nodes.links(key))
        return [self.seed] if not found and key != self.seed else found

    def reachable(self, key: bytes) -> bool:
        """Whether others may be told to connect to ``key``."""
        return key in self and self._nodes.all[key].core

    def __contains__(self, key: object) -> bool:
        return key in self._nodes.all

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._nodes.all)

    def __len__(self) -> int:
        return len(self._nodes.all)

    # -- changing it -----------------------------------------------------------------------

    def top_up(self, key: bytes) -> None:
        """Give ``key`` neighbours up to :data:`DEGREE`, as far as others have room.

        Who lacks several, or one for the second time, may take others beyond their
        :data:`DEGREE`; a guest for whom nobody has room gets a place of a guest who has
        several.
        """
        if key not in self:
            return
        nodes, node = self._nodes, self._nodes.all[key]
        links = nodes.links(key)
        for other in self._candidates(key):
            if len(links) >= DEGREE:
                break
            needy = not node.core or len(links) < DEGREE - 1 or key in self._short
            room = DEGREE_MAX if needy else DEGREE
            if other not in links and nodes.suits(node, other) and nodes.degree(other) < room:
                nodes.link(key, other)
                links[other] = None
                self._note_short(other, nodes.all[other].core and nodes.degree(other) < DEGREE)
        self._note_short(key, node.core and len(links) < DEGREE)
        if not node.core:
            squeeze_in(nodes, key, nodes.sample(self._rng, CANDIDATES))

    def part(self, key: bytes, other: bytes) -> None:
        """``key`` cannot reach ``other``: give it somebody else, and not that one again."""
        if key not in self or other not in self or self.seed in (key, other):
            return
        node, lost = self._nodes.all[key], self._nodes.all[other]
        node.bar(other, lost)
        lost.bar(key, node)
        self._nodes.unlink(key, other)
        for cycle in self._cycles:
            if key in cycle and other in cycle.beside(key):
                self._move(cycle, key)
        self.top_up(key)

    def refresh(self, key: bytes) -> None:
        """The neighbours of ``key`` give it nothing: bring it to the seed, or else to others."""
        if key not in self or key == self.seed:
            return
        if not self._nodes.all[key].core:
            self._refresh_guest(key)
        else:
            to_seed = self.seed not in self._nodes.links(key)
            self._move(self._rng.choice(self._cycles), key, to_seed=to_seed)
        self.top_up(key)

    # -- cycles ----------------------------------------------------------------------------

    def _enter(self, key: bytes) -> None:
        """A guest becomes one of the core."""
        for cycle in self._cycles:
            self._insert(cycle, key, self._best_place(cycle, key))
        self._nodes.set_core(key, True)

    def _exit(self, key: bytes) -> None:
        """One of the core becomes a guest, for now with its chords only."""
        self._short.discard(key)
        for cycle in self._cycles:
            self._remove(cycle, key)
        self._nodes.set_core(key, False)

    def _move(self, cycle: Cycle[bytes], key: bytes, *, to_seed: bool = False) -> None:
        """Take ``key`` to another place in one cycle."""
        self._remove(cycle, key)
        self._insert(cycle, key, self._best_place(cycle, key, to_seed=to_seed))

    def _insert(self, cycle: Cycle[bytes], key: bytes, place: bytes) -> None:
        cycle.insert(key, place)
        for each in dict.fromkeys((key, *cycle.beside(key))):
            self._trim(each)

    def _remove(self, cycle: Cycle[bytes], key: bytes) -> None:
        ends = dict.fromkeys(cycle.beside(key))
        cycle.remove(key)
        # Two that stood beside it on several cycles gain more neighbours than they lose.
        for each in ends:
            self._trim(each)

    def _best_place(self, cycle: Cycle[bytes], key: bytes, *, to_seed: bool = False) -> bytes:
        """Where it brings new neighbours, near ones, and breaks nothing that is in use."""
        near = cycle is not self._cycles[0]
        if to_seed:
            places = [self.seed, cycle.before(self.seed)]
        else:
            idc = self._nodes.all[key].labels.idc if near else ""
            drawn = self._nodes.sample(self._rng, PLACES, idc=idc)
            places = [place for place in drawn if place in cycle]  # its own is not, just now
        links = self._nodes.links(key)

        def cost(place: bytes) -> int:
            return self._cost(key, (place, cycle.after(place)), links, near)

        return min(places or [self.seed], key=cost)

    def _cost(
        self, key: bytes, ends: tuple[bytes, bytes], links: dict[bytes, None], near: bool
    ) -> int:
        """How bad it is for ``key`` to stand between two others."""
        nodes, node = self._nodes.all, self._nodes.all[key]
        cost, idle = 0, True
        for end in ends:  # a registration comes here some sixty times
            other = nodes[end]
            if end in links:
                cost += _TAKEN
            if node.barred and node.barred.get(end) is other:
                cost += _BARRED
            if near:
                cost += node.labels.distance(other.labels)
            idle = idle and other.done
        if self.seed in ends and self._feeds(ends):
            cost += _SEEDED
        return cost + (0 if idle else 1)

    def _feeds(self, ends: tuple[bytes, bytes]) -> bool:
        """Whether the seed stands there beside one that lacks something, and has enough others."""
        fed = [end for end in ends if end != self.seed and not self._nodes.all[end].done]
        return bool(fed) and self._nodes.degree(self.seed) >= DEGREE

    # -- chords ------------------------------------------------------------------------------

    def _candidates(self, key: bytes) -> list[bytes]:
        """Those that lack one, too, then some of the core; near ones first."""
        idc = self._nodes.all[key].labels.idc
        short = self._short.sample(self._rng, CANDIDATES)
        found = dict.fromkeys(self._nodes.sample(self._rng, CANDIDATES, idc=idc))
        near = sorted(found, key=lambda other: self._nodes.distance(key, other))
        near = sorted(short, key=lambda other: self._nodes.distance(key, other)) + near
        return [other for other in dict.fromkeys(near) if other != key]

    def _note_short(self, key: bytes, lacks: bool) -> None:
        """Keep those in mind that have fewer neighbours than the others: who is found first
        by whom does not matter, but that nobody stays so. Alone among hosts with nine
        neighbours, one with eight is late by a tenth (simulated)."""
        if lacks:
            self._short.add(key)
        else:
            self._short.discard(key)

    def _trim(self, key: bytes) -> None:
        """Give up chords, to the busiest first, until the degree is allowed again."""
        nodes, links = self._nodes, self._nodes.links(key)
        while len(links) > DEGREE_MAX:
            busiest = max(nodes.bare_chords(key), key=nodes.degree)
            nodes.unlink(key, busiest)
            del links[busiest]

    def _refresh_guest(self, key: bytes) -> None:
        """Give one host up, and take the seed if that has room."""
        nodes, chords = self._nodes, self._nodes.all[key].chords
        if chords:
            nodes.unlink(key, self._rng.choice(list(chords)))
        if self.seed not in chords and nodes.degree(self.seed) < DEGREE_MAX:
            nodes.link(key, self.seed)
