"""Pieces that were verified a moment ago, still in memory: most of them are asked for soon."""

from __future__ import annotations

from collections.abc import Hashable

from dragonfly.store.recent import Recent

__all__ = ["HOT_BYTES", "HOT_PIECE_BYTES", "HotPieces"]

HOT_BYTES = 16 * 1024 * 1024
"""Bytes kept at most, beside those that the disk does not have yet: a peer is to stay under
100 MiB. In a swarm it is what a link of 50 Mb/s brings in 2.7 s."""

HOT_PIECE_BYTES = 256 * 1024
"""The largest piece that is kept; larger ones are few, and cost a look at the disk each."""

_Key = tuple[Hashable, int]


class HotPieces:
    """Verified pieces by file and number. Those not written yet stay; of the others the ones
    that were not used for longest go first.

    Only for the reactor's thread. A file is named by its object, so what is kept of one that
    was removed is never taken for its successor's.

    :param limit: bytes of written pieces to keep; with 0 nothing but what is being written is
        ever given from memory, not even from the kernel's.
    """

    def __init__(self, limit: int = HOT_BYTES) -> None:
        self.limit = limit
        self._unwritten: dict[_Key, bytes] = {}
        self._written: Recent[_Key] = Recent(limit)

    @property
    def size(self) -> int:
        """Bytes of written pieces."""
        return self._written.size

    def put(self, file: Hashable, piece: int, data: bytes) -> None:
        """Keep ``data`` at least until :meth:`written`."""
        self._unwritten[file, piece] = data

    def written(self, file: Hashable, piece: int) -> None:
        """The disk has it: keep it while there is room."""
        data = self._unwritten.pop((file, piece), None)
        if data is not None:
            self._written.keep((file, piece), data)

    def get(self, file: Hashable, piece: int) -> bytes | None:
        """All bytes of a piece, if they are here."""
        data = self._unwritten.get((file, piece))
        return data if data is not None else self._written.get((file, piece))

    def drop(self, file: Hashable) -> None:
        """Nobody will ask for pieces of ``file`` any more, written or not."""
        for key in [key for key in self._unwritten if key[0] is file]:
            del self._unwritten[key]
        self._written.drop(lambda key: key[0] is file)
