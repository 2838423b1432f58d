"""The origin and the CDN's library, as far as a tracker needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dragonfly.control.messages import Validator
from dragonfly.net.reply import OriginReply
from dragonfly.signatures import SigningKey
from dragonfly.supernode.cdn import Wanted
from dragonfly.supernode.content import Content
from dragonfly.task.digest import piece_digest
from dragonfly.task.layout import choose_piece_size
from dragonfly.task.manifest import RUN_DIGESTS, Manifest

from .clock import SimClock
from .hosts import SimFile

__all__ = ["RUN_S", "URL", "Origin", "SimLibrary", "keep_feeding"]

URL = "http://origin.example/file"

RUN_S = 0.05
"""Digests that are not 256 yet are signed after this."""


class Origin:
    """Says yes to everybody, at once."""

    def __init__(self, length: int) -> None:
        self._length = length

    async def probe(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        by_get: bool = False,
        opening: bool = False,
    ) -> OriginReply:
        """As :class:`~dragonfly.net.origin.OriginClient` does."""
        return OriginReply(
            status=200, headers=(("etag", '"1"'),), url=url, length=self._length, start=0
        )


class SimLibrary:
    """Contents that are there (warm) or come in from the origin (cold).

    :param piece_size: ``None``: as the layout has it.
    :param ready: told of each content that is made.
    """

    def __init__(
        self, clock: SimClock, piece_size: int | None, ready: Callable[[Content], object]
    ) -> None:
        self._clock = clock
        self._piece_size = piece_size
        self._ready = ready
        self._kept: dict[bytes, Content] = {}

    def get(self, task: bytes) -> Content | None:
        """The content of a task."""
        return self._kept.get(task)

    def contents(self) -> tuple[Content, ...]:
        """All of them."""
        return tuple(self._kept.values())

    def latest(self, name: bytes) -> tuple[bytes, bool] | None:
        """Nothing is kept of earlier runs."""
        return None

    async def whole(self, content: Content, limit: int) -> bytes | None:
        """Never inside an answer: it is the swarm that is looked at."""
        return None

    async def recall(self, task: bytes) -> Content | None:
        """The content of a task."""
        return self._kept.get(task)

    def forget(self, content: Content) -> bool:
        """Never."""
        return False

    async def obtain(self, wanted: Wanted) -> Content:
        """The content, made at its first use."""
        content = self._kept.get(wanted.task)
        if content is None:
            content = self._kept[wanted.task] = self._make(wanted)
            self._ready(content)
        content.used = self._clock.now
        content.public = True
        return content

    def _make(self, wanted: Wanted) -> Content:
        length = wanted.admitted.reply.length
        size = self._piece_size or choose_piece_size(length)
        return Content(
            id=wanted.task,
            name=wanted.name.id,
            url=wanted.name.url,
            fetch=1,
            manifest=Manifest(wanted.task, 1, size, length),
            validator=Validator(etag='"1"', length=length),
            file=SimFile(wanted.task, 1, bytes(size)),
        )


def keep_feeding(content: Content, clock: SimClock, key: SigningKey, rate: float | None) -> None:
    """Let ``content`` come from the origin at ``rate`` bytes for each second; ``None``: it is
    all there. Runs are closed as the CDN's intake does (:mod:`dragonfly.supernode.intake`)."""
    digest = piece_digest(bytes(content.piece_size))
    count, length = content.layout.piece_count or 0, content.length
    if rate is None:
        for _ in range(count):
            content.add_digest(digest)
        content.sign(key, end=length)
        content.settle()
        return
    since = clock.now

    def look() -> None:
        held = content.held + content.unsigned
        came = min(count, int((clock.now - since) * rate / content.piece_size + 1e-9))
        for _ in range(came - held):
            content.add_digest(digest)
        if came == count:
            content.sign(key, end=length)
            content.settle()
            return
        content.sign(key)
        full = RUN_DIGESTS * content.piece_size / rate
        clock.callLater(min(RUN_S, full), look)

    clock.callLater(RUN_S, look)
