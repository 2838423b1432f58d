"""Whatever comes: events, or the one kind of error with a goodbye; never anything else."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import RemoteProtocolError
from dragonfly.wire.codec import encode
from dragonfly.wire.constants import Kind
from dragonfly.wire.messages import Message
from dragonfly.wire.session import PeerSession
from dragonfly.wire.table import State
from tests.doubles.wire import frame, last_bye, messages, scene


def _survives(session: PeerSession, stream: bytes) -> None:
    """Feed it; a refusal must be said and close."""
    refusal = None
    try:
        session.receive(stream, 1.0)
    except RemoteProtocolError as error:
        refusal = error
    if refusal is not None:
        assert session.state is State.CLOSED
        assert last_bye(session)[0] == refusal.code
        assert session.next_deadline() is None


@given(st.sampled_from(State), st.binary(max_size=400))
def test_random_bytes(state: State, stream: bytes) -> None:
    """No bytes in no state make anything but the one error."""
    _survives(scene(state).subject, stream)


@given(
    st.sampled_from(State),
    st.lists(
        st.builds(frame, st.sampled_from(Kind) | st.integers(0, 255), st.binary(max_size=300)),
        max_size=5,
    ),
)
def test_random_frames(state: State, stream: list[bytes]) -> None:
    """Well-formed headers get further than random bytes do."""
    _survives(scene(state).subject, b"".join(stream))


@given(st.lists(messages, max_size=6))
def test_random_messages(sent: list[Message]) -> None:
    """Valid messages in any order: the books and the table hold."""
    _survives(scene(State.OPEN).subject, b"".join(map(encode, sent)))


@given(st.data())
def test_damaged_streams(data: st.DataObject) -> None:
    """Good frames with a few bytes changed."""
    stage = scene(State.OPEN)
    kinds = data.draw(st.lists(st.sampled_from(Kind), min_size=1, max_size=6))
    stream = bytearray(b"".join(stage.frames[kind] for kind in kinds))
    for at in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=4)):
        stream[at] = data.draw(st.integers(0, 255))
    _survives(stage.subject, bytes(stream))


@given(st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_any_first_header(length: int, kind: int) -> None:
    """Five bytes of a stranger."""
    _survives(scene(State.LISTENING).subject, struct.pack(">IB", length, kind))
