"""A content and who is told of it: a watcher and an observer in one, that keeps what it hears.

::

    scene = ContentLab(TaskLab(tmp_path))
    scene.feed(0)                   # all bytes of piece 0 come
    assert scene.watching.had == [0]
"""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from dragonfly.peer.content.content import Content
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.layout import Layout
from tests.doubles.tasklab import TaskLab

__all__ = ["ContentLab", "Watching", "spoil"]


@attrs.define
class Watching:
    """A watcher and an observer that keep what they hear."""

    content: Content
    layouts: list[Layout] = attrs.field(factory=list)
    told: list[tuple[int, int, str]] = attrs.field(factory=list)
    finished: int = 0
    errors: list[Exception] = attrs.field(factory=list)
    asked: list[int] = attrs.field(factory=list)
    at_the_end: list[int] = attrs.field(factory=list)
    had: list[int] = attrs.field(factory=list)
    blamed: list[tuple[int, Hashable]] = attrs.field(factory=list)
    again_: list[int] = attrs.field(factory=list)

    def content_layout(self) -> None:
        """Keep."""
        self.layouts.append(self.content.layout)

    def content_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        """Keep; all of it must be usable by now."""
        for begin, end in ranges:
            assert self.content.ready_to(begin) >= end
            self.told.append((begin, end, kind))

    def content_finished(self) -> None:
        """Count."""
        self.finished += 1
        self.at_the_end.append(len(self.told))

    def content_failed(self, error: Exception) -> None:
        """Keep."""
        self.errors.append(error)

    def askable(self, pieces: list[int]) -> None:
        """Keep; none of them may be here."""
        assert not self.content.have.mask & sum(1 << piece for piece in pieces)
        self.asked += pieces

    def have(self, pieces: list[int], source: Hashable) -> None:
        """Keep."""
        self.had += pieces

    def wrong(self, piece: int, source: Hashable) -> None:
        """Keep."""
        self.blamed.append((piece, source))

    def again(self, piece: int, source: Hashable) -> None:
        """Keep."""
        self.again_.append(piece)


class ContentLab:
    """A content that somebody watches."""

    def __init__(
        self, lab: TaskLab, file: TaskFile | None = None, *, runs: bool = True, length: bool = True
    ) -> None:
        self.lab = lab
        self.file = file or lab.file(length_known=length)
        self.file.retain()
        self.content = lab.content(self.file, runs=False, length_known=length)
        self.watching = Watching(self.content)
        self.content.observer = self.watching
        self.content.watchers.append(self.watching)
        if runs:
            self.content.add_run(lab.run())
            self.run()

    def run(self) -> None:
        """Let the disk work."""
        self.lab.threads.run()

    def feed(self, piece: int, source: Hashable = "n", data: bytes | None = None) -> None:
        """All bytes of a piece come from ``source``, and the disk works."""
        self.content.intake.add(source, piece, 0, self.lab.piece(piece) if data is None else data)
        self.run()

    def end(self) -> None:
        """Whatever was retained must have been released."""
        self.run()
        assert self.file.in_use, "released more often than retained"
        self.file.release()
        assert not self.file.in_use


def spoil(piece: bytes) -> bytes:
    """Wrong bytes of the same length."""
    return bytes(len(piece))
