"""Bytes to frames: limits at the header, slices without copies."""

from __future__ import annotations

import struct

import pytest

from dragonfly.errors import BadMagic, BadMessage, FrameTooLarge, UnexpectedMessage
from dragonfly.task.layout import MAX_PIECES as LAYOUT_MAX_PIECES
from dragonfly.task.manifest import MAX_RUN_BYTES
from dragonfly.wire import constants
from dragonfly.wire.constants import FRAME_LIMITS, SLICE_BYTES, Kind
from dragonfly.wire.framing import Frame, FrameReader
from dragonfly.wire.messages import Data
from tests.doubles.wire import data_frame, frame, read_all

BYE = frame(Kind.BYE, b"\0\0")


def test_a_frame_is_its_kind_and_its_payload() -> None:
    """Frames come in their order."""
    assert read_all(frame(Kind.PING, b"12345678") + BYE) == [
        Frame(Kind.PING, b"12345678"),
        Frame(Kind.BYE, b"\0\0"),
    ]


def test_a_header_alone_tells_the_kind() -> None:
    """Five bytes are enough to judge a message by the state table."""
    kinds: list[Kind] = []
    reader = FrameReader(kinds.append)
    assert list(reader.feed(BYE[:4])) == []
    assert kinds == []
    assert list(reader.feed(BYE[4:5])) == []
    assert kinds == [Kind.BYE]
    assert list(reader.feed(b"\0")) == []
    assert list(reader.feed(b"\0")) == [Frame(Kind.BYE, b"\0\0")]


def test_a_frame_that_nobody_wants_is_refused_before_it_is_read() -> None:
    """What the check raises ends the reading, at the header."""

    def refuse(kind: Kind) -> None:
        raise UnexpectedMessage(f"{kind.name} is not wanted")

    reader = FrameReader(refuse)
    with pytest.raises(UnexpectedMessage, match="PING is not wanted"):
        list(reader.feed(frame(Kind.PING, b"12345678")[:5]))


def test_slices_are_views_of_what_was_fed() -> None:
    """No copy: the view's object is the very bytes that came from the socket."""
    stream = data_frame(3, 4, b"payload", flags=1, haves=[9])
    head, view = read_all(stream)
    assert head == Data(3, 4, 7, last=True, haves=(9,))
    assert isinstance(view, memoryview)
    assert view.obj is stream
    assert view.tobytes() == b"payload"


def test_a_slice_flows_as_it_arrives() -> None:
    """A reader never gathers a slice: each read gives what it brought."""
    stream = data_frame(0, 0, bytes(range(256)) * 1024)
    reader = FrameReader()
    assert len(list(reader.feed(stream[:15]))) == 1
    views = [
        item
        for at in range(15, len(stream), 65536)
        for item in reader.feed(stream[at : at + 65536])
        if isinstance(item, memoryview)
    ]
    assert [len(view) for view in views] == [65536] * 4
    assert b"".join(views) == bytes(range(256)) * 1024


@pytest.mark.parametrize("kind", list(Kind))
def test_limits_hold_at_the_header(kind: Kind) -> None:
    """Not a byte of an oversized or undersized payload is kept, whatever its kind."""
    least, most = FRAME_LIMITS[kind]
    for length in (least, most):
        kinds: list[Kind] = []
        list(FrameReader(kinds.append).feed(struct.pack(">IB", length, kind)))
        assert kinds == [kind]
    after_another = FrameReader()
    list(after_another.feed(BYE))
    with pytest.raises(FrameTooLarge, match=kind.name):
        list(after_another.feed(struct.pack(">IB", most + 1, kind)))
    after_another = FrameReader()
    list(after_another.feed(BYE))
    with pytest.raises(BadMessage, match=kind.name):
        list(after_another.feed(struct.pack(">IB", least - 1, kind)))


def test_an_unknown_type() -> None:
    """A type that version 1 does not have is like a message out of place."""
    reader = FrameReader()
    list(reader.feed(BYE))
    with pytest.raises(UnexpectedMessage, match="unknown type 99"):
        list(reader.feed(frame(99)))


@pytest.mark.parametrize(
    "stream",
    [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n", frame(0), frame(15)],
)
def test_strangers_are_told_apart_by_the_first_header(stream: bytes) -> None:
    """Whoever does not speak the protocol shows in the log as that."""
    with pytest.raises(BadMagic):
        read_all(stream)


def test_data_is_checked_before_its_slice() -> None:
    """A head that leaves no room for a slice is refused."""
    with pytest.raises(BadMessage, match="slice of -1019"):
        read_all(frame(Kind.DATA, bytes(9) + b"\xff" + b"x"))


def test_limits_agree_with_what_they_are_derived_from() -> None:
    """The wire repeats numbers of other layers instead of importing what they need."""
    assert constants.MAX_PIECES == LAYOUT_MAX_PIECES
    assert constants.RUN_MAX_BYTES == MAX_RUN_BYTES
    assert FRAME_LIMITS[Kind.BITFIELD][1] == 4 + SLICE_BYTES
    assert all(most < 2**24 for _, most in FRAME_LIMITS.values())
    assert list(FRAME_LIMITS) == list(Kind)
