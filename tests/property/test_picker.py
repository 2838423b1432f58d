"""The picker against a model of the world that does anything a neighbour can do.

No piece is lost, no quota is broken, no timer spins; and as soon as neighbours answer,
everything that they hold is got, whatever happened before.
"""

from __future__ import annotations

import random

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dragonfly.errors import ErrorCode
from dragonfly.sched.picker import ALL as EVERYTHING
from dragonfly.sched.picker import Picker
from dragonfly.task.bitfield import pieces_of

PIECES = 8
ALL = (1 << PIECES) - 1
OUT = 8

pieces = st.integers(0, PIECES - 1)
masks = st.integers(1, ALL)
choices = st.randoms(use_true_random=False)


@attrs.define(eq=False)
class Remote:
    """A neighbour as it is: what it has, and what it owes us."""

    name: str
    seed: bool
    mask: int = 0
    asked: list[int] = attrs.field(factory=list)
    """Pieces asked by name."""
    chosen: list[int] = attrs.field(factory=list)
    """Pieces that it began to send because it chose them."""
    anys: list[int] = attrs.field(factory=list)
    """For each REQUEST_ANY the pieces that it named, as bits."""
    barred: int = 0
    """Pieces that it said it will never give."""
    chooses: bool = True

    @property
    def sending(self) -> list[int]:
        """Everything that it sends or was asked for."""
        return [*self.asked, *self.chosen]


