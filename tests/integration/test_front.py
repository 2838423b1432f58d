"""The front on real sockets: pushing back, hang-ups, cuts, TLS clients on the plain port."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.http.messages import Headers, Responder
from tests.doubles.front import Body

MIB = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE_S = 10.0
# What two sockets on loopback hold between them: up to 4 MiB to send, 6 MiB received, and some.
KERNEL_BYTES = 16 * MIB


class Front:
    """A front on a port, whose requests wait to be answered."""

    def __init__(self, limits: FrontLimits) -> None:
        self.factory = FrontFactory(self._answer, clock=reactor, limits=limits)
        self.listening = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.port = self.listening.getHost().port
        self._asked: Deferred[Responder] = Deferred()
        self._released: list[Deferred[None]] = []

    async def _answer(self, responder: Responder) -> None:
        over: Deferred[None] = Deferred()
        self._released.append(over)
        asked, self._asked = self._asked, Deferred()
        asked.callback(responder)
        await over

    def asked(self) -> Deferred[Responder]:
        """The next request."""
        return within(self._asked)

    async def client(self, sends: bytes = b"") -> Client:
        """A client that has sent that."""
        client: Client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Client()
        )
        client.transport.write(sends)
        return client

    async def stop(self) -> None:
        """Leave nothing open."""
        await self.listening.stopListening()
        drained = self.factory.drain()
        self.factory.abort()
        await within(drained)
        for each in self._released:
            each.callback(None)


class Client(Protocol):
    """Reads what comes.

    :ivar lost: fires with why the connection ended.
    """

    transport: Any

    def __init__(self) -> None:
        self.got = bytearray()
        self.count = 0
        self.digest = hashlib.sha256()
        self.keep = True
        self.lost: Deferred[Failure] = Deferred()
        self._until: tuple[Callable[[], bool], Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        """Keep or count it."""
        self.count += len(data)
        self.digest.update(data)
        if self.keep:
            self.got += data
        if self._until is not None and self._until[0]():
            fired, self._until = self._until[1], None
            fired.callback(None)

    def until(self, true: Callable[[], bool]) -> Deferred[None]:
        """Fires when *true* is, after some bytes."""
        fired: Deferred[None] = Deferred()
        if true():
            fired.callback(None)
        else:
            self._until = (true, fired)
        return within(fired)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell."""
        self.lost.callback(reason.value)


