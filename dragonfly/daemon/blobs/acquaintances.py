"""What registries gave to whom on a GET: of others it is not known what a HEAD means.

And which registries said yes to a HEAD where they refuse the GET.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

from dragonfly.daemon.blobs.admissions import question
from dragonfly.daemon.routing.registry import Registry
from dragonfly.net.redirects import HARMLESS
from dragonfly.net.reply import OriginReply
from dragonfly.store.lately import Lately

__all__ = ["KEEP_S", "MOST", "SUSPECTED_S", "Acquaintances"]

KEEP_S = 300.0
"""What a credential that is withdrawn is good for in the swarm, too."""

SUSPECTED_S = 3600.0
"""How a registry answers a HEAD changes when it is set up anew."""

MOST = 1024
"""Callers that are remembered; one that is forgotten costs a GET in place of a HEAD."""


class Acquaintances:
    """Remembers hashes of registry, URL and credentials, the newest :data:`MOST` of them, each
    for :data:`KEEP_S`, and with them what the registry told of the content.

    The whole URL: a parameter of it may be what opens the door, and so may the repository.

    :param now: seconds; it never goes back.
    """

    def __init__(self, now: Callable[[], float], most: int = MOST) -> None:
        self._known: Lately[bytes] = Lately(now, KEEP_S, most)
        self._told: Lately[bytes] = Lately(now, KEEP_S, most)
        self._suspected: Lately[str] = Lately(now, SUSPECTED_S, most)

    def know(self, registry: Registry, url: str, headers: Iterable[tuple[str, str]]) -> bool:
        """Whether that registry gave this to who sends these headers."""
        return _who(registry, url, headers) in self._known

    def heard(
        self,
        registry: Registry,
        url: str,
        headers: Iterable[tuple[str, str]],
        reply: OriginReply,
    ) -> bool:
        """Whether it told the same of it then."""
        return _told(_who(registry, url, headers), reply) in self._told

    def add(
        self,
        registry: Registry,
        url: str,
        headers: Iterable[tuple[str, str]],
        reply: OriginReply,
    ) -> None:
        """It did, and told that."""
        who = _who(registry, url, headers)
        self._known.add(who)
        self._told.add(_told(who, reply))

    def drop(self, registry: Registry, url: str, headers: Iterable[tuple[str, str]]) -> None:
        """It does not any more."""
        self._known.discard(_who(registry, url, headers))

    def suspect(self, registry: Registry) -> None:
        """It said yes to a HEAD, and then refused the GET."""
        self._suspected.add(str(registry))

    def suspects(self, registry: Registry) -> bool:
        """Whether it did so in the last :data:`SUSPECTED_S`."""
        return str(registry) in self._suspected


def _who(registry: Registry, url: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Of the headers, what may be a credential."""
    return question(registry, url, (pair for pair in headers if pair[0].lower() not in HARMLESS))


def _told(who: bytes, reply: OriginReply) -> bytes:
    """That with what tells one content from another."""
    said = (
        str(reply.length),
        reply.etag,
        reply.last_modified,
        reply.header("content-encoding"),
    )
    return sha256(who + repr(said).encode()).digest()
