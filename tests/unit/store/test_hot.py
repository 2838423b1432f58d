"""Pieces in memory: what the disk does not have stays; of the rest what was used last."""

from __future__ import annotations

import pytest

from dragonfly.store.hot import HotPieces

FILE, OTHER = object(), object()
DATA = bytes(10)


@pytest.fixture
def hot() -> HotPieces:
    """Room for three pieces of ten bytes."""
    return HotPieces(35)


def write(hot: HotPieces, *pieces: int, file: object = FILE) -> None:
    """These came, and the disk has them."""
    for piece in pieces:
        hot.put(file, piece, DATA)
        hot.written(file, piece)


def kept(hot: HotPieces, pieces: int, file: object = FILE) -> list[int]:
    """Which of the first ``pieces`` are there."""
    return [piece for piece in range(pieces) if hot.get(file, piece) is not None]


def test_a_piece_is_there_before_and_after_it_is_written(hot: HotPieces) -> None:
    """The very bytes; of its file, under its number."""
    hot.put(FILE, 1, b"right")
    assert hot.get(FILE, 1) == b"right"
    assert hot.size == 0
    hot.written(FILE, 1)
    assert hot.get(FILE, 1) == b"right"
    assert hot.size == 5
    assert hot.get(FILE, 0) is None
    assert hot.get(OTHER, 1) is None


def test_what_was_not_used_for_longest_goes_first(hot: HotPieces) -> None:
    """Being asked for is use."""
    write(hot, 0, 1, 2)
    assert hot.get(FILE, 0) == DATA
    write(hot, 3)
    assert kept(hot, 4) == [0, 2, 3]
    assert hot.size == 30


def test_what_is_not_written_is_never_given_up(hot: HotPieces) -> None:
    """Nobody else could give it; and it takes no room from what is."""
    for piece in range(10):
        hot.put(FILE, piece, DATA)
    write(hot, *range(10, 20))
    assert kept(hot, 20) == [*range(10), 17, 18, 19]
    assert hot.size == 30


def test_files_share_the_room(hot: HotPieces) -> None:
    """It is one for the process."""
    write(hot, 0, 1)
    write(hot, 0, 1, file=OTHER)
    assert kept(hot, 2) == [1]
    assert kept(hot, 2, OTHER) == [0, 1]


def test_a_piece_larger_than_the_room_is_not_kept(hot: HotPieces) -> None:
    """Until it is written it is."""
    hot.put(FILE, 0, bytes(36))
    assert hot.get(FILE, 0) == bytes(36)
    hot.written(FILE, 0)
    assert hot.get(FILE, 0) is None
    assert hot.size == 0


def test_without_room_there_is_only_what_is_being_written() -> None:
    """That has to be."""
    hot = HotPieces(0)
    hot.put(FILE, 0, DATA)
    assert hot.get(FILE, 0) == DATA
    hot.written(FILE, 0)
    assert hot.get(FILE, 0) is None


def test_a_piece_that_is_written_again_counts_once(hot: HotPieces) -> None:
    """It was taken back, and came a second time; until that is written the new one counts."""
    write(hot, 0)
    hot.put(FILE, 0, b"other")
    assert hot.get(FILE, 0) == b"other"
    assert hot.size == 10
    hot.written(FILE, 0)
    assert hot.get(FILE, 0) == b"other"
    assert hot.size == 5


def test_dropping_forgets_all_of_one_file(hot: HotPieces) -> None:
    """Written or not; and the room is there for others."""
    write(hot, 0, 1)
    hot.put(FILE, 2, DATA)
    write(hot, 0, file=OTHER)
    hot.drop(FILE)
    assert kept(hot, 3) == []
    assert kept(hot, 3, OTHER) == [0]
    assert hot.size == 10


def test_what_is_written_after_it_was_dropped_is_not_kept(hot: HotPieces) -> None:
    """The disk was still at it when the file was given back."""
    hot.put(FILE, 0, DATA)
    hot.drop(FILE)
    hot.written(FILE, 0)
    assert hot.get(FILE, 0) is None
    assert hot.size == 0
