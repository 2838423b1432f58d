"""How content is cut: sizes at every border, and the last piece."""

from __future__ import annotations

import pytest

from dragonfly.errors import TaskError
from dragonfly.task.layout import (
    MAX_PIECES,
    PIECE_MAX,
    PIECE_MIN,
    UNKNOWN_PIECE,
    Layout,
    choose_piece_size,
)

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("length", "size"),
    [
        (None, UNKNOWN_PIECE),
        (0, PIECE_MIN),
        (1, PIECE_MIN),
        (64 * MIB - 1, PIECE_MIN),
        (64 * MIB, 64 * KIB),
        (1 * GIB - 1, 512 * KIB),
        (1 * GIB, 1 * MIB),
        (16 * GIB, PIECE_MAX),
        (1024 * GIB, PIECE_MAX),
        (PIECE_MAX * MAX_PIECES, PIECE_MAX),
    ],
)
def test_piece_size(length: int | None, size: int) -> None:
    """The largest power of two that is at most 1/1024 of the length, within the bounds."""
    assert choose_piece_size(length) == size


def test_too_long_for_any_size() -> None:
    """What even the largest pieces cannot number is refused, with both numbers."""
    most = PIECE_MAX * MAX_PIECES
    with pytest.raises(TaskError, match=f"{most + 1} bytes.*{most}"):
        choose_piece_size(most + 1)


@pytest.mark.parametrize(
    ("length", "count", "last"),
    [(0, 0, 0), (1, 1, 1), (99, 1, 99), (100, 1, 100), (101, 2, 1), (250, 3, 50)],
)
def test_last_piece(length: int, count: int, last: int) -> None:
    """Only the last piece may be shorter, and there is none beyond it."""
    layout = Layout(100, length)
    assert layout.piece_count == count
    assert layout.piece_length(max(0, count - 1)) == last
    assert layout.piece_length(count) == 0
    assert layout.span(count) == (length, length)


def test_unknown_length() -> None:
    """Until the length is known every piece is full and nobody knows how many there are."""
    layout = Layout(100)
    assert layout.piece_count is None
    assert layout.span(7) == (700, 800)
    assert layout.piece_length(7) == 100
    assert layout.pieces_between(0, 10**6) == range(10_000)
    assert layout.with_length(750) == Layout(100, 750)


@pytest.mark.parametrize(
    ("begin", "end", "pieces"),
    [
        (0, 0, range(0)),
        (5, 5, range(0)),
        (9, 3, range(0)),
        (0, 1, range(1)),
        (99, 100, range(1)),
        (99, 101, range(2)),
        (100, 200, range(1, 2)),
        (240, 10**9, range(2, 3)),
        (250, 300, range(0)),
    ],
)
def test_pieces_of_a_range(begin: int, end: int, pieces: range) -> None:
    """A byte range names the pieces that hold any byte of it, and none beyond the end."""
    assert Layout(100, 250).pieces_between(begin, end) == pieces
