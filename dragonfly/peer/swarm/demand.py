"""Which bytes of one content are wanted here: everything, or what its readers are at. Pure."""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from dragonfly.sched.picker import ALL

__all__ = ["READ_AHEAD_BYTES", "READ_AHEAD_PIECES", "Demand", "read_ahead"]

READ_AHEAD_BYTES = 16 * 1024 * 1024
"""How far before a reader pieces are fetched where not all is wanted: what comes at 1 Gb/s in
0.13 s, several response times of a busy neighbour, so that a reader is as fast as a download of
the whole. It is also what a reader that hangs up leaves behind for nothing, at most."""

READ_AHEAD_PIECES = 4
"""... and at least so many pieces, to come from several neighbours at once. They are 16 MiB at
most, so this is 64 MiB at most."""


def read_ahead(piece_size: int) -> int:
    """Give the bytes before a reader that are fetched."""
    return max(READ_AHEAD_BYTES, READ_AHEAD_PIECES * piece_size)


@attrs.frozen
class _Cursor:
    """One reader: at ``position``, with ``ahead`` bytes before it waits, to go to ``end``."""

    position: int
    ahead: int
    end: int | None

    @property
    def fed(self) -> bool:
        """Whether all that it will read is here."""
        return self.end is not None and self.position + self.ahead >= self.end


class Demand:
    """The wishes of all clients of one content.

    :ivar pieces: those that somebody wants, as bits: those before readers, or
        :data:`~dragonfly.sched.picker.ALL` as soon as one client wants everything.
    """

    def __init__(self, piece_size: int) -> None:
        self.pieces = 0
        self._piece_size = piece_size
        self._ahead = read_ahead(piece_size)
        self._whole = False
        self._cursors: dict[Hashable, _Cursor] = {}
        self._windows: dict[Hashable, tuple[int, int]] = {}

    def want_whole(self, whole: bool) -> None:
        """Some client wants everything; or all of them only what their readers are at."""
        self._whole = whole
        self._add_up()

    def read(self, reader: Hashable, position: int, ahead: int, end: int | None) -> None:
        """``reader`` is at ``position``, has ``ahead`` bytes there, and reads up to ``end``."""
        self._cursors[reader] = _Cursor(position, ahead, end)
        window = self._window(position, end)
        if self._windows.get(reader) != window:
            self._windows[reader] = window
            self._add_up()

    def leave(self, reader: Hashable) -> None:
        """``reader`` has ended."""
        if self._cursors.pop(reader, None) is not None:
            del self._windows[reader]
            self._add_up()

    @property
    def in_order(self) -> bool:
        """Whether anybody reads in order."""
        return bool(self._cursors)

    def places(self) -> list[tuple[int, int]]:
        """The readers that lack something: the piece each is at and the bytes that it has
        before it waits, the hungriest first."""
        hungry = sorted((c.ahead, c.position) for c in self._cursors.values() if not c.fed)
        return [(position // self._piece_size, ahead) for ahead, position in hungry]

    def _window(self, position: int, end: int | None) -> tuple[int, int]:
        """The pieces before a reader, from the first to behind the last one."""
        to = position + self._ahead if end is None else min(end, position + self._ahead)
        first = position // self._piece_size
        return first, max(first, -(-to // self._piece_size))

    def _add_up(self) -> None:
        """As cheap as there are readers, whatever the number of pieces; nothing for a whole."""
        pieces = ALL if self._whole else 0
        if not self._whole:
            for first, end in self._windows.values():
                pieces |= (1 << end) - (1 << first)
        self.pieces = pieces
