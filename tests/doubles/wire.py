"""Frames by hand, sessions in any state, and Hypothesis strategies for messages."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import attrs
from hypothesis import strategies as st

from dragonfly.errors import ErrorCode
from dragonfly.signatures import SigningKey
from dragonfly.wire import messages as m
from dragonfly.wire.constants import (
    ANY_PIECE,
    HAVES_PER_FRAME,
    MAX_IN_FLIGHT,
    MAX_PIECES,
    MAX_RIDING_HAVES,
    RUN_MAX_BYTES,
    RUN_MIN_BYTES,
    SLICE_BYTES,
    Kind,
)
from dragonfly.wire.fake import FakeGate, SessionPair, make_offer
from dragonfly.wire.framing import FrameReader
from dragonfly.wire.session import PeerSession, Role
from dragonfly.wire.table import State


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Give a frame with any payload, right or wrong."""
    return struct.pack(">IB", len(payload), kind) + payload


def data_frame(
    piece: int, begin: int, payload: bytes, *, flags: int = 0, haves: Iterable[int] = ()
) -> bytes:
    """Give a DATA frame with any values, right or wrong."""
    riding = list(haves)
    head = struct.pack(f">IIBB{len(riding)}I", piece, begin, flags, len(riding), *riding)
    return frame(Kind.DATA, head + payload)


def frames_of(stream: bytes) -> list[tuple[int, bytes]]:
    """Cut a stream into (kind, payload)."""
    frames = []
    while stream:
        length, kind = struct.unpack_from(">IB", stream)
        frames.append((kind, stream[5 : 5 + length]))
        stream = stream[5 + length :]
    return frames


def said(session: PeerSession) -> list[tuple[int, bytes]]:
    """Take the frames that a session has queued."""
    return frames_of(b"".join(session.take_output()))


def last_bye(session: PeerSession) -> tuple[int, str]:
    """Take the output, whose last frame must be BYE; give its code and text."""
    kind, payload = said(session)[-1]
    assert kind == Kind.BYE
    return struct.unpack_from(">H", payload)[0], payload[2:].decode()


def fixed_pair(*, piece_size: int = 32 * 1024) -> SessionPair:
    """Give an open pair that is the same, byte for byte, each time."""
    supernode, one, two = (SigningKey.from_bytes(bytes([n]) * 32) for n in (1, 2, 3))
    offers = [make_offer(supernode, key, piece_size=piece_size) for key in (one, two)]
    gates = [FakeGate(offer, supernode.public) for offer in offers]
    pair = SessionPair(
        PeerSession(Role.DIALLER, one, b"1" * 32, gates[0], 0.0, offers[0]),
        PeerSession(Role.LISTENER, two, b"2" * 32, gates[1], 0.0),
    )
    pair.pump()
    return pair


@attrs.define
class Scene:
    """A session in some state, and a frame of each kind that its other side could send."""

    subject: PeerSession
    frames: dict[Kind, bytes]


def scene(state: State, role: Role = Role.DIALLER) -> Scene:
    """Bring a session into ``state``; ``role`` matters for OPEN and CLOSED only."""
    pair = SessionPair.make()
    to_listener = pair.dialler.take_output()
    if state is State.LISTENING:
        return Scene(pair.listener, _frames(to_listener[0], b""))
    pair.to_listener(to_listener[0])
    hello, auth = pair.listener.take_output()
    if state is State.HELLO_SENT:
        return Scene(pair.dialler, _frames(hello, auth))
    pair.to_dialler(hello)
    if state is State.HELLO_CHECKED:
        return Scene(pair.dialler, _frames(hello, auth))
    pair.to_dialler(auth)
    (proof,) = pair.dialler.take_output()
    if state is State.ANSWERED:
        return Scene(pair.listener, _frames(to_listener[0], proof))
    pair.to_listener(proof)
    subject = pair.dialler if role is Role.DIALLER else pair.listener
    frames = _frames(*((hello, auth) if role is Role.DIALLER else (to_listener[0], proof)))
    subject.request(0, 0, 100)
    subject.ping(0.0)
    if state is State.CLOSED:
        subject.bye()
    subject.take_output()
    return Scene(subject, frames)


