"""Sets of pieces: the wire form bit by bit, and what is refused."""

from __future__ import annotations

import pytest

from dragonfly.task.bitfield import Bitfield, mask_of, pieces_of


def field(*pieces: int) -> Bitfield:
    """A set of these pieces."""
    made = Bitfield()
    made.update(pieces)
    return made


def test_wire_form() -> None:
    """Bit 7 of the first byte is piece 0; the rest of the last byte is 0."""
    assert field(0).to_bytes(1) == b"\x80"
    assert field(7, 8).to_bytes(10) == b"\x01\x80"
    assert field(9).to_bytes(10) == b"\x00\x40"
    assert field().to_bytes(0) == b""
    assert Bitfield.from_bytes(memoryview(b"\x01\x80"), 10) == field(7, 8)
    assert Bitfield.from_bytes(b"", 0) == field()


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0"])
def test_wrong_length(data: bytes) -> None:
    """A bitfield has exactly the bytes that its count needs."""
    with pytest.raises(ValueError, match=f"has 2 bytes, not {len(data)}"):
        Bitfield.from_bytes(data, 10)


@pytest.mark.parametrize("data", [b"\0\x20", b"\0\x01", b"\xff\xff"])
def test_spare_bits(data: bytes) -> None:
    """A bit beyond the count is refused: it would name a piece that is not."""
    with pytest.raises(ValueError, match="spare bit"):
        Bitfield.from_bytes(data, 10)


def test_a_piece_beyond_the_count_is_not_written() -> None:
    """What cannot be said in that many bits is an error, not left out."""
    with pytest.raises(ValueError, match="piece 10 is beyond the 10"):
        field(3, 10).to_bytes(10)


def test_membership() -> None:
    """What was put in is in, and nothing else, of whatever type it is asked."""
    pieces = field(3, 5)
    pieces.add(100)
    pieces.discard(5)
    pieces.discard(77)
    assert list(pieces) == [3, 100]
    assert len(pieces) == 2
    assert 3 in pieces
    assert 5 not in pieces
    assert -1 not in pieces
    assert "3" not in pieces
    assert bool(pieces)
    assert not field()


def test_first_gap() -> None:
    """The lowest piece that is missing; behind a full front that is the next one."""
    assert field().first_gap() == 0
    assert field(0, 1, 3).first_gap() == 2
    assert Bitfield.full(70).first_gap() == 70
    assert field(1, 2).first_gap() == 0


def test_combining() -> None:
    """The difference is a new set; a copy does not follow its original."""
    mine, theirs = field(1, 2, 3), field(2, 9)
    assert mine.missing_from(theirs) == field(1, 3)
    assert theirs.missing_from(mine) == field(9)
    copied = mine.copy()
    mine.add(50)
    assert copied == field(1, 2, 3)
    assert copied != mine
    assert copied != {1, 2, 3}
    assert Bitfield.full(0) == field()
    assert list(Bitfield.full(3)) == [0, 1, 2]


def test_it_is_no_key() -> None:
    """It changes, so it cannot be hashed."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(field())


def test_repr_stays_short() -> None:
    """A log line does not grow with the content."""
    assert repr(Bitfield.full(10**6)) == "<Bitfield 1000000 pieces below 1000000>"


def test_masks() -> None:
    """Many pieces at once, in any order and more than once."""
    assert mask_of([]) == 0
    assert mask_of([4]) == 16
    assert mask_of([9, 0, 9]) == (1 << 9) | 1
    assert list(pieces_of(mask_of(range(20)))) == list(range(20))


@pytest.mark.parametrize("pieces", [[-1], [5, -1], [-3, -2]])
def test_no_negative_pieces(pieces: list[int]) -> None:
    """Counting from the end, as lists do, would set a bit that nobody named."""
    with pytest.raises(ValueError, match=r"negative|not a piece"):
        mask_of(pieces)
