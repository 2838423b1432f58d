"""What registries gave to whom on a GET: of others it is not known what a HEAD means.

And which registries said yes to a HEAD where they refuse the GET.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dragonfly.daemon.blobs.admissions import question
from dragonfly.daemon.routing.registry import Registry
from dragonfly.net.redirects import HARMLESS
from dragonfly.store.lately import Lately

__all__ = ["KEEP_S", "MOST", "SUSPECTED_S", "Acquaintances"]

KEEP_S = 300.0
"""What a credential that is withdrawn is good for in the swarm, too."""

SUSPECTED_S = 3600.0
"""How a registry answers a HEAD changes when it is set up anew."""

MOST = 1024
"""Callers that are remembered; one that is forgotten costs a GET in place of a HEAD."""


class Acquaintances:
    """Remembers a hash of registry, name and credentials, the newest :data:`MOST` of them, each
    for :data:`KEEP_S`.

    :param now: seconds; it never goes back.
    """

    def __init__(self, now: Callable[[], float], most: int = MOST) -> None:
        self._known: Lately[bytes] = Lately(now, KEEP_S, most)
        self._suspected: Lately[str] = Lately(now, SUSPECTED_S, most)

    def know(self, registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> bool:
        """Whether that registry gave this to who sends these headers."""
        return _who(registry, name, headers) in self._known

    def add(self, registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> None:
        """It did."""
        self._known.add(_who(registry, name, headers))

    def drop(self, registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> None:
        """It does not any more."""
        self._known.discard(_who(registry, name, headers))

    def suspect(self, registry: Registry) -> None:
        """It said yes to a HEAD, and then refused the GET."""
        self._suspected.add(str(registry))

    def suspects(self, registry: Registry) -> bool:
        """Whether it did so in the last :data:`SUSPECTED_S`."""
        return str(registry) in self._suspected


def _who(registry: Registry, name: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Of the headers, what may be a credential."""
    return question(registry, name, (pair for pair in headers if pair[0].lower() not in HARMLESS))
