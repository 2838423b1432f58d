"""Whose credentials the origin of one task is read with."""

from __future__ import annotations

from collections.abc import Sequence

from dragonfly.peer.origin.client import Client
from dragonfly.peer.origin.originstream import OriginSource

__all__ = ["OriginSources"]


class OriginSources:
    """How the clients of one task read its origin, without those that it has refused.

    :param clients: those of the moment; looked at whenever a source is wanted.
    """

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._refused: set[OriginSource] = set()

    def choose(self) -> OriginSource | None:
        """One that the origin has not refused yet, if there is one; ``None``: nobody may read."""
        sources = self._sources()
        fresh = (source for source in sources if source not in self._refused)
        return next(fresh, sources[0] if sources else None)

    def refuse(self, refused: OriginSource) -> bool:
        """The origin refused it: whether another client has one to try.

        When all were refused, all may try again: the supernode may bring it meanwhile.
        """
        self._refused.add(refused)
        if any(source not in self._refused for source in self._sources()):
            return True
        self._refused.clear()
        return False

    def _sources(self) -> list[OriginSource]:
        found = (client.origin_source() for client in self._clients)
        return [source for source in found if source is not None]
