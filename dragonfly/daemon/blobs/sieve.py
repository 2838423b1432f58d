"""Several parts of a content that lie close together, read as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dragonfly.daemon.blobs.parts import Part
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.http.overlay import Overlay

__all__ = ["GAP_BYTES", "Sieve", "grouped", "wanted_bytes"]

GAP_BYTES = 64 * 1024
"""So much between two parts is read with them: a request to a registry, and one more to its
storage, would cost more."""


def grouped(parts: Iterable[Part]) -> list[tuple[Part, ...]]:
    """The parts in their order, those together that are read as one."""
    groups: list[list[Part]] = []
    for part in parts:
        end = groups[-1][-1].end if groups else None
        if end is not None and part.end is not None and 0 <= part.begin - end <= GAP_BYTES:
            groups[-1].append(part)
        else:
            groups.append([part])
    return [tuple(group) for group in groups]


def wanted_bytes(parts: Iterable[Part], position: int) -> int:
    """How many bytes before ``position`` belong to one of the parts, which do not overlap."""
    ends = ((part, position if part.end is None else min(part.end, position)) for part in parts)
    return sum(max(0, end - part.begin) for part, end in ends)


class Sieve(Overlay):
    """Takes the bytes from the first of ``parts`` to the last; gives on what belongs to one of
    them, behind its head.
    """

    def __init__(self, responder: Responder, parts: Sequence[Part]) -> None:
        super().__init__(responder)
        self._parts = list(parts)
        self._begun = False
        self._position = parts[0].begin

    def write(self, data: bytes) -> None:
        """The next bytes."""
        view = memoryview(data)
        while view and self._parts:
            part = self._parts[0]
            skipped = min(len(view), max(0, part.begin - self._position))
            view = self._passed(view, skipped)
            if not view:
                return
            if not self._begun:
                self._begun = True
                self._responder.write(part.head)
            count = len(view) if part.end is None else min(len(view), part.end - self._position)
            self._responder.write(bytes(view[:count]))
            view = self._passed(view, count)
            if self._position == part.end:
                self._begun = False
                del self._parts[0]

    def _passed(self, view: memoryview, count: int) -> memoryview:
        self._position += count
        return view[count:]
