"""The double that others build on must itself be right."""

from __future__ import annotations

import pytest

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.task.grant import parse_grant
from dragonfly.wire import events as ev
from dragonfly.wire.constants import Kind
from dragonfly.wire.fake import FakeGate, SessionPair, chunks_of, merge_slices
from tests.doubles.wire import fixed_pair, frame


def test_opened_is_open_on_both_sides() -> None:
    """Nobody wants to write the handshake in each test."""
    pair = SessionPair.opened(seed=True, piece_size=65536)
    assert pair.dialler.remote is not None
    assert pair.listener.remote is not None
    assert parse_grant(pair.dialler.remote.grant).seed
    assert not parse_grant(pair.listener.remote.grant).seed
    assert pair.dialler.remote.piece_size == 65536


def test_byte_by_byte() -> None:
    """A link that gives one byte at a time carries the same."""
    pair = SessionPair.make()
    pair.pump(chunks_of(1))
    assert pair.dialler.is_open
    assert pair.listener.is_open


def test_violations_are_kept_apart() -> None:
    """Each side sees its own error and the other side's BYE, as on a real link."""
    pair = SessionPair.opened()
    assert pair.to_listener(frame(Kind.HAVE, bytes(4)) + frame(99)) == [ev.HaveReceived((0,))]
    assert pair.pump() == ([ev.Closed(5, "a frame of the unknown type 99")], [])
    assert pair.dialler_error is None
    assert pair.listener_error is not None


def test_a_pair_that_does_not_open_is_an_error() -> None:
    """A broken fixture must not look like a broken test."""
    with pytest.raises(AssertionError, match="pieces of"):
        _disagreeing().open()


def _disagreeing() -> SessionPair:
    pair, other = SessionPair.make(), SessionPair.make(piece_size=65536)
    pair.listener = other.listener
    return pair


def test_the_gate_knows_one_task() -> None:
    """And says so with the right code."""
    pair = SessionPair.make()
    offer = pair.dialler.offer
    assert offer is not None
    gate = FakeGate(offer)
    assert gate.offer(offer.task) is offer
    with pytest.raises(RemoteProtocolError) as caught:
        gate.offer(b"x" * 32)
    assert caught.value.code == ErrorCode.UNKNOWN_TASK


def test_merging_slices() -> None:
    """Only what continues the same answer is joined."""

    def piece(begin: int, data: bytes, **flags: bool) -> ev.SliceReceived:
        return ev.SliceReceived(1, begin, memoryview(data), **flags)

    have = ev.HaveReceived((1,))
    assert merge_slices(
        [
            piece(0, b"ab"),
            piece(2, b"c", last=True),
            piece(3, b"d"),
            have,
            piece(4, b"e"),
            piece(6, b"f"),
            piece(7, b"g", wanted=False),
        ]
    ) == [
        piece(0, b"abc", last=True),
        piece(3, b"d"),
        have,
        piece(4, b"e"),
        piece(6, b"f"),
        piece(7, b"g", wanted=False),
    ]


def test_fixed_pairs_are_equal() -> None:
    """Property tests compare two runs of the same bytes."""
    one, two = fixed_pair(), fixed_pair()
    one.dialler.request(0, 0, 1)
    two.dialler.request(0, 0, 1)
    assert one.dialler.take_output() == two.dialler.take_output()
    assert one.dialler.remote == two.dialler.remote
