"""Upload slots under arbitrary neighbours: bounds hold, and everybody who waits is served."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dragonfly.sched.slots import UNACKED_BYTES, UploadSlots

MOST_WAITING = 4
peers = st.sampled_from("abcdef")
choices = st.randoms(use_true_random=False)


class Slots(RuleBasedStateMachine):
    """The slots beside plain lists of what is in them."""

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        """Start empty."""
        self.count = count
        self.slots = UploadSlots(count, waiting_in_all=MOST_WAITING)
        self.inside: list[tuple[str, int]] = []
        self.outside: list[tuple[str, int]] = []
        self.keys = 0

    @rule(peer=peers)
    def offers(self, peer: str) -> None:
        """The verdict follows from what is taken and what waits."""
        self.keys += 1
        verdict = self.slots.offer(peer, self.keys)
        if len(self.inside) + len(self.outside) < self.count:
            assert verdict == "start"
            self.inside.append((peer, self.keys))
        elif len(self.outside) >= MOST_WAITING or peer in {p for p, _ in self.outside}:
            assert verdict == "busy"
        else:
            assert verdict == "wait"
            self.outside.append((peer, self.keys))

    @rule()
    def starts_next(self) -> None:
        """Somebody starts whenever a slot is free and somebody waits, the poorest first."""
        chosen = self.slots.next_start()
        if not self.outside or len(self.inside) >= self.count:
            assert chosen is None
            return
        assert chosen in self.outside
        held = Counter(peer for peer, _ in self.inside)
        assert held[chosen[0]] == min(held[peer] for peer, _ in self.outside)
        self.outside.remove(chosen)
        self.inside.append(chosen)

    @rule(rng=choices, unacked=st.sampled_from([0, UNACKED_BYTES, UNACKED_BYTES + 1, 10**6]))
    def drains(self, rng: random.Random, unacked: int) -> None:
        """Few bytes free a slot, whatever else the connection sends."""
        if not self.inside:
            return
        request = rng.choice(self.inside)
        assert self.slots.draining(*request, unacked) is (unacked <= UNACKED_BYTES)
        if unacked <= UNACKED_BYTES:
            self.inside.remove(request)

    @rule(rng=choices)
    def finishes(self, rng: random.Random) -> None:
        """An answer ends, one way or another."""
        if self.inside:
            request = rng.choice(self.inside)
            self.inside.remove(request)
            self.slots.finished(*request)

    @rule(rng=choices)
    def cancels(self, rng: random.Random) -> None:
        """What waits is not wanted any more."""
        if self.outside:
            request = rng.choice(self.outside)
            self.outside.remove(request)
            self.slots.cancel(*request)

    @rule(peer=peers)
    def leaves(self, peer: str) -> None:
        """A connection ends."""
        self.slots.remove(peer)
        self.inside = [request for request in self.inside if request[0] != peer]
        self.outside = [request for request in self.outside if request[0] != peer]

    @invariant()
    def counts(self) -> None:
        """The books agree, and no bound is broken."""
        assert self.slots.taken == len(self.inside) <= self.count
        assert self.slots.waiting == len(self.outside) <= MOST_WAITING
        for peer in "abcdef":
            assert self.slots.held_by(peer) == sum(p == peer for p, _ in self.inside)

    def teardown(self) -> None:
        """Everybody who waits is served once slots become free."""
        if not hasattr(self, "slots"):
            return
        for _ in range(MOST_WAITING + self.count):
            self.starts_next()
            if self.inside:
                self.slots.finished(*self.inside.pop(0))
        assert self.slots.waiting == 0


Slots.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestSlots = Slots.TestCase
