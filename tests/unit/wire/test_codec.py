"""Layouts, byte by byte, and the values that are refused."""

from __future__ import annotations

import struct

import pytest

from dragonfly.errors import BadMagic, BadMessage, LocalProtocolError
from dragonfly.wire import messages as m
from dragonfly.wire.codec import decode, decode_data, decode_hello, encode
from dragonfly.wire.constants import ANY_PIECE, FRAME_LIMITS, MAX_PIECES, SLICE_BYTES, Kind

HELLO = m.Hello(
    version=1,
    oldest=1,
    features=0,
    task=b"t" * 32,
    key=b"k" * 32,
    nonce=b"n" * 32,
    fetch=0x0102030405060708,
    piece_size=32768,
    port=65002,
    grant=b"grant",
)


def words(*values: int) -> bytes:
    """Give u32 values."""
    return struct.pack(f">{len(values)}I", *values)


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (m.Auth(b"s" * 64), b"s" * 64),
        (m.Digests(b"r" * 138), b"r" * 138),
        (m.GetDigests(7), words(7)),
        (m.BitfieldFrame(9, b"\xff\x80"), words(9) + b"\xff\x80"),
        (m.BitfieldFrame(0, b""), words(0)),
        (m.Have((1, 2)), words(1, 2)),
        (m.Request(1, 2, 3, (4,)), words(1, 2, 3) + b"\x01" + words(4)),
        (m.RequestAny((1, 2), (3,)), b"\x02" + words(1, 2) + b"\x01" + words(3)),
        (m.Reject(ANY_PIECE, 0, 32), words(ANY_PIECE, 0) + b"\x20"),
        (m.Cancel(5, ANY_PIECE), words(5, ANY_PIECE)),
        (m.Ping(1), bytes(7) + b"\x01"),
        (m.Pong(2**64 - 1), b"\xff" * 8),
        (m.Bye(6, "späť"), b"\x00\x06" + "späť".encode()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layouts_are_those_of_the_specification(message: m.Message, payload: bytes) -> None:
    """Other implementations read these bytes, so they are written out once by hand."""
    kind = m.KINDS[type(message)]
    assert encode(message) == struct.pack(">IB", len(payload), kind) + payload
    assert decode(kind, payload) == message


def test_the_layout_of_hello() -> None:
    """Magic, version and features must stay where they are for ever."""
    payload = encode(HELLO)[5:]
    assert payload[:12] == b"DFLY" + bytes((0, 1, 0, 1, 0, 0, 0, 0))
    assert payload[12:108] == b"t" * 32 + b"k" * 32 + b"n" * 32
    assert payload[108:] == bytes(range(1, 9)) + words(32768) + b"\xfd\xea\x00\x05grant"
    assert decode_hello(payload) == HELLO


def test_data_is_a_head_without_its_slice() -> None:
    """The slice is written as a chunk of its own, so the head must announce its length."""
    head = m.Data(1, 2, 300, last=True, any=True, haves=(9, 8))
    raw = encode(head)
    assert raw[:5] == struct.pack(">IB", 18 + 300, 7)
    assert raw[5:] == words(1, 2) + b"\x03\x02" + words(9, 8)
    assert decode_data(raw[5:], 318) == head


def test_a_newer_hello_may_be_longer() -> None:
    """A later version may add fields at the end; an equal one may not."""
    newer = bytearray(encode(HELLO)[5:] + b"more")
    with pytest.raises(BadMessage, match="HELLO of 133 bytes"):
        decode_hello(bytes(newer))
    newer[5] = 2
    assert decode_hello(bytes(newer)).grant == b"grant"


def test_hello_without_its_magic() -> None:
    """Something else speaks: that is another failure than a bad message."""
    with pytest.raises(BadMagic):
        decode_hello(b"HTTP" + encode(HELLO)[9:])


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Kind.HELLO, encode(HELLO)[5:-1]),
        (Kind.BITFIELD, words(9) + b"\xff"),
        (Kind.BITFIELD, words(9) + b"\xff\x80\x00"),
        (Kind.BITFIELD, words(9) + b"\xff\xc0"),
        (Kind.BITFIELD, words(MAX_PIECES + 1) + bytes(MAX_PIECES // 8)),
        (Kind.HAVE, b"\x00" * 5),
        (Kind.HAVE, words(0, MAX_PIECES)),
        (Kind.REQUEST, words(MAX_PIECES, 0, 1) + b"\x00"),
        (Kind.REQUEST, words(1, 0, 0) + b"\x00"),
        (Kind.REQUEST, words(1, 0, 1) + b"\x01"),
        (Kind.REQUEST, words(1, 0, 1) + b"\x00" + words(1)),
        (Kind.REQUEST, words(1, 0, 1) + b"\x01" + words(MAX_PIECES)),
        (Kind.REQUEST_ANY, b"\x01" + words(1)),
        (Kind.REQUEST_ANY, b"\x21" + words(*range(33)) + b"\x00"),
        (Kind.REQUEST_ANY, b"\x00\x01"),
        (Kind.REQUEST_ANY, b"\x01" + words(MAX_PIECES) + b"\x00"),
        (Kind.REJECT, words(MAX_PIECES, 0) + b"\x20"),
        (Kind.CANCEL, words(MAX_PIECES, 0)),
        (Kind.GET_DIGESTS, words(MAX_PIECES + 1)),
    ],
)
def test_what_is_refused(kind: Kind, payload: bytes) -> None:
    """Counts that do not match sizes, indices out of range and spare bits are violations."""
    with pytest.raises(BadMessage, match=kind.name):
        decode(kind, payload)


@pytest.mark.parametrize(
    ("prefix", "length"),
    [
        (words(MAX_PIECES, 0) + b"\x00\x00", 11),
        (words(0, 0) + b"\x04\x00", 11),
        (words(0, 0) + b"\x00\x00", 10),
        (words(0, 0) + b"\x00\x01", 14),
        (words(0, 0) + b"\x00\x00", 11 + SLICE_BYTES),
        (words(0, 0) + b"\x00\x01" + words(MAX_PIECES), 15),
    ],
)
def test_heads_of_data_that_are_refused(prefix: bytes, length: int) -> None:
    """An empty slice, an oversized one, unknown flags and foreign indices are violations."""
    with pytest.raises(BadMessage, match="DATA"):
        decode_data(prefix, length)


def test_texts_of_bye_are_made_fit_for_a_log() -> None:
    """The text is the other side's: no control characters and no broken UTF-8 in our logs."""
    assert decode(Kind.BYE, b"\x00\x01a\nb\x1b[2J\xff") == m.Bye(1, "a\ufffdb\ufffd[2J\ufffd")


def test_long_texts_are_cut_between_characters() -> None:
    """A BYE must never be too large for the other side, or half a character."""
    raw = encode(m.Bye(0, "x" + "é" * 200))
    assert len(raw) == 5 + 2 + 255
    assert raw[7:].decode() == "x" + "é" * 127
    assert len(raw) - 5 <= FRAME_LIMITS[Kind.BYE][1]


@pytest.mark.parametrize(
    "message",
    [
        m.Auth(b"short"),
        m.Digests(b"short"),
        m.Digests(bytes(9000)),
        m.BitfieldFrame(9, b"\x00"),
        m.Have(()),
        m.Have((0,) * 1025),
        m.Have((-1,)),
        m.Ping(-1),
        m.Request(2**32, 0, 1),
        m.Data(0, 0, 0),
    ],
)
def test_our_own_mistakes_are_local(message: m.Message) -> None:
    """What the other side would refuse is not sent."""
    with pytest.raises(LocalProtocolError):
        encode(message)
