"""Who wants a content."""

from __future__ import annotations

from typing import Protocol

from dragonfly.peer.content.watcher import Watcher
from dragonfly.peer.origin.originstream import OriginSource

__all__ = ["Client"]


class Client(Watcher, Protocol):
    """One download that wants this content."""

    @property
    def whole(self) -> bool:
        """Whether it wants everything, and not only what it reads."""

    @property
    def local_limit(self) -> int | None:
        """Bytes per second at most, ``None``: any."""

    def impatient(self, expected_s: float | None, rate: float, now: float) -> bool:
        """Whether its limits (time, rate) will not be met."""

    def fell_back(self, how: str) -> None:
        """The origin is being read."""

    def origin_source(self) -> OriginSource | None:
        """How it reads the origin; ``None`` if it must not."""
