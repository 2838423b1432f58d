"""A blob on its way, in memory: the swarm's part and the registry's part, moved by hand.

::

    scene = BlobScene(body)
    asked = scene.ask()                    # a GET of the blob
    scene.download.know()                  # the swarm has its layout
    scene.download.come(1000)              # so many bytes are there, from the front
    scene.download.finish()                # all, and the digest is right
    assert asked.responder.received == body
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.config import Node
from dragonfly.daemon.blobs.blob import Blobs
from dragonfly.daemon.blobs.swarmaccess import SwarmAccess, SwarmSettings
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import OriginChanged, TaskError
from dragonfly.net.fanout import OneShot
from dragonfly.net.reply import OriginReply
from dragonfly.peer.download.request import FetchRequest
from dragonfly.task.digest import Hasher
from dragonfly.task.layout import Layout
from tests.doubles.reader import ScriptedReader, make_reply
from tests.doubles.responding import HeardResponder, request, routed

__all__ = ["Asked", "BlobScene", "FakeDownload", "FakeRegistry", "path_of"]

PIECE = 32 * 1024
SLICE = 256 * 1024


def path_of(body: bytes) -> bytes:
    """The path of a blob."""
    return b"/v2/lib/image/blobs/sha256:" + hashlib.sha256(body).hexdigest().encode()


@implementer(IPushProducer)
class FakeReader:
    """Pushes what is there, in order."""

    def __init__(
        self, download: FakeDownload, consumer: IConsumer, begin: int, end: int | None
    ) -> None:
        self.paused = False
        self.done: Deferred[int] = Deferred(lambda _: self._leave())
        self._download = download
        self._consumer = consumer
        self._begin = self._position = begin
        self._end = end
        consumer.registerProducer(self, True)

    def advance(self) -> None:
        """Write what may be written."""
        ends = [each for each in (self._end, self._download.length) if each is not None]
        end = min(ends, default=None)
        ready = min(self._download.ready, self._download.ready if end is None else end)
        while self._position < ready and not self.paused and not self.done.called:
            data = self._download.body[self._position : min(ready, self._position + SLICE)]
            self._position += len(data)
            self._consumer.write(data)
        if end is not None and self._position >= end and not self.done.called:
            self._leave()
            self.done.callback(self._position - self._begin)

    def fail(self, error: Exception) -> None:
        """The download failed."""
        if not self.done.called:
            self._leave()
            self.done.errback(Failure(error))

    def pauseProducing(self) -> None:
        """Enough."""
        self.paused = True

    def resumeProducing(self) -> None:
        """More."""
        self.paused = False
        self.advance()

    def stopProducing(self) -> None:
        """Nobody reads."""

    def _leave(self) -> None:
        if self in self._download.readers:
            self._download.readers.remove(self)
            self._consumer.unregisterProducer()


@attrs.define(eq=False)
class FakePrefix:
    """What was given out of ``body``."""

    body: bytes
    released: bool = False
    error: Exception | None = None
    held: Deferred[None] | None = None

    async def hash_into(self, hasher: Hasher, end: int) -> None:
        """At once, or when a test says so."""
        assert not self.released
        if self.held is not None:
            await self.held
        if self.error is not None:
            raise self.error
        hasher.update(self.body[:end])

    def release(self) -> None:
        """Once."""
        assert not self.released
        self.released = True


class FakeDownload:
    """A download that gets on when a test says so."""

    def __init__(self, request: FetchRequest, body: bytes) -> None:
        self.request = request
        self.body = body
        self.ready = 0
        self.length: int | None = None
        self.sources = {"cache": 0, "cdn": 0, "peers": 0, "origin": 0}
        self.reason = 0
        self.error: Exception | None = None
        self.done: OneShot[None] = OneShot()
        self.ended = False
        self.cancelled = False
        self.due: float | None = 0.0
        self.readers: list[FakeReader] = []
        self.prefixes: list[FakePrefix] = []
        self.listeners: list[Any] = []
        self.id = b"\xab" * 32
        self._layout: Layout | None = None

    @property
    def task(self) -> bytes:
        """Once there is a layout."""
        return b"" if self._layout is None else self.id

    @property
    def layout(self) -> Layout:
        """Once a test said so."""
        if self._layout is None:
            raise TaskError("the download has not begun")
        return self._layout

    def add_listener(self, listener: Any) -> None:
        """Tell it what was."""
        self.listeners.append(listener)
        if self._layout is not None:
            listener.on_layout(self._layout)
        if self.error is not None:
            listener.on_failed(self.error)

    def reader(self, consumer: IConsumer, begin: int = 0, end: int | None = None) -> Any:
        """As the real one."""
        assert self._layout is not None
        reader = FakeReader(self, consumer, begin, end)
        self.readers.append(reader)
        reader.advance()
        return reader

    async def verdict(self) -> None:
        """When a test says so."""
        await self.done.wait()

    def due_s(self, begin: int, end: int) -> float | None:
        """As set by a test: at once, unless it says otherwise."""
        assert begin < end
        if self._layout is None:
            return None
        return 0.0 if end <= self.ready else self.due

    def prefix(self) -> Any:
        """Noted."""
        self.prefixes.append(FakePrefix(self.body))
        return self.prefixes[-1]

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self.cancelled = True
        self.listeners.clear()
        if not self.done.fired:
            self.done.fail(CancelledError())
        for reader in list(self.readers):
            reader.fail(CancelledError())

    # -- moved by a test ---------------------------------------------------------------

    def know(self, *, length: bool = True) -> None:
        """There is a layout, with or without the length."""
        self.length = len(self.body) if length else None
        self._layout = Layout(PIECE, self.length)
        for listener in list(self.listeners):
            listener.on_layout(self._layout)

    def come(self, count: int, kind: str = "cdn") -> None:
        """So many bytes more are there."""
        count = min(count, len(self.body) - self.ready)
        self.sources[kind] += count
        self.ready += count
        for listener in list(self.listeners):
            listener.on_ranges([(self.ready - count, self.ready)])
        for reader in list(self.readers):
            reader.advance()

    def finish(self) -> None:
        """Everything is there, and right."""
        self.know()
        self.come(len(self.body))
        self.ended = True
        self.done.fire(None)

    def fail(self, error: Exception) -> None:
        """It will never be there."""
        self.ended, self.error = True, error
        for reader in list(self.readers):
            reader.fail(error)
        for listener in list(self.listeners):
            listener.on_failed(error)
        self.done.fail(error)

    give_up = fail

    def restart(self) -> None:
        """The content changed."""
        for reader in list(self.readers):
            reader.fail(OriginChanged("it changed"))
        self._layout, self.ready = None, 0

    def notice(self, text: str) -> None:
        """Say something."""
        for listener in list(self.listeners):
            listener.on_notice(text)


class FakeRegistry(ScriptedReader):
    """Both sides of asking it: the check, and the content.

    :ivar reply: what the check says; an error; or a Deferred of either.
    """

    reply: Any = None
    probed: list[tuple[str, Sequence[tuple[str, str]]]]
    by_get: list[bool]

    async def probe(
        self, url: str, headers: Sequence[tuple[str, str]], *, brief: bool, by_get: bool
    ) -> OriginReply:
        """Say whether this caller may have it."""
        assert brief, "who is refused asks again anyway"
        self.probed = [*getattr(self, "probed", []), (url, headers)]
        self.by_get = [*getattr(self, "by_get", []), by_get]
        found = self.reply
        if isinstance(found, Deferred):
            found = await found
        if isinstance(found, Exception):
            raise found
        if found is None:
            found = make_reply(
                length=self._length(),
                url=url,
                etag='"v1"',
                content_type="application/octet-stream",
                docker_content_digest="sha256:" + hashlib.sha256(self.body).hexdigest(),
            )
        assert isinstance(found, OriginReply)
        return found


@attrs.define(eq=False)
class Asked:
    """One request and what became of it."""

    responder: HeardResponder
    note: Note
    answering: Deferred[None]
    result: list[Any] = attrs.field(factory=list)

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Of the answer."""
        return dict(self.responder.headers)

    @property
    def received(self) -> bytes:
        """Of its body."""
        return bytes(self.responder.received)