@implementer(IPushProducer)
class Flood:
    """Writes as much as it may, and keeps count of what waits somewhere."""

    def __init__(self, responder: Responder, client: Client, size: int) -> None:
        self.responder = responder
        self.client = client
        self.left = size
        self.most = 0
        self.paused = False
        self.pauses = 0
        self.on_pause: Deferred[None] = Deferred()
        self.done: Deferred[None] = Deferred()
        self.digest = hashlib.sha256()
        responder.registerProducer(self, True)

    def resumeProducing(self) -> None:
        """Write on."""
        self.paused = False
        while self.left and not self.paused:
            part = bytes([self.left // MIB % 256]) * min(self.left, 256 * 1024)
            self.left -= len(part)
            self.digest.update(part)
            self.responder.write(part)
            self.most = max(self.most, self.responder.sent - self.client.count)
        if not self.left and not self.done.called:
            self.done.callback(None)

    def pauseProducing(self) -> None:
        """Stop."""
        self.paused = True
        self.pauses += 1
        if not self.on_pause.called:
            self.on_pause.callback(None)

    def stopProducing(self) -> None:
        """For good."""
        self.paused = True


def within(waiting: Deferred[Any]) -> Deferred[Any]:
    """Not for ever."""
    return waiting.addTimeout(PATIENCE_S, reactor)


@pytest.fixture
def limits() -> FrontLimits:
    """The usual ones; some tests have their own."""
    return FrontLimits()


@pytest_twisted.async_yield_fixture
async def front(limits: FrontLimits) -> AsyncIterator[Front]:
    """A front."""
    running = Front(limits)
    yield running
    await running.stop()


# -- answers --------------------------------------------------------------------------


@ensureDeferred
async def test_slow_reader(front: Front) -> None:
    """A client that does not read stops the writer; nothing piles up here, nothing is lost."""
    size = 64 * MIB
    client = await front.client()
    client.keep = False
    client.transport.write(GET)
    responder = await front.asked()
    client.transport.pauseProducing()
    responder.start(200, ((b"Content-Length", b"%d" % size),))
    flood = Flood(responder, client, size)
    flood.resumeProducing()
    await within(flood.on_pause)
    assert flood.left
    client.transport.resumeProducing()
    await within(flood.done)
    responder.unregisterProducer()
    responder.finish()
    await client.until(lambda: client.count > size)
    assert flood.pauses > 1
    assert flood.most < KERNEL_BYTES
    client.transport.loseConnection()
    await within(client.lost)


@ensureDeferred
async def test_hang_up_before_the_answer(front: Front) -> None:
    """A client that goes while nothing is written is noticed, because the socket is read."""
    client = await front.client(GET)
    responder = await front.asked()
    gone: Deferred[None] = Deferred()
    responder.on_gone(lambda: gone.callback(None))
    client.transport.loseConnection()
    await within(gone)
    assert responder.over
    await within(client.lost)


@pytest.mark.parametrize("reset", [False, True])
@ensureDeferred
async def test_hang_up_in_an_answer(front: Front, reset: bool) -> None:
    """The same in the middle of a body, with the writer paused."""
    client = await front.client(GET)
    responder = await front.asked()
    gone: Deferred[None] = Deferred()
    responder.on_gone(lambda: gone.callback(None))
    client.transport.pauseProducing()
    responder.start(200, ())
    flood = Flood(responder, client, 256 * MIB)
    flood.resumeProducing()
    await within(flood.on_pause)
    if reset:
        client.transport.abortConnection()
    else:
        client.transport.loseConnection()
    await within(gone)
    assert flood.left
    await within(client.lost)


@pytest.mark.parametrize(
    ("request_head", "headers"),
    [
        (GET, ((b"Content-Length", b"100"),)),
        (GET, ()),
        (b"GET / HTTP/1.0\r\n\r\n", ()),
    ],
    ids=["length", "chunked", "close-delimited"],
)
@ensureDeferred
async def test_abort_is_seen(front: Front, request_head: bytes, headers: Headers) -> None:
    """A cut answer ends with a reset, and without the end of its chunks."""
    client = await front.client(request_head)
    responder = await front.asked()
    responder.start(200, headers)
    responder.write(b"half of it")
    await client.until(lambda: b"half of it" in client.got)
    responder.abort()
    why = await within(client.lost)
    assert isinstance(why, ConnectionLost)
    assert b"0\r\n\r\n" not in client.got.partition(b"half")[2]


@ensureDeferred
async def test_clean_end(front: Front) -> None:
    """So that the tests above can fail: a complete answer ends without a reset."""
    client = await front.client(b"GET / HTTP/1.0\r\n\r\n")
    responder = await front.asked()
    responder.start(200, ())
    responder.write(b"all of it")
    responder.finish()
    assert isinstance(await within(client.lost), ConnectionDone)
    assert client.got.endswith(b"all of it")


@pytest.mark.parametrize("limits", [FrontLimits(write_stall_s=0.2)])
@ensureDeferred
async def test_client_stops_reading(front: Front) -> None:
    """A client that takes nothing any more is cut off in time."""
    client = await front.client(GET)
    responder = await front.asked()
    client.transport.pauseProducing()
    gone: Deferred[None] = Deferred()
    responder.on_gone(lambda: gone.callback(None))
    responder.start(200, ())
    Flood(responder, client, 256 * MIB).resumeProducing()
    await within(gone)
    client.transport.resumeProducing()
    assert isinstance(await within(client.lost), ConnectionLost)


# -- requests -------------------------------------------------------------------------


@ensureDeferred
async def test_upload_is_pushed_back(front: Front) -> None:
    """A receiver that pauses stops the client; then all of it comes."""
    size = 48 * MIB
    client = await front.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    responder = await front.asked()
    ended: Deferred[None] = Deferred()

    class Counting(Body):
        count = 0

        def body_data(self, data: bytes) -> None:
            self.count += len(data)

        def body_ended(self) -> None:
            ended.callback(None)

    body = Counting()
    sent = 0

    def feed() -> None:
        nonlocal sent
        if sent < size:
            sent += MIB
            client.transport.write(b"x" * MIB)

    class Feeder:
        def resumeProducing(self) -> None:
            feed()

        def stopProducing(self) -> None:
            pass

    responder.body.deliver(body)
    responder.body.pause()
    client.transport.registerProducer(Feeder(), False)
    # The kernels fill up; then the client's socket takes no more, in one turn or another.
    stuck = 0
    while stuck < 50:
        before = sent
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.002, turn.callback, None)
        await turn
        stuck = stuck + 1 if sent == before else 0
    assert sent < KERNEL_BYTES
    assert body.count <= 64 * 1024
    responder.body.resume()
    await within(ended)
    assert body.count == size
    client.transport.unregisterProducer()
    client.transport.loseConnection()
    await within(client.lost)


@ensureDeferred
async def test_tls_client(front: Front) -> None:
    """A TLS client is told at once that this is no TLS; Python's sees HTTP in its record."""

    def shake() -> str:
        context = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S) as raw:
            try:
                context.wrap_socket(raw, server_hostname="localhost")
            except ssl.SSLError as exc:
                return str(exc.reason)
        return "it shook hands"

    assert await within(deferToThread(shake)) in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")


@ensureDeferred
async def test_tls_hello_is_answered_in_http(front: Front) -> None:
    """What it got starts as Go's clients look for it: with HTTP/."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    client = await front.client(outgoing.read())
    assert isinstance(await within(client.lost), ConnectionDone)
    assert client.got.startswith(b"HTTP/1.1 400 ")
    assert b"TLS" in client.got


@ensureDeferred
async def test_refusal_survives_what_follows(front: Front) -> None:
    """A client that is still sending gets to read why it was refused, not a reset."""

    def send() -> bytes:
        with socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 800_000)
            got = b""
            while part := raw.recv(65536):
                got += part
        return got

    got = await within(deferToThread(send))
    assert got.startswith(b"HTTP/1.1 431 ")
    assert got.endswith(b"bytes\n")


@ensureDeferred
async def test_drain(front: Front) -> None:
    """Idle connections go at once, busy ones with their answer, and then it is told."""
    idle = await front.client(b"")
    busy = await front.client(GET)
    responder = await front.asked()
    drained = front.factory.drain()
    await within(idle.lost)
    assert not drained.called
    responder.start(200, ((b"Content-Length", b"2"),))
    responder.write(b"ok")
    responder.finish()
    await within(drained)
    await within(busy.lost)
    assert busy.got.endswith(b"ok")
    assert front.factory.open == 0
