"""The front's side of one request: a body that a test feeds, an answer that it looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from dragonfly.daemon.http.messages import BodyReceiver, Headers, RequestHead
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.daemon.routing.wishes import wishes_of, without_wishes
from dragonfly.errors import ClientGone

__all__ = ["FedBody", "HeardResponder", "request", "routed"]


def request(
    method: bytes = b"GET",
    target: bytes = b"/v2/",
    *lines: tuple[bytes, bytes],
    version: bytes = b"1.1",
) -> RequestHead:
    """A request to a mirror."""
    headers = ((b"Host", b"localhost:65001"), *lines)
    return RequestHead(method=method, target=target, version=version, headers=headers)


def routed(
    head: RequestHead, registry: Registry, *, swarm: bool = False, mode: Mode = Mode.MIRROR
) -> Route:
    """The way of a request to that registry."""
    asking = attrs.evolve(head, headers=without_wishes(head.headers))
    wishes = wishes_of(head.headers)
    return Route(mode=mode, registry=registry, head=asking, swarm=swarm, wishes=wishes)


class FedBody:
    """A request's body that comes when a test says so.

    :ivar taken: somebody wants it: a client that waited was told to go on.
    :ivar paused: nothing may be fed now.
    :ivar pauses: how often it was paused.
    """

    def __init__(self, length: int | None = 0) -> None:
        self.length = length
        self.taken = False
        self.paused = False
        self.pauses = 0
        self.on_resume: Callable[[], None] = lambda: None
        self._receiver: BodyReceiver | None = None

    def deliver(self, receiver: BodyReceiver) -> None:
        """Once."""
        assert not self.taken
        self.taken = True
        self._receiver = receiver
        self.on_resume()

    def pause(self) -> None:
        """Noted."""
        self.pauses += not self.paused
        self.paused = True

    def resume(self) -> None:
        """Noted."""
        self.paused = False
        self.on_resume()

    def feed(self, data: bytes) -> None:
        """Some more of it."""
        assert self._receiver is not None
        self._receiver.body_data(data)

    def end(self) -> None:
        """That was all."""
        assert self._receiver is not None
        self._receiver.body_ended()

    def lose(self) -> None:
        """The client broke off."""
        assert self._receiver is not None
        self._receiver.body_lost(ClientGone("the body of the request is incomplete"))


class HeardResponder:
    """Keeps the answer.

    :ivar room: bytes after which the client pauses, inside ``write``.
    :ivar ending: ``finished``, ``aborted`` or, so far, empty.
    :ivar refuses: raised by ``start``.
    """

    def __init__(self, head: RequestHead, body: FedBody | None = None) -> None:
        self.head = head
        self.body: Any = body or FedBody()
        self.sent = 0
        self.status = 0
        self.over = False
        self.reason = b""
        self.headers: Headers = ()
        self.received = bytearray()
        self.producer: Any = None
        self.ending = ""
        self.room = 1 << 40
        self.refuses: Exception | None = None
        self._on_gone: list[Callable[[], None]] = []

    def on_gone(self, call: Callable[[], None]) -> None:
        """At once, if so already."""
        if self.over and not self.ending:
            call()
        else:
            self._on_gone.append(call)

    def start(self, status: int, headers: Headers, *, reason: bytes = b"") -> None:
        """Once."""
        assert not self.status
        if self.refuses is not None:
            raise self.refuses
        self.status, self.headers, self.reason = status, headers, reason

    def write(self, data: bytes) -> None:
        """Keep it; pause inside the call when the room is used up."""
        assert self.status
        if self.over:
            return
        self.received += data
        self.sent += len(data)
        if len(self.received) >= self.room and self.producer is not None:
            self.producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """One at a time, as for real; stopped at once when it is over."""
        assert self.producer is None
        assert streaming
        if self.over:
            producer.stopProducing()
        else:
            self.producer = producer

    def unregisterProducer(self) -> None:
        """It has ended."""
        self.producer = None

    def finish(self) -> None:
        """Whole."""
        assert self.status
        self._end("finished")

    def abort(self) -> None:
        """Cut."""
        self._end("aborted")

    def take(self, room: int) -> None:
        """The client reads: so many bytes more, all told."""
        self.room = len(self.received) + room
        self.producer.resumeProducing()

    def leave(self) -> None:
        """The client is gone."""
        self.over = True
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        calls, self._on_gone = self._on_gone, []
        for call in calls:
            call()

    def _end(self, ending: str) -> None:
        if not self.over:
            self.over = True
            self.ending = ending
            self._on_gone.clear()
