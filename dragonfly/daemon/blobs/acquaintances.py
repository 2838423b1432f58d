"""What registries gave to whom on a GET: of others it is not known what a HEAD means."""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.daemon.blobs.admissions import question
from dragonfly.daemon.routing.registry import Registry
from dragonfly.net.redirects import HARMLESS
from dragonfly.store.newest import Newest

__all__ = ["MOST", "Acquaintances"]

MOST = 1024
"""Callers that are remembered; one that is forgotten costs a GET in place of a HEAD."""


class Acquaintances:
    """Remembers a hash of registry, name and credentials, the newest :data:`MOST` of them."""

    def __init__(self, most: int = MOST) -> None:
        self._known: Newest[bytes, None] = Newest(most)

    def know(self, registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> bool:
        """Whether that registry gave this to who sends these headers."""
        return _who(registry, name, headers) in self._known

    def add(self, registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> None:
        """It did."""
        self._known.put(_who(registry, name, headers), None)

    def drop(self, registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> None:
        """It does not any more."""
        self._known.pop(_who(registry, name, headers), None)


def _who(registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Of the headers, what may be a credential."""
    return question(registry, name, (pair for pair in headers if pair[0].lower() not in HARMLESS))
