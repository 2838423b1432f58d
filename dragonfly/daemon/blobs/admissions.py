"""What origins said yes to a moment ago: who reads one content in many parts is not asked about
each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

from dragonfly.daemon.routing.registry import Registry
from dragonfly.net.reply import OriginReply
from dragonfly.store.newest import Newest

__all__ = ["KEEP_S", "LARGEST", "MOST", "Admissions", "question"]

KEEP_S = 60.0
"""Well below the five minutes of a grant, which is what a credential that is withdrawn is good
for in the swarm; and long enough for a lazy snapshotter that reads a layer in parts of 50 kB."""

MOST = 1024
"""The layers of some dozens of images that are started at once."""

LARGEST = 8 * 1024
"""Characters of an answer's headers: usual ones have 1 KiB, and all together have to stay
within 8 MiB."""


def question(registry: Registry, url: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A hash of who asks whom for what. The headers may be credentials, and are not kept."""
    hasher = sha256()
    pairs = (text for pair in headers for text in pair)
    for part in (str(registry), str(registry.local), url, *pairs):
        data = part.encode("utf-8", "surrogateescape")
        hasher.update(b"%d:%b" % (len(data), data))
    return hasher.digest()


class Admissions:
    """Remembers each yes for :data:`KEEP_S` from when it was said, and never a no.

    Only for contents whose name is their digest: they cannot change meanwhile.

    :param now: seconds; it never goes back.
    """

    def __init__(self, now: Callable[[], float], *, most: int = MOST) -> None:
        self._now = now
        self._said: Newest[bytes, tuple[float, OriginReply]] = Newest(most)

    def __len__(self) -> int:
        return len(self._said)

    def find(self, asked: bytes) -> OriginReply | None:
        """What was answered to that; ``None``: it has to be asked."""
        self._expire()
        found = self._said.get(asked)
        return None if found is None else found[1]

    def keep(self, asked: bytes, reply: OriginReply) -> None:
        """It was answered with a yes, now, unless that is remembered already."""
        if asked in self._said or _size(reply) > LARGEST:
            return
        self._said.put(asked, (self._now() + KEEP_S, reply))

    def drop(self, asked: bytes) -> None:
        """It is no longer so, perhaps."""
        self._said.pop(asked, None)

    def _expire(self) -> None:
        """Forget what is too old: in front is what was said first."""
        now = self._now()
        while self._said:
            first = next(iter(self._said))
            if self._said[first][0] > now:
                return
            del self._said[first]


def _size(reply: OriginReply) -> int:
    pairs = (*reply.headers, *reply.passed)
    return len(reply.url) + sum(len(name) + len(value) for name, value in pairs)
