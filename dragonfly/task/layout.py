"""How content is cut into pieces."""

from __future__ import annotations

import attrs

from dragonfly.errors import TaskError

__all__ = [
    "MAX_PIECES",
    "PIECE_MAX",
    "PIECE_MIN",
    "UNKNOWN_PIECE",
    "Layout",
    "choose_piece_size",
]

PIECE_MIN = 32 * 1024
"""Smaller pieces cost more in messages (some 80 us each) than they bring in balance."""

PIECE_MAX = 16 * 1024 * 1024
"""Larger pieces make a piece in flight too much to lose."""

UNKNOWN_PIECE = 1024 * 1024
"""Piece size while nobody knows the length."""

MAX_PIECES = 2**21
"""A bitfield of that many is 256 KiB, one slice; with 16 MiB pieces it covers 32 TiB."""

PIECES_AIMED_AT = 1024
"""Measured: 1024 to 2047 pieces balance a swarm; fewer cost tail, more cost CPU."""


def choose_piece_size(length: int | None) -> int:
    """Give the piece size for content of ``length`` bytes (``None``: not known).

    The largest power of two not over 1/1024 of the length, between :data:`PIECE_MIN` and
    :data:`PIECE_MAX`.

    :raises TaskError: even the largest pieces would be more than :data:`MAX_PIECES`.
    """
    if length is None:
        return UNKNOWN_PIECE
    if length > PIECE_MAX * MAX_PIECES:
        raise TaskError(f"{length} bytes are more than the {PIECE_MAX * MAX_PIECES} of a task")
    wanted = max(1, length // PIECES_AIMED_AT)
    return min(PIECE_MAX, max(PIECE_MIN, 1 << (wanted.bit_length() - 1)))


@attrs.frozen
class Layout:
    """Piece size and length of a task; ``length`` is None until it is known."""

    piece_size: int
    length: int | None = None

    @property
    def piece_count(self) -> int | None:
        """How many pieces there are; None while the length is not known."""
        if self.length is None:
            return None
        return -(-self.length // self.piece_size)

    def piece_length(self, piece: int) -> int:
        """Give the length of a piece: the last may be shorter, once the length is known."""
        begin, end = self.span(piece)
        return end - begin

    def span(self, piece: int) -> tuple[int, int]:
        """Give (begin, end) of a piece in the content; empty beyond the end."""
        begin = piece * self.piece_size
        end = begin + self.piece_size
        if self.length is None:
            return begin, end
        return min(begin, self.length), min(end, self.length)

    def pieces_between(self, begin: int, end: int) -> range:
        """Give the pieces that hold any byte of ``begin`` to ``end`` (exclusive)."""
        if self.length is not None:
            end = min(end, self.length)
        if end <= begin:
            return range(0)
        return range(begin // self.piece_size, -(-end // self.piece_size))

    def with_length(self, length: int) -> Layout:
        """Give the same layout with the length known."""
        return attrs.evolve(self, length=length)
