"""An origin in memory, as the CDN reads it: no sockets, and every misbehaviour on order.

::

    reader = ScriptedReader(b"...", cut_after=1000, cuts=1)
    tools = make_tools(reader, ...)

The switches may be changed while a fetch runs; ``reader.asked`` tells what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from zope.interface import implementer

from dragonfly.control.messages import Validator
from dragonfly.errors import OriginChanged
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import OriginReply, strong

__all__ = ["Asked", "ScriptedReader", "make_reply"]

CHUNK = 16 * 1024


def make_reply(
    *,
    length: int | None = None,
    url: str = "http://origin.example/f",
    status: int = 200,
    start: int = 0,
    end: int | None = None,
    **headers: str | None,
) -> OriginReply:
    """An origin's answer; ``last_modified="x"`` is the header Last-Modified."""
    pairs = tuple((name.replace("_", "-"), text) for name, text in headers.items() if text)
    return OriginReply(status=status, headers=pairs, url=url, length=length, start=start, end=end)


@attrs.frozen
class Asked:
    """One request."""

    start: int
    validator: Validator | None
    headers: tuple[tuple[str, str], ...]
    checked: bool = False
    end: int | None = None


@attrs.define(eq=False, kw_only=True)
class ScriptedReader:
    """What an origin has and does."""

    body: bytes
    clock: IReactorTime
    etag: str | None = '"v1"'
    last_modified: str | None = None
    content_type: str | None = None
    ranges: bool = True
    announce: bool = True
    """Whether the length is told."""
    claims: int | None = None
    """The length that is told, true or not."""
    cut_after: int | None = None
    """Bytes of a response behind which the connection is lost, ..."""
    cuts: int = 1
    """... so many times."""
    silent: bool = False
    """Deliver nothing by itself: a test calls :meth:`give`."""
    errors: list[Exception] = attrs.field(factory=list)
    """Raised one after another before anything is answered."""
    before: Callable[[], object] = attrs.field(default=lambda: None)
    """Called with each request, before it is answered."""
    asked: list[Asked] = attrs.field(factory=list)
    doubted: list[str] = attrs.field(factory=list)
    """URLs of which something told is not so."""
    sent: int = 0
    bodies: list[_Body] = attrs.field(factory=list)

    def doubt(self, url: str) -> None:
        """Keep."""
        self.doubted.append(url)

    async def get(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        start: int = 0,
        end: int | None = None,
        validator: Validator | None = None,
        checked: bool = False,
    ) -> OriginBody:
        """Answer as :class:`dragonfly.net.origin.OriginClient` would."""
        self.asked.append(Asked(start, validator, tuple(headers), checked, end))
        self.before()
        if self.errors:
            raise self.errors.pop(0)
        part = start > 0 or end is not None
        ranged = part and (validator is None or strong(validator.etag) is not None)
        same = validator is None or strong(validator.etag) == self.etag
        begin = start if ranged and self.ranges and same else 0
        if begin > len(self.body):
            raise OriginChanged("fewer bytes now", 416)
        nothing_left = begin > 0 and begin == len(self.body)
        cut = end is not None and ranged and self.ranges and same
        stop = min(end or 0, len(self.body)) if cut else len(self.body)
        reply = make_reply(
            length=begin if nothing_left else self._length(),
            url=url,
            status=416 if nothing_left else 206 if begin or stop < len(self.body) else 200,
            start=begin,
            end=stop if stop < len(self.body) else None,
            etag=self.etag,
            last_modified=self.last_modified,
            content_type=self.content_type,
        )
        if validator is not None:
            reply.check_version(validator)
        body = _Body(self, self.body[begin:stop])
        self.bodies.append(body)
        return OriginBody(reply, body, self.clock)

    def _length(self) -> int | None:
        if not self.announce:
            return None
        return len(self.body) if self.claims is None else self.claims

    def give(self, count: int) -> None:
        """Let the newest response deliver so many bytes more, and its end after the last."""
        self.bodies[-1].give(count)


@implementer(IPushProducer)
class _Body:
    """One response; enough of ``IResponse`` for OriginBody."""

    length = 1 << 40  # too long to be read to its end for nothing

    def __init__(self, reader: ScriptedReader, rest: bytes) -> None:
        self._reader = reader
        self._rest = rest
        self._given = 0
        self._sink: Any = None
        self._stop_at: int | None = None
        self.paused = False
        self.stopped = False
        if reader.cut_after is not None and reader.cuts > 0:
            reader.cuts -= 1
            self._stop_at = min(reader.cut_after, len(rest))

    def deliverBody(self, sink: Any) -> None:
        """Begin, and unless the reader is silent go on to the end."""
        self._sink = sink
        sink.makeConnection(self)
        if not self._reader.silent:
            self._go_on()

    def give(self, count: int) -> None:
        """Deliver so many bytes, whether or not the sink paused."""
        end = len(self._rest) if self._stop_at is None else self._stop_at
        upto = min(self._given + count, end)
        while self._given < upto and not self.stopped:
            self._chunk(upto)
        if self._given == end and not self.stopped:
            self._end()

    def _go_on(self) -> None:
        end = len(self._rest) if self._stop_at is None else self._stop_at
        while self._given < end and not (self.paused or self.stopped):
            self._chunk(end)
        if self._given == end and not (self.paused or self.stopped):
            self._end()

    def _chunk(self, upto: int) -> None:
        data = self._rest[self._given : min(upto, self._given + CHUNK)]
        self._given += len(data)
        self._reader.sent += len(data)
        self._sink.dataReceived(data)

    def _end(self) -> None:
        self.stopped = True
        cut = self._stop_at is not None
        self._sink.connectionLost(Failure(ConnectionLost() if cut else ResponseDone()))

    def pauseProducing(self) -> None:
        """Deliver no more for now."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self.paused = False
        if not self._reader.silent:
            self._go_on()

    def stopProducing(self) -> None:
        """Nobody wants the rest."""
        self.stopped = True
