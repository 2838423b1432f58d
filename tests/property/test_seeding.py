"""The seed's books against a simple model, whatever neighbours do."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dragonfly.sched.seeding import ECHO_LIMIT, ECHO_NEIGHBOURS, REGIVE_S, Receiver, Seeding
from dragonfly.sched.seedturns import Turn, Turns
from dragonfly.task.bitfield import mask_of, pieces_of

PIECES = 12
numbers = st.integers(0, PIECES - 1)
masks = st.integers(0, 2**PIECES - 1)


class SeedBooks(RuleBasedStateMachine):
    """A seed with four slots; sets and dicts beside its integers."""

    @initialize(seed=st.integers(0, 1000), held=st.integers(0, PIECES))
    def begin(self, seed: int, held: int) -> None:
        """A task."""
        self.now = 1000.0
        self.held = held
        self.task = Seeding(random.Random(seed))
        self.task.hold(held)
        self.turns = Turns()
        self.shown: dict[Receiver, set[int]] = {}
        self.pending: dict[Receiver, set[int]] = {}
        self.running: list[Turn] = []

    def some(self, which: int) -> Receiver | None:
        """One of the neighbours."""
        return list(self.shown)[which % len(self.shown)] if self.shown else None

    @precondition(lambda self: len(self.shown) < 6)
    @rule(known=masks, shown=masks)
    def join(self, known: int, shown: int) -> None:
        """A neighbour comes, perhaps with pieces."""
        receiver = self.task.add(object())
        self.task.shows(receiver, shown)
        receiver.known |= known
        self.shown[receiver] = set(pieces_of(shown))
        self.pending[receiver] = set()

    @rule(which=st.integers(0, 5))
    def leave(self, which: int) -> None:
        """A neighbour goes, with all it was being sent."""
        receiver = self.some(which)
        if receiver is None:
            return
        self.turns.leave(receiver)
        for turn in [turn for turn in self.running if turn.receiver is receiver]:
            self.running.remove(turn)
            self.turns.ended(turn, 1.0, self.now)
        self.task.remove(receiver)
        del self.shown[receiver], self.pending[receiver]

    @rule(more=st.integers(1, 4))
    def grow(self, more: int) -> None:
        """The CDN got further."""
        self.held = min(PIECES, self.held + more)
        self.task.hold(self.held)
        for receiver in self.shown:
            self.turns.enter(receiver)

    @rule(which=st.integers(0, 5), mask=masks, only=st.booleans())
    def show(self, which: int, mask: int, only: bool) -> None:
        """HAVE or BITFIELD."""
        receiver = self.some(which)
        if receiver is None:
            return
        if only:
            self.task.shows_only(receiver, mask)
            self.shown[receiver] = set()
        else:
            self.task.shows(receiver, mask)
        self.shown[receiver] |= set(pieces_of(mask))
        self.pending[receiver] -= set(pieces_of(mask))
        self.turns.enter(receiver)

    @rule(which=st.integers(0, 5), in_flight=st.lists(numbers, max_size=2))
    def ask(self, which: int, in_flight: list[int]) -> None:
        """REQUEST_ANY."""
        receiver = self.some(which)
        if receiver is not None:
            self.turns.ask_any(receiver, mask_of(in_flight))

    @rule(which=st.integers(0, 5))
    def cancel(self, which: int) -> None:
        """CANCEL of a question that waits."""
        receiver = self.some(which)
        if receiver is not None:
            self.turns.drop_any(receiver)

    @precondition(lambda self: len(self.running) < 4)
    @rule()
    def serve(self) -> None:
        """A free slot: somebody who can be given something gets it, or all of them rest."""
        able = [receiver for receiver in self.shown if receiver.any and self.useful(receiver)]
        turn = self.turns.next(self.now)
        if turn is None:
            assert all(receiver.rests_until > self.now for receiver in able)
            assert not able or (self.turns.wake and self.turns.wake > self.now and self.running)
            return
        receiver, piece = turn.receiver, turn.piece
        assert receiver in able
        assert piece is not None
        assert piece in self.useful(receiver)
        fewest = min(self.copies(other) for other in self.useful(receiver))
        assert self.copies(piece) == fewest, "not the rarest"
        self.task.give(receiver, piece)
        self.pending[receiver].add(piece)
        receiver.busy |= 1 << piece
        self.running.append(turn)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 3), sent=st.booleans(), took=st.floats(0, 5))
    def end(self, which: int, sent: bool, took: float) -> None:
        """An answer is out, or was cancelled."""
        turn = self.running.pop(which % len(self.running))
        receiver, piece = turn.receiver, turn.piece
        assert piece is not None
        self.now += took
        receiver.busy &= ~(1 << piece)
        self.turns.ended(turn, took, self.now)
        if sent:
            self.task.given(receiver, piece, self.now)
        else:
            self.task.take_back(receiver, piece)
            self.pending[receiver].discard(piece)
        self.turns.enter(receiver)

    @rule()
    def lapse(self) -> None:
        """What was sent long ago and is not shown is taken for lost."""
        self.now += REGIVE_S
        for receiver in self.shown:
            self.task.lapse(receiver, self.now)
            sending = {turn.piece for turn in self.running if turn.receiver is receiver}
            self.pending[receiver] &= sending
            self.turns.enter(receiver)

    def useful(self, receiver: Receiver) -> set[int]:
        """What it can be given."""
        out = self.shown[receiver] | self.pending[receiver]
        out |= set(pieces_of(receiver.in_flight | receiver.busy))
        return set(range(self.held)) & set(pieces_of(receiver.known)) - out

    def copies(self, piece: int) -> int:
        """How many have it or are being given it."""
        return sum(piece in self.shown[r] | self.pending[r] for r in self.shown)

    @invariant()
    def books_agree(self) -> None:
        """The integers say what the sets say."""
        if not hasattr(self, "task"):
            return
        for piece in range(PIECES):
            assert self.task.copies(piece) == self.copies(piece)
        for receiver in self.shown:
            assert set(pieces_of(receiver.shown)) == self.shown[receiver]
            assert set(pieces_of(receiver.pending)) == self.pending[receiver]
        assert self.task.running == sum(not turn.limited for turn in self.running)

    @invariant()
    def debts_are_of_own_pieces(self) -> None:
        """Nobody owes what another one shows, nor anything while there are too few."""
        if not hasattr(self, "task"):
            return
        for receiver in self.shown:
            others = [self.shown[other] for other in self.shown if other is not receiver]
            debt = self.task.debt(receiver)
            owed = set(pieces_of(receiver._owed))
            assert len(owed) == debt
            assert not owed & set().union(*others)
            few = len(self.shown) < ECHO_NEIGHBOURS
            assert self.task.limited(receiver) == (debt >= ECHO_LIMIT and not few)
            assert not (few and debt)


TestSeedBooks = SeedBooks.TestCase


@given(
    neighbours=st.integers(1, 9),
    pieces=st.integers(1, 40),
    depth=st.integers(1, 8),
    seed=st.integers(0, 2**16),
    stalls=st.integers(0, 2),
)
def test_everybody_gets_everything(
    neighbours: int, pieces: int, depth: int, seed: int, stalls: int
) -> None:
    """With eight slots, a seed alone feeds all, stallers too; each piece goes out once first."""
    rng = random.Random(seed)
    task, turns = Seeding(rng), Turns()
    task.hold(pieces)
    swarm = [task.add(number) for number in range(neighbours)]
    for receiver in swarm:
        receiver.known = (1 << pieces) - 1
        for _ in range(depth):
            turns.ask_any(receiver, 0)
    running: list[tuple[float, int, Turn]] = []
    sent: list[int] = []
    now, count = 0.0, 0
    while True:
        while len(running) < 8 and (turn := turns.next(now)) is not None:
            task.give(turn.receiver, turn.piece)
            sent.append(turn.piece)
            count += 1
            running.append((now + rng.uniform(0.1, 1.0), count, turn))
        if not running:
            break
        running.sort(key=lambda each: each[:2])
        until, _, turn = running.pop(0)
        if turns.wake is not None and turns.wake < until:
            running.append((until, 0, turn))
            now = turns.wake
            continue
        turns.ended(turn, 0.5, now := until)
        if turn.receiver.owner >= stalls:
            task.shows(turn.receiver, 1 << turn.piece)
        turns.ask_any(turn.receiver, 0)
    assert len(sent) == neighbours * pieces
    assert sorted(sent[:pieces]) == list(range(pieces))
