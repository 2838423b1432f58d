"""The client's end of a front's connection, in memory, and answers to be given by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.daemon.front.connection import Connection
from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.http.messages import Headers, Responder

__all__ = ["Answers", "Body", "ClientEnd", "Writer", "bodies", "connect", "join"]


@implementer(ITCPTransport)
class ClientEnd:
    """A transport whose other side reads when it is told to.

    What is written is at once with the client, until :attr:`room` bytes lie unread; beyond
    that the producer is paused inside the ``write``, as by real ones.

    :ivar got: what the client has read.
    :ivar state: ``open``, ``half closed``, ``closed`` or ``aborted``.
    """

    def __init__(self, *, room: int = 1 << 40) -> None:
        self.got = b""
        self.state = "open"
        self.room = room
        self.reading = True
        self.dataBuffer = b""
        self.protocol: Connection
        self._producer: Any = None
        self._paused = False
        self._closing = False

    # -- the client ---------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send, if anybody reads."""
        assert self.reading, "a paused transport brings nothing"
        if self.state in ("open", "half closed") and not self._closing:
            self.protocol.dataReceived(data)

    def read(self, most: int = 1 << 40) -> bytes:
        """Read what lies there; the producer hears of it when all is gone."""
        data, self.dataBuffer = self.dataBuffer[:most], self.dataBuffer[most:]
        self.got += data
        if not self.dataBuffer and self._paused:
            self._paused = False
            self._producer.resumeProducing()
        if not self.dataBuffer and self._closing:
            self._lost("closed", ConnectionDone())
        return data

    def hang_up(self) -> None:
        """Close from the client's side."""
        self._lost("closed", ConnectionLost())

    @property
    def gone(self) -> bool:
        """Whether there is no connection any more."""
        return self.state in ("closed", "aborted")

    # -- ITransport ---------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Take bytes, and nothing but bytes."""
        self.writeSequence([data])

    def writeSequence(self, data: Sequence[bytes]) -> None:
        """Take them all."""
        assert all(type(part) is bytes for part in data)
        if self.state != "open" or self._closing:
            return
        self.dataBuffer += b"".join(data)
        if len(self.dataBuffer) <= self.room and not self._paused:
            self.got += self.dataBuffer
            self.dataBuffer = b""
        elif self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def loseConnection(self) -> None:
        """Close when everything is read and no producer is there."""
        self._closing = True
        if not self.dataBuffer and self._producer is None:
            self._lost("closed", ConnectionDone())

    def loseWriteConnection(self) -> None:
        """The client sees the end."""
        assert self._producer is None
        self.state = "half closed"

    def abortConnection(self) -> None:
        """What lies unread is lost."""
        self.dataBuffer = b""
        self._lost("aborted", ConnectionAborted())

    def _lost(self, state: str, why: Exception) -> None:
        if self.gone:
            return
        self.state = state
        producer, self._producer = self._producer, None
        self._paused = False
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(why))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """One at a time."""
        assert self._producer is None
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:
        """It has ended."""
        self._producer = None
        self._paused = False
        if self._closing:
            self.loseConnection()

    def pauseProducing(self) -> None:
        """Read no more."""
        assert self.reading
        self.reading = False

    def resumeProducing(self) -> None:
        """Read on."""
        assert not self.reading
        self.reading = True

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def getPeer(self) -> IPv4Address:
        """Return a made-up address."""
        return IPv4Address("TCP", "192.0.2.7", 40000)

    def getHost(self) -> IPv4Address:
        """Return a made-up address."""
        return IPv4Address("TCP", "192.0.2.1", 65001)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Accept anything."""

    def getTcpNoDelay(self) -> bool:
        """Return what was set."""
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Accept anything."""

    def getTcpKeepAlive(self) -> bool:
        """Return what was set."""
        return True


@attrs.define(eq=False)
class Answers:
    """Keeps the requests, to be answered by hand: ``answers.last.start(...)``.

    :ivar by: answers at once instead.
    """

    seen: list[Responder] = attrs.field(factory=list)
    by: Callable[[Responder], Awaitable[None]] | None = None
    waiting: list[Deferred[None]] = attrs.field(factory=list)

    async def __call__(self, responder: Responder) -> None:
        """Answer one."""
        self.seen.append(responder)
        if self.by is not None:
            await self.by(responder)
            return
        self.waiting.append(Deferred())
        await self.waiting[-1]

    @property
    def last(self) -> Responder:
        """The latest request."""
        return self.seen[-1]

    def release(self) -> None:
        """All answers return."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)

    def give(self, body: bytes = b"", status: int = 200, headers: Headers | None = None) -> None:
        """Answer the latest request; with a length unless there are *headers*."""
        if headers is None:
            headers = ((b"Content-Length", b"%d" % len(body)),)
        self.last.start(status, headers)
        self.last.write(body)
        self.last.finish()
        self.release()


class Body:
    """Takes a request's body.

    :ivar log: what came: bytes, ``"ended"`` or the error's text.
    """

    def __init__(self) -> None:
        self.log: list[bytes | str] = []

    @property
    def whole(self) -> bytes:
        """All bytes so far."""
        return b"".join(each for each in self.log if isinstance(each, bytes))

    def body_data(self, data: bytes) -> None:
        """Noted."""
        self.log.append(data)

    def body_ended(self) -> None:
        """Noted."""
        self.log.append("ended")

    def body_lost(self, error: Exception) -> None:
        """Noted."""
        self.log.append(str(error))


@implementer(IPushProducer)
class Writer:
    """A producer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Noted."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Noted."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Noted."""
        self.told.append("stop")


def connect(
    answer: Any, clock: Clock, *, limits: FrontLimits | None = None, room: int = 1 << 40
) -> ClientEnd:
    """Return the client's end of a new connection; its factory is ``.protocol.factory``."""
    factory = FrontFactory(answer, clock=clock, limits=limits)
    return join(factory, room=room)


def join(factory: FrontFactory, *, room: int = 1 << 40) -> ClientEnd:
    """Return the client's end of another connection."""
    end = ClientEnd(room=room)
    protocol = factory.buildProtocol(end.getPeer())
    assert protocol is not None
    protocol.factory = factory
    end.protocol = protocol
    protocol.makeConnection(end)
    return end


def bodies(stream: bytes) -> list[tuple[int, bytes]]:
    """Split answers with a Content-Length into status and body."""
    found = []
    while stream:
        head, _, stream = stream.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                length = int(value)
        found.append((status, stream[:length]))
        stream = stream[length:]
    return found
