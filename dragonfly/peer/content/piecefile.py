"""The file of one content as pieces: writes, compares, journals; runs on the disk pool.

Jobs of one file run one after another, which is what makes the book-keeping in
:class:`PieceFile` safe without a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from dragonfly.peer.content.assembly import Assembly, Buffer
from dragonfly.peer.content.writebatch import Verified
from dragonfly.store.piecestore import TaskFile, verify_pieces
from dragonfly.task.digest import PieceHasher

__all__ = ["PieceFile", "Verdict"]


class Verdict(Enum):
    """What became of the bytes of one piece from one source."""

    VERIFIED = "verified"
    WRONG = "wrong"
    SECOND = "second"
    """Right or not, the piece was there already; nothing was written."""
    SPOILT = "spoilt"
    """These bytes were right, but another source wrote wrong ones over them: ask again."""


class PieceFile:
    """What one file holds. Every method blocks, and is for jobs of that file only.

    A verified piece is never written over by bytes that were not compared with its digest.
    """

    def __init__(self, file: TaskFile) -> None:
        self._file = file
        self._verified: set[int] = set()
        self._writers: dict[int, set[Assembly]] = {}

    def store_whole(
        self, assembly: Assembly, chunks: list[Buffer], expected: bytes | None
    ) -> tuple[Verdict, bytes]:
        """Hash all bytes of a piece, and write them if they are right; what they are worth, and
        their digest.

        :param expected: the digest of the right ones; ``None``: whatever comes is stored.
        :raises StoreError: the disk does not take them.
        """
        if assembly.piece in self._verified:
            return Verdict.SECOND, b""
        hasher = PieceHasher()
        for chunk in chunks:
            hasher.update(chunk)
        digest = hasher.digest()
        if expected is not None and digest != expected:
            return Verdict.WRONG, digest
        self._file.write(assembly.offset, chunks)
        return self._record(assembly.piece), digest

    def store_verified(self, pieces: list[Verified]) -> None:
        """Write pieces that were compared already.

        :raises StoreError: the disk does not take them.
        """
        new = [each.piece for each in pieces if each.piece not in self._verified]
        for each in pieces:  # what the file holds may have been stored without a digest
            self._file.write(each.piece * self._file.piece_size, [each.data])
        if new:
            self._file.record(new)
        self._verified.update(new)

    def write_part(self, assembly: Assembly, chunks: list[Buffer]) -> None:
        """Write and hash the next bytes of a large piece, right or wrong.

        :raises StoreError: the disk does not take them.
        """
        if assembly.piece in self._verified or assembly.writer is None:
            return
        self._writers.setdefault(assembly.piece, set()).add(assembly)
        assembly.writer.write(chunks)

    def finish_parts(
        self, assembly: Assembly, chunks: list[Buffer], expected: bytes | None
    ) -> tuple[Verdict, bytes]:
        """The last part of a large piece: judge its source by the bytes that it sent, and the
        file, if others wrote there too, by the bytes that it holds. As :meth:`store_whole`."""
        if assembly.piece in self._verified or assembly.writer is None:
            return Verdict.SECOND, b""
        self.write_part(assembly, chunks)
        digest = assembly.writer.digest()
        if expected is not None and digest != expected:
            return Verdict.WRONG, digest
        alone = self._writers.pop(assembly.piece) == {assembly}
        if not alone and not verify_pieces(self._file, lambda _: digest, [assembly.piece]):
            return Verdict.SPOILT, digest
        return self._record(assembly.piece), digest

    def trust(self, pieces: Sequence[int]) -> None:
        """These were verified otherwise."""
        self._verified.update(pieces)

    def distrust(self, pieces: Sequence[int]) -> None:
        """These turned out wrong."""
        self._verified.difference_update(pieces)

    def recheck(self, expected: dict[int, bytes]) -> list[int]:
        """Hash pieces of the file; those that have the expected digest, which count from then on,
        as the others do not."""
        good = list(verify_pieces(self._file, expected.get, sorted(expected)))
        self._verified.difference_update(expected)
        self._verified.update(good)
        return good

    def _record(self, piece: int) -> Verdict:
        self._file.record([piece])
        self._verified.add(piece)
        return Verdict.VERIFIED
