"""Whom a download works with: who listens to it, and who finds the content for it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Protocol

from dragonfly.peer.content.content import Content
from dragonfly.peer.origin.client import Client
from dragonfly.task.identity import Name
from dragonfly.task.layout import Layout

if TYPE_CHECKING:
    from dragonfly.peer.download.download import Download

__all__ = ["DownloadListener", "Joinable", "Reason", "Ways"]


class Reason:
    """Why the origin was read: the numbers that v1's operators know."""

    NONE = 0
    REGISTER_FAILED = 1
    DOWNLOAD_FAILED = 3
    NO_SUPERNODE = 8
    SOURCE_ERROR = 10
    USER_ASKED = 100


class DownloadListener(Protocol):
    """Who is told how a download goes; see ``dragonfly.peer.home.local`` for one."""

    def on_layout(self, layout: Layout) -> None:
        """There is a file (``path``); called again when the length becomes known."""

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """These bytes of the file are verified now."""

    def on_notice(self, text: str) -> None:
        """Something worth a line to the user."""

    def on_restart(self) -> None:
        """The content changed: nothing told so far holds; a new layout follows."""

    def on_done(self) -> None:
        """Everything is there."""

    def on_failed(self, error: Exception) -> None:
        """It did not work."""


class Joinable(Protocol):
    """A content in the making: a transfer, or a solo fetch."""

    content: Content

    def leave(self, client: Client) -> None:
        """This client wants it no more."""

    def want_in_order(
        self, reader: Hashable, position: int | None, ahead: int, end: int | None
    ) -> None:
        """Where ``reader`` is, how much it has ahead, and where it ends, if that is known;
        ``None`` as position: it has ended."""

    def due_s(self, begin: int, end: int) -> float | None:
        """Seconds until the bytes can be had from here or from anybody: 0: now; infinite: not
        while things stand still as they do; ``None``: it is too early to tell."""


class Ways(Protocol):
    """How content is found: the registry of this peer's tasks."""

    async def at_hand(self, download: Download, name: Name) -> Joinable | None:
        """Join what is in work here under that very digest; ``None``: there is nothing."""

    async def through_swarm(self, download: Download, name: Name) -> Joinable | str:
        """Register and join; a text: the content is not to be shared, and why."""

    async def alone(self, download: Download, name: Name, *, private: bool) -> Joinable:
        """Read the origin without a swarm."""