class World(RuleBasedStateMachine):
    """One picker and its neighbours."""

    @initialize(
        seed=st.integers(0, 2**32),
        known=st.one_of(st.just(ALL), st.just(ALL), masks, st.just(0)),
        first=st.lists(
            st.tuples(st.booleans(), st.one_of(st.just(ALL), masks)), min_size=1, max_size=5
        ),
    )
    def begin(self, seed: int, known: int, first: list[tuple[bool, int]]) -> None:
        """Start with nothing at all, or in the middle of a download."""
        self.picker = Picker(rng=random.Random(seed), out=OUT)
        self.now = 100.0
        self.remotes: dict[str, Remote] = {}
        self.born = 0
        self.learnt = 0
        self.have = 0
        self.scope = EVERYTHING
        self.landed: list[tuple[str, int]] = []
        self.learns(list(pieces_of(known)))
        for is_seed, mask in first:
            self.comes(seed=is_seed)
            remote = self.remotes[f"peer{self.born}"]
            remote.mask = mask
            self.picker.peer_has(remote.name, mask)

    # -- neighbours come, go, and show things -------------------------------------------

    @precondition(lambda self: len(self.remotes) < 6)
    @rule(seed=st.booleans())
    def comes(self, seed: bool) -> None:
        """A neighbour, now and then a seed."""
        self.born += 1
        remote = Remote(f"peer{self.born}", seed)
        self.remotes[remote.name] = remote
        self.picker.add_peer(remote.name, seed=seed)

    @precondition(lambda self: self.remotes)
    @rule(rng=choices)
    def goes(self, rng: random.Random) -> None:
        """With all that it owes; what landed is still being verified."""
        name = rng.choice(sorted(self.remotes))
        del self.remotes[name]
        self.picker.remove_peer(name)

    @precondition(lambda self: self.remotes)
    @rule(rng=choices, mask=masks)
    def shows(self, rng: random.Random, mask: int) -> None:
        """More pieces; now and then ones that it has shown before."""
        remote = self._somebody(rng)
        remote.mask |= mask
        self.picker.peer_has(remote.name, mask)

    @rule(new=st.lists(pieces, max_size=PIECES, unique=True))
    def learns(self, new: list[int]) -> None:
        """A run came."""
        wanted = [piece for piece in new if not self.have >> piece & 1]
        self.learnt |= sum(1 << piece for piece in wanted)
        self.picker.learn(wanted)

    @rule(piece=pieces)
    def comes_from_the_origin(self, piece: int) -> None:
        """Somebody else brings a piece, asked for or not."""
        self._got(piece)

    # -- asking ---------------------------------------------------------------------------

    @rule(piece=st.one_of(st.none(), pieces), ahead=st.sampled_from([0, 1 << 30]))
    def somebody_reads(self, piece: int | None, ahead: int) -> None:
        """A client streams, from anywhere, or stops."""
        self.picker.want_in_order([] if piece is None else [(piece, ahead)])

    @rule(scope=st.one_of(st.just(EVERYTHING), st.just(0), masks))
    def looks_for(self, scope: int) -> None:
        """Clients come that want everything, or parts, or nothing; what a seed would choose is
        of no use any more then."""
        self.scope = scope
        useless = self.picker.look_for(scope)
        assert all(late.piece is None for late in useless)
        standing = sum(len(r.anys) for r in self.remotes.values())
        assert len(useless) == (0 if scope == EVERYTHING else standing)
        for late in useless:
            self.remotes[late.peer].anys.pop()

    @rule()
    def asks(self) -> None:
        """Every question keeps the rules."""
        before = sum(len(r.asked) for r in self.remotes.values())
        for ask in self.picker.next_asks(self.now):
            remote = self.remotes[ask.peer]
            if ask.piece is None:
                assert self.scope == EVERYTHING
                assert remote.seed
                assert remote.chooses
                assert not remote.mask & ~(self.learnt | self.have)
                remote.anys.append(-1)
                assert len(remote.anys) + len(remote.chosen) <= OUT
            else:
                self._check_request(remote, ask.piece)
                remote.asked.append(ask.piece)
        named = sum(1 << piece for piece in self.picker.in_flight)
        for remote in self.remotes.values():
            remote.anys = [named if mask < 0 else mask for mask in remote.anys]
        after = sum(len(r.asked) for r in self.remotes.values())
        assert after <= max(before, OUT)

    def _check_request(self, remote: Remote, piece: int) -> None:
        missing = self.learnt & ~self.have & self.scope
        assert missing >> piece & 1, "asked for what is not missing, or of no use"
        assert remote.mask >> piece & 1, "asked for what was not shown"
        assert not remote.barred >> piece & 1, "asked for what is never given"
        assert piece not in remote.sending, "asked twice at once"
        assert (remote.name, piece) not in self.landed, "asked for what is being verified"
        others = [r for r in self.remotes.values() if piece in r.sending]
        if others:
            assert len(others) == 1, "a third request for a piece"
            assert not remote.seed or not remote.chooses, "the second request at a seed"
            busy = {p for r in self.remotes.values() for p in r.sending}
            busy |= {p for _, p in self.landed}
            assert not set(pieces_of(missing)) - busy, "a second one with others unrequested"

    # -- what neighbours do with it ---------------------------------------------------------

    @rule(rng=choices)
    def chooses(self, rng: random.Random) -> None:
        """A seed answers a REQUEST_ANY, perhaps with something that just came from elsewhere."""
        able = [r for r in self.remotes.values() if r.anys and r.mask]
        if able:
            remote = rng.choice(able)
            named = remote.anys[0]
            sent = [*remote.sending, *(p for name, p in self.landed if name == remote.name)]
            options = [p for p in pieces_of(remote.mask & ~named) if p not in sent]
            if options:
                self._choose(remote, rng.choice(options))

    @rule(rng=choices)
    def sends_some(self, rng: random.Random) -> None:
        """Bytes, but not all."""
        question = self._question(rng)
        if question:
            self.picker.progress(question[0].name, question[1], 1000, self.now)

    @rule(rng=choices)
    def sends_all(self, rng: random.Random) -> None:
        """The last byte: what it is worth is found out later."""
        question = self._question(rng)
        if question:
            self._deliver(*question)

    @rule(rng=choices, code=st.sampled_from([0, 32, 33, 34, 99]))
    def rejects(self, rng: random.Random, code: int) -> None:
        """Any question, with any code, even an unknown one."""
        question = self._question(rng)
        if question is None:
            return
        remote, piece = question
        if piece in remote.chosen and code == ErrorCode.BUSY:
            return  # means something else, see the unit tests
        self._over(remote, piece)
        if code == ErrorCode.NOT_ALLOWED:
            remote.barred |= 1 << piece
        self.picker.rejected(remote.name, piece, code, self.now)

    @rule(rng=choices, code=st.sampled_from([32, 33, 34]))
    def rejects_any(self, rng: random.Random, code: int) -> None:
        """A seed that does not want to choose (now)."""
        able = [r for r in self.remotes.values() if r.anys]
        if able:
            remote = rng.choice(able)
            remote.anys.pop()
            if code == ErrorCode.NOT_ALLOWED:
                remote.chooses = False
                remote.anys.clear()
            self.picker.rejected(remote.name, None, code, self.now)

    @precondition(lambda self: self.landed)
    @rule(rng=choices, verdict=st.sampled_from(["good", "good", "wrong", "again"]))
    def verified(self, rng: random.Random, verdict: str) -> None:
        """The disk has looked at what landed."""
        name, piece = self.landed.pop(rng.randrange(len(self.landed)))
        if verdict == "good" or self.have >> piece & 1:
            self._got(piece)
        elif verdict == "again":
            self.picker.rejected(name, piece, ErrorCode.GONE, self.now)
        else:
            self.picker.failed(piece, name)
            if name in self.remotes:
                del self.remotes[name]
                self.picker.remove_peer(name)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 1.0, 1.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        """Who was silent for too long loses its questions."""
        self.now += seconds
        self._expire()

    @rule(rng=choices)
    def goes_well(self, rng: random.Random) -> None:
        """A little time, and a good piece."""
        self.now += 0.6
        self._expire()
        question = self._question(rng)
        if question:
            self._deliver(*question)
            self._got(question[1])
            self.landed = [(name, piece) for name, piece in self.landed if piece != question[1]]

    # -- what always holds --------------------------------------------------------------------

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is under way in the world is under way in the books, and nothing else."""
        missing = self.learnt & ~self.have
        assert self.picker.missing == missing & self.scope
        flying = {p for r in self.remotes.values() for p in r.sending}
        landed = {p for _, p in self.landed if missing >> p & 1}
        named = self.picker.in_flight
        assert len(named) == len(set(named))
        assert set(named) == flying | landed

    @invariant()
    def no_timer_spins(self) -> None:
        """When all that is due was done, the next thing is due later."""
        self._expire()
        self.asks()
        deadline = self.picker.next_deadline()
        assert deadline is None or deadline > self.now

    def teardown(self) -> None:
        """From now on everybody answers: all of the scope that anybody holds and may give is
        got, and then, as soon as somebody wants it, the rest."""
        if not hasattr(self, "picker"):
            return
        self._gets_all()
        self.looks_for(EVERYTHING)
        self._gets_all()

    def _gets_all(self) -> None:
        while self.landed:
            self._got(self.landed.pop()[1])
        for _ in range(400):
            self.asks()
            for remote in list(self.remotes.values()):
                self._answer_everything(remote)
            if not self._within_reach():
                return
            self.now = max(self.now, self.picker.next_deadline() or self.now)
            self._expire()
        raise AssertionError(f"never got {list(pieces_of(self._within_reach()))}")

    # -- helpers ----------------------------------------------------------------------------------

    def _somebody(self, rng: random.Random) -> Remote:
        return self.remotes[rng.choice(sorted(self.remotes))]

    def _question(self, rng: random.Random) -> tuple[Remote, int] | None:
        questions = [(r, p) for r in self.remotes.values() for p in r.sending]
        return rng.choice(questions) if questions else None

    def _within_reach(self) -> int:
        mask = 0
        for remote in self.remotes.values():
            mask |= remote.mask & ~remote.barred
        return mask & self.learnt & ~self.have & self.scope

    def _over(self, remote: Remote, piece: int) -> None:
        (remote.asked if piece in remote.asked else remote.chosen).remove(piece)

    def _choose(self, remote: Remote, piece: int) -> None:
        remote.anys.pop(0)
        remote.chosen.append(piece)
        self.picker.any_started(remote.name, piece)
        self.picker.progress(remote.name, piece, 1000, self.now)

    def _deliver(self, remote: Remote, piece: int) -> None:
        self._over(remote, piece)
        self.picker.progress(remote.name, piece, 1000, self.now)
        self.picker.arrived(remote.name, piece, self.now)
        if not self.have >> piece & 1:
            self.landed.append((remote.name, piece))

    def _answer_everything(self, remote: Remote) -> None:
        for piece in remote.sending:
            if piece in remote.sending:
                self._deliver(remote, piece)
        while self.landed:
            self._got(self.landed.pop()[1])
        for named in list(remote.anys):
            options = remote.mask & ~named & ~self.have
            if options:
                remote.anys.remove(named)
                remote.anys.insert(0, named)
                self._choose(remote, next(pieces_of(options)))
                self._deliver(remote, remote.chosen[-1])
                if self.landed:
                    self._got(self.landed.pop()[1])

    def _got(self, piece: int) -> None:
        self.have |= 1 << piece
        running = {r.name for r in self.remotes.values() if piece in r.sending}
        cancels = self.picker.got(piece, self.now)
        assert {cancel.peer for cancel in cancels} == running
        for cancel in cancels:
            assert cancel.piece == piece
            self._over(self.remotes[cancel.peer], piece)

    def _expire(self) -> None:
        for late in self.picker.expire(self.now):
            assert late.piece is not None
            self._over(self.remotes[late.peer], late.piece)


World.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestWorld = World.TestCase
