"""Those who follow one download: what one hears, all hear."""

from __future__ import annotations

from collections.abc import Iterator

from dragonfly.peer.download.ways import DownloadListener
from dragonfly.task.layout import Layout

__all__ = ["Audience"]


class Audience:
    """The listeners of one download, as one; who comes late gets the notices all the same."""

    def __init__(self) -> None:
        self._listeners: list[DownloadListener] = []
        self._notices: list[str] = []

    def __iter__(self) -> Iterator[DownloadListener]:
        return iter(list(self._listeners))  # one may make others come or go

    def add(self, listener: DownloadListener) -> None:
        """One more."""
        self._listeners.append(listener)
        for text in self._notices:
            listener.on_notice(text)

    def clear(self) -> None:
        """Nobody hears anything from now on."""
        self._listeners.clear()

    # -- DownloadListener -------------------------------------------------------------------

    def on_layout(self, layout: Layout) -> None:
        """Pass it on."""
        for listener in self:
            listener.on_layout(layout)

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """Pass them on."""
        for listener in self:
            listener.on_ranges(ranges)

    def on_notice(self, text: str) -> None:
        """Pass it on, and keep it."""
        self._notices.append(text)
        for listener in self:
            listener.on_notice(text)

    def on_restart(self) -> None:
        """Pass it on."""
        for listener in self:
            listener.on_restart()

    def on_done(self) -> None:
        """Pass it on."""
        for listener in self:
            listener.on_done()

    def on_failed(self, error: Exception) -> None:
        """Pass it on."""
        for listener in self:
            listener.on_failed(error)