def _frames(hello: bytes, auth: bytes) -> dict[Kind, bytes]:
    """Give one frame of each kind, valid for the questions that :func:`scene` asks."""
    token = (1).to_bytes(8, "big")
    name = bytes(8)
    return {
        Kind.HELLO: hello,
        Kind.AUTH: auth or frame(Kind.AUTH, bytes(64)),
        Kind.DIGESTS: frame(Kind.DIGESTS, bytes(RUN_MIN_BYTES)),
        Kind.BITFIELD: frame(Kind.BITFIELD, struct.pack(">IB", 3, 0b1010_0000)),
        Kind.HAVE: frame(Kind.HAVE, struct.pack(">II", 4, 5)),
        Kind.REQUEST: frame(Kind.REQUEST, struct.pack(">IIIB", 1, 0, 10, 0)),
        Kind.DATA: data_frame(0, 0, bytes(100), flags=1),
        Kind.REJECT: frame(Kind.REJECT, name + bytes([ErrorCode.BUSY])),
        Kind.CANCEL: frame(Kind.CANCEL, name),
        Kind.PING: frame(Kind.PING, token),
        Kind.PONG: frame(Kind.PONG, token),
        Kind.BYE: frame(Kind.BYE, b"\0\0bye"),
        Kind.GET_DIGESTS: frame(Kind.GET_DIGESTS, bytes(4)),
        Kind.REQUEST_ANY: frame(Kind.REQUEST_ANY, bytes(2)),
    }


def read_all(stream: bytes) -> list[object]:
    """Give what a fresh reader makes of a stream."""
    return list(FrameReader().feed(stream))


# -- strategies -------------------------------------------------------------------------

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
u64 = st.integers(0, 2**64 - 1)
pieces = st.integers(0, MAX_PIECES - 1)
names = pieces | st.just(ANY_PIECE)
riding = st.lists(pieces, max_size=MAX_RIDING_HAVES).map(tuple)
bytes32 = st.binary(min_size=32, max_size=32)


@st.composite
def bitfields(draw: st.DrawFn) -> m.BitfieldFrame:
    """BITFIELD with its spare bits zero."""
    count = draw(st.integers(0, 100))
    value = draw(st.integers(0, 2**count - 1)) << -count % 8
    return m.BitfieldFrame(count, value.to_bytes((count + 7) // 8, "big"))


messages: st.SearchStrategy[m.Message] = st.one_of(
    st.builds(
        m.Hello,
        version=u16.filter(lambda version: version <= 1),
        oldest=u16,
        features=u32,
        task=bytes32,
        key=bytes32,
        nonce=bytes32,
        fetch=u64,
        piece_size=u32,
        port=u16,
        grant=st.binary(max_size=900),
    ),
    st.builds(m.Auth, st.binary(min_size=64, max_size=64)),
    st.builds(m.Digests, st.binary(min_size=RUN_MIN_BYTES, max_size=RUN_MAX_BYTES)),
    st.builds(m.GetDigests, st.integers(0, MAX_PIECES)),
    bitfields(),
    st.builds(m.Have, st.lists(pieces, min_size=1, max_size=HAVES_PER_FRAME).map(tuple)),
    st.builds(m.Request, pieces, u32, st.integers(1, 0xFFFFFFFF), riding),
    st.builds(m.RequestAny, st.lists(pieces, max_size=MAX_IN_FLIGHT).map(tuple), riding),
    st.builds(m.Reject, names, u32, u8),
    st.builds(m.Cancel, names, u32),
    st.builds(m.Ping, u64),
    st.builds(m.Pong, u64),
    st.builds(m.Bye, u16, st.text(st.characters(categories=["L", "N", "P"]), max_size=60)),
)
"""Every message but DATA, with values that the protocol allows."""

heads: st.SearchStrategy[m.Data] = st.builds(
    m.Data, pieces, u32, st.integers(1, SLICE_BYTES), st.booleans(), st.booleans(), riding
)
