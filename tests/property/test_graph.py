"""Whatever peers do, the graph of a task holds together and burdens nobody."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dragonfly.sched.graph import DEGREE_MAX, Graph
from dragonfly.sched.peers import Labels

SEED = b"seed"
NUMBERS = st.integers(min_value=0, max_value=40)


class GraphMachine(RuleBasedStateMachine):
    """Peers join, leave, die, are banned, turn out to be reachable or not, and complain."""

    @initialize(seed=st.integers(min_value=0, max_value=2**16))
    def begin(self, seed: int) -> None:
        """An empty swarm: the seed only."""
        self.graph = Graph(SEED, random.Random(seed))
        self.present: dict[bytes, bool] = {}
        self.banned: set[bytes] = set()

    @rule(number=NUMBERS, reachable=st.booleans(), idc=st.sampled_from(["", "a", "b"]))
    def join(self, number: int, reachable: bool, idc: str) -> None:
        """A peer joins, unless it is banned, which the tracker asks first."""
        key = bytes([number])
        if key not in self.banned:
            self.graph.join(key, Labels(idc), reachable=reachable)
            self.present.setdefault(key, reachable)

    @rule(first=NUMBERS, count=st.integers(min_value=2, max_value=12))
    def join_together(self, first: int, count: int) -> None:
        """A deployment begins."""
        for number in range(first, first + count):
            self.join(number % 41, True, "")

    @rule(number=NUMBERS)
    def leave(self, number: int) -> None:
        """A peer says goodbye, or died and was found out."""
        self.graph.leave(bytes([number]))
        self.present.pop(bytes([number]), None)

    @rule(first=NUMBERS, count=st.integers(min_value=2, max_value=12))
    def die_together(self, first: int, count: int) -> None:
        """A rack loses its power."""
        for number in range(first, first + count):
            self.leave(number % 41)

    @rule(number=NUMBERS)
    def ban(self, number: int) -> None:
        """A peer is put out and stays out."""
        self.banned.add(bytes([number]))
        self.leave(number)

    @rule(number=NUMBERS, reachable=st.booleans())
    def dialled(self, number: int, reachable: bool) -> None:
        """It turned out whether others can connect to it."""
        key = bytes([number])
        self.graph.set_reachable(key, reachable)
        if key in self.present:
            self.present[key] = reachable

    @rule(number=NUMBERS, other=NUMBERS)
    def part(self, number: int, other: int) -> None:
        """One cannot reach the other."""
        if number != other:
            self.graph.part(bytes([number]), bytes([other]))

    @rule(number=NUMBERS)
    def refresh(self, number: int) -> None:
        """One starves."""
        self.graph.refresh(bytes([number]))

    @rule(number=NUMBERS)
    def top_up(self, number: int) -> None:
        """One announces."""
        self.graph.top_up(bytes([number]))

    @rule(number=NUMBERS)
    def done(self, number: int) -> None:
        """One has everything."""
        self.graph.set_done(bytes([number]))

    # -- what always holds --------------------------------------------------------------

    @invariant()
    def everybody_is_in_and_nobody_else(self) -> None:
        """The seed, all who joined and did not leave, no banned one."""
        assert set(self.graph) == {SEED, *self.present}
        assert not self.banned & set(self.graph)

    @invariant()
    def edges_are_mutual(self) -> None:
        """If I am to connect to you, you know of me; only the seed's last resort is silent."""
        for key in self.graph:
            neighbours = self.graph.neighbours(key)
            assert key not in neighbours
            assert len(set(neighbours)) == len(neighbours)
            for other in neighbours:
                last_resort = other == SEED and neighbours == [SEED]
                assert key in self.graph.neighbours(other) or last_resort

    @invariant()
    def degrees_are_bounded(self) -> None:
        """Nobody carries more than the limit, the seed neither."""
        assert all(len(self.graph.neighbours(key)) <= DEGREE_MAX for key in self.graph)

    @invariant()
    def one_end_of_an_edge_can_be_dialled(self) -> None:
        """An edge between two that nobody can reach would be a dream."""
        for key in self.graph:
            assert self.graph.reachable(key) == (key == SEED or self.present[key])
            for other in self.graph.neighbours(key):
                assert self.graph.reachable(key) or self.graph.reachable(other)

    @invariant()
    def it_is_connected(self) -> None:
        """Those who can be reached hold together by themselves, and everybody has a way."""
        core = {key for key in self.graph if self.graph.reachable(key)}
        assert self._met(core) == core
        assert self._met(set(self.graph)) == set(self.graph)

    def _met(self, among: set[bytes]) -> set[bytes]:
        edges: dict[bytes, set[bytes]] = {key: set() for key in among}
        for key in among:
            for other in set(self.graph.neighbours(key)) & among:
                edges[key].add(other)
                edges[other].add(key)  # whom the seed serves as a last resort
        met, queue = {SEED}, [SEED]
        while queue:
            for other in edges[queue.pop()] - met:
                met.add(other)
                queue.append(other)
        return met


TestGraph = GraphMachine.TestCase
