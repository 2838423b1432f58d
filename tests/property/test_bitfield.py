"""Bitfields are sets of integers, and their wire form loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.task.bitfield import Bitfield, mask_of, pieces_of

sets = st.frozensets(st.integers(0, 3000), max_size=60)


def field(pieces: frozenset[int]) -> Bitfield:
    """The bitfield of a set."""
    made = Bitfield()
    made.update(pieces)
    return made


@given(sets, st.integers(0, 40))
def test_round_trip(pieces: frozenset[int], more: int) -> None:
    """Wire form and back, at any count that is enough."""
    count = max(pieces, default=-1) + 1 + more
    raw = field(pieces).to_bytes(count)
    assert len(raw) == -(-count // 8)
    assert set(Bitfield.from_bytes(raw, count)) == pieces
    for piece in range(count):
        assert bool(raw[piece // 8] & 0x80 >> piece % 8) == (piece in pieces)


@given(st.binary(max_size=40), st.integers(0, 330))
def test_any_bytes(data: bytes, count: int) -> None:
    """Either it is refused, or it is exactly what those pieces are written as."""
    try:
        read = Bitfield.from_bytes(data, count)
    except ValueError:
        return
    assert read.to_bytes(count) == data
    assert all(piece < count for piece in read)


@given(sets, sets)
def test_like_sets(one: frozenset[int], other: frozenset[int]) -> None:
    """Size, order, membership and difference are those of a set."""
    left, right = field(one), field(other)
    assert list(left) == sorted(one)
    assert len(left) == len(one)
    assert bool(left) == bool(one)
    assert set(left.missing_from(right)) == one - other
    assert (left == right) == (one == other)
    assert all((piece in left) == (piece in one) for piece in one | other)
    assert left.first_gap() == min(set(range(len(one) + 1)) - one)


@given(sets, st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), max_size=30))
def test_single_changes(pieces: frozenset[int], changes: list[tuple[bool, int]]) -> None:
    """Adding and discarding, in any order and again."""
    made, model = field(pieces), set(pieces)
    for add, piece in changes:
        (made.add if add else made.discard)(piece)
        (model.add if add else model.discard)(piece)
    assert set(made) == model


@given(st.lists(st.integers(0, 3000), max_size=60))
def test_masks(pieces: list[int]) -> None:
    """Many pieces become a mask and come back in order."""
    assert list(pieces_of(mask_of(pieces))) == sorted(set(pieces))
    assert mask_of(pieces) == sum(1 << piece for piece in set(pieces))


@given(sets)
def test_too_few_bits(pieces: frozenset[int]) -> None:
    """A count that leaves a piece out is an error."""
    if pieces:
        with pytest.raises(ValueError, match="beyond"):
            field(pieces).to_bytes(max(pieces))
