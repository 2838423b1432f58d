"""Any split of the byte stream gives the same events, and the same end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.wire.constants import ANY_PIECE, RUN_MIN_BYTES, SLICE_BYTES, Kind
from dragonfly.wire.events import Event
from dragonfly.wire.fake import merge_slices
from dragonfly.wire.session import PeerSession
from tests.doubles.wire import fixed_pair, frame

PIECE = 2 * SLICE_BYTES

Step = Callable[[PeerSession], object]


def _send(piece: int, lengths: Iterable[int]) -> Step:
    def step(session: PeerSession) -> None:
        begin = 0
        for length in lengths:
            session.send_data(piece, begin, bytes([begin % 251]) * length)
            begin += length

    return step


def _answer_any(piece: int, length: int) -> Step:
    def step(session: PeerSession) -> None:
        if session.answer_any(piece, length):
            session.send_data(piece, 0, b"a" * length)

    return step


small = st.integers(1, 3000)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(_send, st.integers(0, 3), st.lists(small, min_size=1, max_size=3)),
    st.builds(_send, st.integers(0, 3), st.just([SLICE_BYTES, 100])),
    st.builds(_answer_any, st.integers(10, 20), small),
    st.builds(lambda n: lambda session: session.queue_have(range(n)), st.integers(1, 300)),
    st.sampled_from(
        [
            lambda session: session.flush_have(),
            lambda session: session.send_digests(b"r" * RUN_MIN_BYTES),
            lambda session: session.send_get_digests(7),
            lambda session: session.send_bitfield(17, b"\xff\x00\x80"),
            lambda session: session.ping(0.0),
            lambda session: session.request_any([1, 2, 3]),
            lambda session: session.cancel(ANY_PIECE, 0),
            lambda session: session.reject(3, 0, ErrorCode.BUSY),
            lambda session: session.reject(ANY_PIECE, 0, ErrorCode.BUSY),
        ]
    ),
)
tails = st.sampled_from([b"", frame(Kind.BYE, b"\0\0"), frame(99), frame(Kind.HAVE, b"12345678")])


def _reader() -> PeerSession:
    """Give the side that reads, with questions out that the other may answer."""
    pair = fixed_pair(piece_size=PIECE)
    for piece in range(4):
        pair.dialler.request(piece, 0, PIECE)
    pair.dialler.request_any([])
    pair.dialler.request_any([])
    pair.dialler.cancel(2, 0)
    return pair.dialler


def _stream(script: list[Step], tail: bytes) -> bytes:
    """Give what the other side says when it follows the script."""
    pair = fixed_pair(piece_size=PIECE)
    for piece in range(4):
        pair.dialler.request(piece, 0, PIECE)
    pair.dialler.request_any([])
    pair.dialler.request_any([])
    pair.pump()
    for step in script:
        step(pair.listener)
    return b"".join(pair.listener.take_output()) + tail


def _hear(parts: Iterable[bytes]) -> tuple[list[Event], ErrorCode | None, list[bytes]]:
    """Give events, the code of the violation if there is one, and what is answered."""
    session = _reader()
    session.take_output()
    events: list[Event] = []
    code = None
    try:
        for part in parts:
            events += session.receive(part, 1.0)
    except RemoteProtocolError as error:
        events += [event for event in error.events if isinstance(event, Event)]
        code = error.code
    return merge_slices(events), code, session.take_output()


def _parts(stream: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(marks)]


@given(
    st.lists(steps, min_size=1, max_size=8),
    tails,
    st.lists(st.integers(0, 2**20), max_size=30),
)
def test_any_split_gives_the_same(script: list[Step], tail: bytes, cuts: list[int]) -> None:
    """TCP cuts where it likes; empty reads included."""
    stream = _stream(script, tail)
    assert _hear(_parts(stream, cuts)) == _hear([stream])


@given(st.lists(steps, max_size=4).map(lambda script: _stream(script, b"")), st.integers(1, 40))
def test_tiny_reads_give_the_same(stream: bytes, size: int) -> None:
    """The worst case: reads smaller than any header."""
    stream = stream[: 4000 * size]
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert _hear(parts) == _hear([stream])
