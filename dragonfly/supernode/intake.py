"""From a stream of bytes to pieces on disk: hash and write, in order, on the disk pool.

All methods block, and all run as jobs of one key of the disk pool, so never two at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from dragonfly.store.piecestore import TaskFile
from dragonfly.task.digest import Digest, PieceHasher, new_hasher

__all__ = ["REREAD_BYTES", "Intake"]

REREAD_BYTES = 32 * 1024 * 1024
"""Bytes verified in one job after a restart: some 20 ms of BLAKE3 and SHA-256."""

_READ_BYTES = 256 * 1024


class Intake:
    """Takes the bytes of one content from the beginning.

    :param held: leading bytes that are on disk and given out already: they are hashed
        when they come again, but not written again.
    :param algorithm: of the digest of the whole, if one is to be checked.
    """

    def __init__(self, file: TaskFile, *, held: int = 0, algorithm: str | None = None) -> None:
        self.position = 0
        self._file = file
        self._held = held
        self._piece_size = file.piece_size
        self._piece = PieceHasher()
        self._in_piece = 0
        self._algorithm = algorithm
        self._whole = new_hasher(algorithm) if algorithm is not None else None

    def absorb(self, chunks: Sequence[bytes]) -> list[bytes]:
        """Hash and write what came; return the digests of the pieces that are full now.

        :raises StoreError: the disk refuses.
        """
        begin = self.position
        digests = [digest for chunk in chunks for digest in self._hash(chunk)]
        self.position = begin + sum(map(len, chunks))
        if self.position > self._held:
            self._write(begin, chunks)
        return digests

    def reread(self, end: int) -> list[bytes]:
        """Hash on from the position what is on disk, up to byte ``end``.

        :return: the digests of the pieces that are full now.
        :raises StoreError: the file is shorter.
        """
        digests = []
        while self.position < end:
            data = self._file.read(self.position, min(_READ_BYTES, end - self.position))
            digests += self._hash(data)
            self.position += len(data)
        return digests

    def finish(self) -> tuple[bytes | None, Digest | None]:
        """The bytes have ended: the digest of a last short piece, and that of the whole."""
        last = self._piece.digest() if self._in_piece else None
        if self._whole is None or self._algorithm is None:
            return last, None
        return last, Digest(self._algorithm, self._whole.digest())

    def _hash(self, data: bytes) -> list[bytes]:
        if self._whole is not None:
            self._whole.update(data)
        view = memoryview(data)
        digests = []
        while view:
            part = view[: self._piece_size - self._in_piece]
            self._piece.update(part)
            self._in_piece += len(part)
            view = view[len(part) :]
            if self._in_piece == self._piece_size:
                digests.append(self._piece.digest())
                self._piece, self._in_piece = PieceHasher(), 0
        return digests

    def _write(self, begin: int, chunks: Sequence[bytes]) -> None:
        skip = max(0, self._held - begin)
        views: list[bytes | memoryview] = []
        for chunk in chunks:
            if skip >= len(chunk):
                skip -= len(chunk)
            else:
                views.append(memoryview(chunk)[skip:] if skip else chunk)
                skip = 0
        self._file.write(max(begin, self._held), views)
