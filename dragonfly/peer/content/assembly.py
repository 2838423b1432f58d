"""One piece as it comes from one source, slice by slice."""

from __future__ import annotations

import attrs

from dragonfly.store.piecestore import PieceWriter

__all__ = ["Assembly", "Buffer"]

SMALL_BYTES = 4 * 1024
"""Slices below this are joined: the objects around a thousand of them cost more than a copy."""

JOINED_BYTES = 64 * 1024
"""Where joining stops: what grows further is moved again and again."""

Buffer = bytes | memoryview


@attrs.define(eq=False)
class Assembly:
    """The bytes of one piece from one source that nobody has dealt with yet.

    :ivar received: so many bytes came, in order; at :attr:`length` it is whole.
    :ivar buffered: so many of them are still in memory.
    :ivar writer: writes and hashes a piece that is too large to wait in memory.
    """

    piece: int
    offset: int
    length: int
    received: int = 0
    buffered: int = 0
    chunks: list[Buffer | bytearray] = attrs.field(factory=list)
    writer: PieceWriter | None = None

    def put(self, data: Buffer) -> None:
        """Gather ``data``; what is kept in memory is at most about twice its length."""
        self.received += len(data)
        self.buffered += len(data)
        if not _wasteful(data):
            self.chunks.append(data)
            return
        last = self.chunks[-1] if self.chunks else None
        if isinstance(last, bytearray) and len(last) < JOINED_BYTES:
            last += data
        else:
            self.chunks.append(bytearray(data))

    def take(self) -> list[Buffer]:
        """Hand the gathered chunks over."""
        chunks, self.chunks, self.buffered = self.chunks, [], 0
        return [memoryview(each) if isinstance(each, bytearray) else each for each in chunks]


def _wasteful(data: Buffer) -> bool:
    """Whether to copy ``data``: a view keeps all of the read that it is a part of."""
    if len(data) < SMALL_BYTES:
        return True
    return isinstance(data, memoryview) and 2 * len(data) < memoryview(data.obj).nbytes
