"""What the daemon needs of a download; the one there is: ``dragonfly.peer.download.download``."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IConsumer

from dragonfly.errors import DragonflyError, TaskError
from dragonfly.net.fanout import OneShot
from dragonfly.peer.download.prefix import Prefix
from dragonfly.peer.download.reader import OrderedReader
from dragonfly.peer.download.ways import DownloadListener
from dragonfly.task.layout import Layout

__all__ = ["Transferring", "layout_of"]


class Transferring(Protocol):
    """A download under way."""

    done: OneShot[None]
    sources: dict[str, int]
    reason: int
    error: Exception | None

    @property
    def ended(self) -> bool:
        """Whether it is done or has failed."""

    @property
    def task(self) -> bytes:
        """The task's id; empty until it is known."""

    @property
    def layout(self) -> Layout:
        """Piece size and length, once they are known."""

    def add_listener(self, listener: DownloadListener) -> None:
        """Tell it what was, and what comes."""

    def reader(self, consumer: IConsumer, begin: int = 0, end: int | None = None) -> OrderedReader:
        """Push bytes in order."""

    async def verdict(self) -> None:
        """Wait until all that was read is known to be right.

        :raises DigestMismatch: it is not.
        """

    def prefix(self) -> Prefix:
        """What was read, for hashing it again."""

    def give_up(self, error: DragonflyError) -> None:
        """Have it fail, and its readers too."""

    def due_s(self, begin: int, end: int) -> float | None:
        """Seconds until the bytes can be had from here or from anybody: 0: now; infinite: not
        while things stand still as they do; ``None``: it is too early to tell."""

    def cancel(self) -> None:
        """Want it no more."""


def layout_of(download: Transferring) -> Layout | None:
    """Its layout; ``None``: that is not known yet."""
    try:
        return download.layout
    except TaskError:
        return None
