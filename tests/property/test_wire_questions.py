"""Two sessions ask, answer, reject and cancel at random over a link with delays.

Both sides must never see a violation, must agree on what is outstanding once the link is
quiet, and every question that was not cancelled must end exactly once, complete or rejected.
"""

from __future__ import annotations

from collections import Counter

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dragonfly.errors import ErrorCode, LocalProtocolError
from dragonfly.wire import events as ev
from dragonfly.wire.constants import ANY_PIECE
from dragonfly.wire.session import PeerSession
from tests.doubles.wire import fixed_pair

SIZE = 1000
LAST_PIECE = 5
pieces = st.integers(0, LAST_PIECE)
sides = st.integers(0, 1)


def length_of(piece: int) -> int:
    """The last piece is short."""
    return 300 if piece == LAST_PIECE else SIZE


@attrs.define(eq=False)
class Side:
    """One session with a simple owner: it answers what it is told to answer."""

    session: PeerSession
    inbox: bytearray = attrs.field(factory=bytearray)
    owes: dict[tuple[int, int], int] = attrs.field(factory=dict)
    """What the other side asked: (piece, begin) to the end of the answer."""
    cursors: dict[tuple[int, int], int] = attrs.field(factory=dict)
    owes_any: int = 0
    wants: Counter[tuple[int, int]] = attrs.field(factory=Counter)
    """What we asked and did not cancel: (piece, begin), ANY as (ANY_PIECE, 0)."""
    got: dict[tuple[int, bool], int] = attrs.field(factory=dict)
    """Where the next slice of a piece must begin, by (piece, any)."""

    def hear(self, event: ev.Event) -> None:
        """Keep the books that a real owner would keep."""
        if isinstance(event, ev.RequestReceived):
            self.owes[event.piece, event.begin] = event.begin + event.length
            self.cursors[event.piece, event.begin] = event.begin
        elif isinstance(event, ev.RequestAnyReceived):
            self.owes_any += 1
        elif isinstance(event, ev.CancelReceived):
            self._cancelled(event)
        elif isinstance(event, ev.RejectReceived):
            self._ended(event.piece, event.begin)
        elif isinstance(event, ev.SliceReceived) and event.wanted:
            self._slice(event)

    def _cancelled(self, event: ev.CancelReceived) -> None:
        if event.piece == ANY_PIECE:
            self.owes_any -= 1
            assert self.owes_any >= 0
        else:
            del self.owes[event.piece, event.begin]

    def _slice(self, event: ev.SliceReceived) -> None:
        key = (event.piece, event.any)
        if event.any and event.begin == 0:
            self._ended(ANY_PIECE, 0)
            self.wants[event.piece, 0] += 1
        assert event.begin == self.got.get(key, 0)
        assert bytes(event.data) == content(event.piece, event.begin, len(event.data))
        self.got[key] = event.begin + len(event.data)
        if event.last:
            assert self.got.pop(key) == length_of(event.piece)
            self._ended(event.piece, 0)

    def _ended(self, piece: int, begin: int) -> None:
        assert self.wants[piece, begin] > 0
        self.wants[piece, begin] -= 1
        for is_any in (False, True):
            if self.wants[piece, begin] == 0:
                self.got.pop((piece, is_any), None)


def content(piece: int, begin: int, length: int) -> bytes:
    """Give bytes that tell where they belong."""
    return bytes((piece * 7 + at) % 256 for at in range(begin, begin + length))


