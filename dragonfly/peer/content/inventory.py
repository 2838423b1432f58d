"""Which pieces of one content are here, who vouches for them, and which may be read by now."""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.sched.picker import ALL
from dragonfly.task.bitfield import Bitfield, pieces_of
from dragonfly.task.layout import Layout

__all__ = ["Inventory"]


class Inventory:
    """The pieces of one content; no piece is both verified and vouched for by the origin only.

    :ivar layout: piece size and, when known, length.
    :ivar have: verified pieces, which may be given to others; the last of them perhaps only
        in memory yet.
    :ivar extra: pieces that only the origin vouches for: for the user, never for others.
    :ivar wanted: pieces that somebody waits for or may soon, as bits; all of them at first.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.have = Bitfield()
        self.extra = Bitfield()
        self.wanted = ALL
        self._unwritten = 0

    # -- facts ----------------------------------------------------------------------

    def holds(self, piece: int) -> bool:
        """Whether ``piece`` is here, or will be as soon as the disk has it."""
        return piece in self.have or piece in self.extra

    @property
    def all_here(self) -> bool:
        """Whether every byte is here, the last of them perhaps only in memory yet."""
        count = self.layout.piece_count
        return count is not None and len(self.have) + len(self.extra) >= count

    @property
    def finished(self) -> bool:
        """Whether every byte is here and on disk, verified or not."""
        return self.all_here and not self._unwritten

    @property
    def unwritten(self) -> bool:
        """Whether some verified piece is only in memory yet."""
        return bool(self._unwritten)

    @property
    def on_disk(self) -> Bitfield:
        """The verified pieces that were written."""
        return Bitfield(self.have.mask & ~self._unwritten)

    @property
    def lacking(self) -> int:
        """The pieces that are wanted and not here, as bits; a negative number, so without an
        end, when all are wanted and the length is not known."""
        count = self.layout.piece_count
        lacking = self.wanted & ~(self.have.mask | self.extra.mask)
        return lacking if count is None else lacking & ((1 << count) - 1)

    @property
    def remaining(self) -> int:
        """Bytes that are known to be missing, of those wanted; 1 when the length of all is not
        known."""
        size, length = self.layout.piece_size, self.layout.length
        if self.wanted != ALL:
            return self.lacking.bit_count() * size
        if length is None:
            return 1
        here = (len(self.have) + len(self.extra)) * size
        return 0 if self.finished else max(1, length - here)

    def first_missing(self) -> int:
        """The first piece that is not here."""
        mask = self.have.mask | self.extra.mask
        return (~mask & (mask + 1)).bit_length() - 1

    def first_lacking(self) -> int:
        """The first piece that is wanted and not here; the first that is not here if nothing is."""
        lacking = self.lacking
        return (lacking & -lacking).bit_length() - 1 if lacking else self.first_missing()

    def ready_to(self, begin: int) -> int:
        """Up to where the bytes from ``begin`` on are on disk without a gap."""
        size, length = self.layout.piece_size, self.layout.length
        mask = ((self.have.mask | self.extra.mask) & ~self._unwritten) >> (begin // size)
        pieces = (~mask & (mask + 1)).bit_length() - 1
        if pieces == 0:
            return begin
        end = (begin // size + pieces) * size
        return end if length is None else min(end, length)

    def ranges(self) -> list[tuple[int, int]]:
        """The byte ranges that are on disk."""
        joined: list[tuple[int, int]] = []
        for piece in pieces_of(self.on_disk.mask | self.extra.mask):
            if joined and joined[-1][1] == piece:
                joined[-1] = (joined[-1][0], piece + 1)
            else:
                joined.append((piece, piece + 1))
        span = self.layout.span
        return [(span(first)[0], span(end - 1)[1]) for first, end in joined]

    # -- what becomes of pieces --------------------------------------------------------

    def in_memory(self, piece: int) -> None:
        """It is going to be verified before it is written: not to be read until then."""
        self._unwritten |= 1 << piece

    def written(self, piece: int) -> None:
        """It is on disk, too."""
        self._unwritten &= ~(1 << piece)

    def verify(self, pieces: Iterable[int]) -> None:
        """These are what the supernode signed, whoever vouched for them until now."""
        self.have.update(pieces)
        self.extra.mask &= ~self.have.mask

    def trust_origin(self, pieces: Iterable[int]) -> None:
        """These came from the origin, and nobody has signed for them."""
        self.extra.update(pieces)
