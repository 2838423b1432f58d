"""What is wanted of a content."""

from __future__ import annotations

from dragonfly.peer.swarm.demand import READ_AHEAD_BYTES, READ_AHEAD_PIECES, Demand, read_ahead
from dragonfly.sched.picker import ALL

PIECE = 64 * 1024
MIB = 1024 * 1024


def bits(first: int, end: int) -> int:
    """The pieces from ``first`` to ``end``."""
    return sum(1 << piece for piece in range(first, end))


def test_nothing_at_first() -> None:
    """Nobody wants anything."""
    demand = Demand(PIECE)
    assert demand.pieces == 0
    assert not demand.in_order


def test_a_closed_range_is_its_pieces() -> None:
    """Those that it touches, the first and the last one too, and not the one behind its end."""
    demand = Demand(PIECE)
    demand.read("r", 3 * PIECE + 100, 0, 3 * PIECE + 101)
    assert demand.pieces == bits(3, 4)
    demand.read("r", 3 * PIECE + 100, 0, 5 * PIECE)
    assert demand.pieces == bits(3, 5)
    demand.read("r", 5 * PIECE, 0, 5 * PIECE)
    assert demand.pieces == 0


def test_an_open_range_is_a_window_that_moves() -> None:
    """With the bytes that were taken."""
    demand = Demand(PIECE)
    wide = READ_AHEAD_BYTES // PIECE
    demand.read("r", 0, 0, None)
    assert demand.pieces == bits(0, wide)
    demand.read("r", 2 * PIECE, 0, 1 << 40)
    assert demand.pieces == bits(2, 2 + wide)
    demand.read("r", 2 * PIECE + 1, 0, 1 << 40)
    assert demand.pieces == bits(2, 3 + wide)


def test_a_window_has_a_few_pieces_however_large_they_are() -> None:
    """For one piece comes from one neighbour."""
    assert read_ahead(PIECE) == READ_AHEAD_BYTES
    assert read_ahead(16 * MIB) == READ_AHEAD_PIECES * 16 * MIB


def test_several_readers_want_what_any_of_them_wants() -> None:
    """Until they end."""
    demand = Demand(PIECE)
    demand.read("a", 0, 0, PIECE)
    demand.read("b", 7 * PIECE, 0, 8 * PIECE)
    demand.leave("nobody")
    assert demand.pieces == 0b10000001
    demand.leave("a")
    assert demand.pieces == 0b10000000
    assert demand.in_order
    demand.leave("b")
    assert demand.pieces == 0
    assert not demand.in_order


def test_who_wants_everything_gets_it() -> None:
    """Whatever others read meanwhile."""
    demand = Demand(PIECE)
    demand.read("a", 0, 0, PIECE)
    demand.want_whole(True)
    assert demand.pieces == ALL
    demand.read("a", PIECE, 0, 2 * PIECE)
    assert demand.pieces == ALL
    demand.want_whole(False)
    assert demand.pieces == 0b10


def test_the_hungriest_reader_comes_first() -> None:
    """And one that has all that it will read not at all."""
    demand = Demand(PIECE)
    demand.read("some", 9 * PIECE, 5000, None)
    demand.read("none", 4 * PIECE + 7, 0, None)
    demand.read("fed", 2 * PIECE, PIECE, 3 * PIECE)
    assert demand.places() == [(4, 0), (9, 5000)]
