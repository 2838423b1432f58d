"""Who is told of what happens to a content and its neighbours."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from dragonfly.peer.connections.links import Link

__all__ = ["Observer", "Supervisor", "Watcher"]


class Observer(Protocol):
    """Who asks neighbours for pieces, and tells them what is here."""

    def askable(self, pieces: list[int]) -> None:
        """The digests of these are known, and they are not here."""

    def have(self, pieces: list[int], source: Hashable) -> None:
        """These are here, verified."""

    def wrong(self, piece: int, source: Hashable) -> None:
        """``source`` sent bytes that are not those of ``piece``."""

    def again(self, piece: int, source: Hashable) -> None:
        """``piece`` must be asked for once more, through nobody's fault."""


class Watcher(Protocol):
    """Who wants the bytes."""

    def content_layout(self) -> None:
        """The length became known."""

    def content_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        """More bytes may be used; ``kind`` of source: cache, cdn, peers, origin."""

    def content_finished(self) -> None:
        """All bytes are here."""

    def content_failed(self, error: Exception) -> None:
        """It will not be finished; what is here stays."""


class Supervisor(Protocol):
    """Who looks after the whole download."""

    def fed(self, length: int, now: float) -> None:
        """Useful bytes came from a neighbour."""

    def neighbours_changed(self) -> None:
        """A link opened or closed."""

    def shown(self, link: Link, pieces: int, now: float) -> None:
        """``link`` shows these (as bits), besides those of its ``mask``."""

    def complain(self, link: Link, piece: int, why: str) -> None:
        """``link`` sent wrong bytes or a forged run: it is dropped, and the supernode told."""
