"""Pieces tile the content: nothing twice, nothing left out, for any length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.task.layout import (
    MAX_PIECES,
    PIECE_MAX,
    PIECE_MIN,
    Layout,
    choose_piece_size,
)

lengths = st.integers(0, PIECE_MAX * MAX_PIECES)
layouts = st.builds(Layout, st.integers(1, 100), st.integers(0, 3000))


@given(lengths)
def test_piece_size(length: int) -> None:
    """A power of two in bounds, and the largest that is at most 1/1024 of the length."""
    size = choose_piece_size(length)
    assert PIECE_MIN <= size <= PIECE_MAX
    assert size & (size - 1) == 0
    assert size == PIECE_MIN or size * 1024 <= length
    assert size == PIECE_MAX or size * 2 * 1024 > length
    count = Layout(size, length).piece_count
    assert count is not None
    assert count <= MAX_PIECES


@given(layouts)
def test_pieces_tile_the_content(layout: Layout) -> None:
    """Each begins where the one before ended; only the last is shorter, none is empty."""
    at = 0
    assert layout.piece_count is not None
    for piece in range(layout.piece_count):
        begin, end = layout.span(piece)
        assert begin == at < end
        assert end - begin == layout.piece_length(piece)
        assert end - begin == layout.piece_size or piece == layout.piece_count - 1
        at = end
    assert at == layout.length
    assert layout.piece_length(layout.piece_count) == 0


@given(layouts, st.integers(0, 3200), st.integers(0, 3200))
def test_pieces_of_a_range(layout: Layout, begin: int, end: int) -> None:
    """Exactly those that share a byte with it."""
    assert layout.piece_count is not None
    wanted = [
        piece
        for piece in range(layout.piece_count)
        if max(begin, layout.span(piece)[0]) < min(end, layout.span(piece)[1])
    ]
    assert list(layout.pieces_between(begin, end)) == wanted