class Questions(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        pair = fixed_pair(piece_size=SIZE)
        self.sides = (Side(pair.dialler), Side(pair.listener))

    @rule(side=sides, piece=pieces)
    def request(self, side: int, piece: int) -> None:
        """Ask for a piece, unless it is asked for or coming."""
        me = self.sides[side]
        if me.wants[piece, 0] == 0:
            me.session.request(piece, 0, length_of(piece))
            me.wants[piece, 0] += 1

    @rule(side=sides)
    def request_any(self, side: int) -> None:
        """Ask for any piece; a few at most."""
        me = self.sides[side]
        if me.wants[ANY_PIECE, 0] < 3:
            me.session.request_any([])
            me.wants[ANY_PIECE, 0] += 1

    @rule(side=sides, piece=pieces | st.just(ANY_PIECE))
    def cancel(self, side: int, piece: int) -> None:
        """Change our mind."""
        me = self.sides[side]
        if me.session.cancel(piece, 0):
            me._ended(piece, 0)

    @rule(side=sides, length=st.integers(1, SIZE), data=st.data())
    def send(self, side: int, length: int, data: st.DataObject) -> None:
        """Send the next slice of something that is owed."""
        me = self.sides[side]
        if me.owes:
            key = data.draw(st.sampled_from(sorted(me.owes)))
            self._send(me, key, length)

    def _send(self, me: Side, key: tuple[int, int], length: int) -> None:
        begin, end = me.cursors[key], me.owes[key]
        length = min(length, end - begin)
        assert me.session.send_data(key[0], begin, content(key[0], begin, length))
        me.cursors[key] = begin + length
        if begin + length == end:
            del me.owes[key]

    @rule(side=sides, piece=pieces)
    def choose(self, side: int, piece: int) -> None:
        """Give a piece to a REQUEST_ANY; what is being sent may not be given."""
        me = self.sides[side]
        busy = (piece, 0) in me.owes
        try:
            chosen = me.session.answer_any(piece, length_of(piece))
        except LocalProtocolError:
            assert busy
            return
        assert not busy
        assert chosen == (me.owes_any > 0)
        if chosen:
            me.owes_any -= 1
            me.owes[piece, 0] = length_of(piece)
            me.cursors[piece, 0] = 0

    @rule(side=sides, data=st.data())
    def reject(self, side: int, data: st.DataObject) -> None:
        """End something that is owed."""
        me = self.sides[side]
        names = [*sorted(me.owes), *([(ANY_PIECE, 0)] if me.owes_any else [])]
        if names:
            self._reject(me, data.draw(st.sampled_from(names)))

    def _reject(self, me: Side, name: tuple[int, int]) -> None:
        assert me.session.reject(*name, ErrorCode.BUSY)
        if name[0] == ANY_PIECE:
            me.owes_any -= 1
        else:
            del me.owes[name]

    @rule(side=sides, size=st.integers(1, 3000))
    def deliver(self, side: int, size: int) -> None:
        """Let some bytes arrive, no matter where they are cut."""
        self._deliver(side, size)

    def _deliver(self, side: int, size: int | None) -> bool:
        me, other = self.sides[side], self.sides[1 - side]
        me.inbox += b"".join(other.session.take_output())
        part = bytes(me.inbox[:size])
        del me.inbox[:size]
        for event in me.session.receive(part, 0.0):
            me.hear(event)
        return bool(part)

    @precondition(lambda self: any(side.owes or side.owes_any for side in self.sides))
    @rule()
    def settle(self) -> None:
        """Let everything arrive, answer all, and compare the books."""
        self._quiet()
        for me in self.sides:
            for key in sorted(me.owes):
                self._send(me, key, SIZE)
            while me.owes_any:
                self._reject(me, (ANY_PIECE, 0))
        self._quiet()
        for me in self.sides:
            assert me.session.questions_asked == me.session.questions_owed == 0
            assert not +me.wants

    def _quiet(self) -> None:
        busy = True
        while busy:
            first, second = self._deliver(0, None), self._deliver(1, None)
            busy = first or second

    @invariant()
    def nobody_is_closed(self) -> None:
        """Two sides that follow the rules never part."""
        assert all(side.session.is_open for side in self.sides)

    def teardown(self) -> None:
        """Whatever happened, all questions can still be ended."""
        self._quiet()
        self.settle()


TestQuestions = Questions.TestCase
TestQuestions.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