class BlobScene:
    """A :class:`Blobs` with a swarm and a registry in memory.

    :ivar downloads: all that were begun.
    :ivar straight: the requests that went straight on.
    """

    def __init__(self, body: bytes, *, nodes: tuple[Node, ...] | None = None) -> None:
        self.body = body
        self.clock = Clock()
        self.registry = FakeRegistry(body=body, clock=self.clock)
        self.place: Registry = parse_registry("https://registry.example")
        self.downloads: list[FakeDownload] = []
        self.straight: list[Responder] = []
        self.held = False
        self.refuses: Exception | None = None
        client: Any = self.registry
        self.blobs = Blobs(
            SwarmAccess(
                SwarmSettings(nodes=(Node(host="node"),) if nodes is None else nodes),
                fetch=self._fetch,
                holds=lambda _: self.held,
                clock=self.clock,
            ),
            client=lambda _trust, _loopback: client,
            straight_on=self._straight_on,
            clock=self.clock,
            via=b"here",
            boundary=lambda: b"cut",
        )

    @property
    def download(self) -> FakeDownload:
        """The newest one."""
        return self.downloads[-1]

    def ask(
        self,
        *lines: tuple[bytes, bytes],
        target: bytes | None = None,
        method: bytes = b"GET",
        before: Callable[[HeardResponder], object] = lambda _: None,
    ) -> Asked:
        """A GET of the blob."""
        head = request(method, target or path_of(self.body), *lines)
        responder = HeardResponder(head)
        before(responder)
        note = Note(method="GET", target=head.target.decode("latin-1"), client="")
        route = routed(head, self.place, swarm=True)
        answering = Deferred.fromCoroutine(self.blobs.answer(responder, route, note))
        asked = Asked(responder, note, answering)
        answering.addBoth(asked.result.append)
        return asked

    def wait(self, seconds: float) -> None:
        """Time passes, in small steps."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)

    def _fetch(self, request: FetchRequest) -> FakeDownload:
        if self.refuses is not None:
            raise self.refuses
        self.downloads.append(FakeDownload(request, self.body))
        return self.downloads[-1]

    async def _straight_on(self, responder: Responder, route: Route, note: Note) -> None:
        assert route.registry is self.place
        self.straight.append(responder)
        note.ending = "done"
