"""Straight on over real sockets: a client, the front, and a registry that writes exact bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.straight.passthrough import Passthrough
from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.net.tls import load_or_make_certificate
from dragonfly.net.trust import Trust
from tests.doubles.rawtcp import RawLine, RawServer
from tests.doubles.responding import routed

Script = Callable[[RawLine], Awaitable[None]]
MIB = 1 << 20
# Short where a test waits for them; the kernel's buffers take what is not read for a while.
LIMITS = UpstreamLimits(answer_s=5.0, silence_s=0.3, continue_s=0.2)


class Bench:
    """A front, and the registry behind it."""

    def __init__(self) -> None:
        self.upstream = Upstream(reactor, limits=LIMITS)
        self.passthrough = Passthrough(self.upstream, via=b"dragonfly-1")
        self.notes: list[Note] = []
        self.clients: list[RawLine] = []
        self.registry: RawServer
        self.place: Registry
        self._front = FrontFactory(self._answer, clock=reactor)
        self._port: Any = None

    async def start(self, script: Script, *, tls: Any = None, trust: Trust | None = None) -> None:
        """Serve."""
        self.registry = RawServer(reactor, script, tls=tls)
        await self.registry.start()
        self.place = Registry(
            scheme="http" if tls is None else "https",
            host="127.0.0.1",
            port=self.registry.port,
            trust=trust or Trust(),
        )
        self._port = reactor.listenTCP(0, self._front, interface="127.0.0.1")

    async def stop(self) -> None:
        """Nothing is left."""
        for client in self.clients:
            client.reset()
            await client.gone.wait()
        await self._port.stopListening()
        await self._front.drain()
        await self.upstream.close()
        await self.registry.stop()

    async def client(self) -> RawLine:
        """A connection to the front."""
        self.clients.append(await RawLine.connect(reactor, self._port.getHost().port))
        return self.clients[-1]

    async def ask(self, request: bytes) -> RawLine:
        """A connection with a request on its way."""
        line = await self.client()
        line.write(request)
        return line

    async def _answer(self, responder: Responder) -> None:
        note = Note(method=responder.head.method.decode(), target="", client="")
        self.notes.append(note)
        await self.passthrough.answer(responder, routed(responder.head, self.place), note)


@pytest_twisted.async_yield_fixture
async def bench() -> AsyncIterator[Bench]:
    """Closed again however a test ends."""
    made = Bench()
    yield made
    await made.stop()


def get(path: bytes = b"/v2/", *lines: bytes, method: bytes = b"GET") -> bytes:
    """A request without a body."""
    return b"\r\n".join((method + b" " + path + b" HTTP/1.1", b"Host: mirror", *lines, b"", b""))


def saying(answer: bytes, *, then: str = "") -> Script:
    """A registry that answers every request with the same bytes."""

    async def script(line: RawLine) -> None:
        while True:
            await line.head()
            line.write(answer)
            if then:
                getattr(line, then)()
                return

    return script


@ensureDeferred
async def test_exact_bytes(bench: Bench) -> None:
    """What the registry hears is what the client said, but for Host and Via."""
    heard: list[bytes] = []

    async def script(line: RawLine) -> None:
        heard.append(await line.head())
        line.write(b"HTTP/1.1 404 Not  Here\r\nContent-Length: 4\r\nX-b: 1\r\nx-B: 2\r\n\r\nnone")

    await bench.start(script)
    lines = b"accept: a/b", b"Authorization: Bearer s3cret", b"Accept: a/c", b"ACCEPT: a/b"
    line = await bench.ask(get(b"/v2/x/manifests/1?ns=a%2Fb", *lines))
    head = await line.head()
    assert await line.take(4) == b"none"
    assert heard == [
        b"GET /v2/x/manifests/1?ns=a%%2Fb HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"accept: a/b\r\nAuthorization: Bearer s3cret\r\nAccept: a/c\r\nACCEPT: a/b\r\n"
        b"Via: 1.1 dragonfly-1\r\n\r\n" % bench.registry.port
    ]
    assert head.startswith(b"HTTP/1.1 404 Not  Here\r\n")
    assert b"X-b: 1\r\nx-B: 2\r\n" in head
    assert b"Content-Length: 4\r\n" in head


@ensureDeferred
async def test_kept_connections(bench: Bench) -> None:
    """Many requests of many clients, one connection to the registry."""
    await bench.start(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"))
    for _ in range(3):
        line = await bench.ask(get())
        for _ in range(3):
            await line.head()
            assert await line.take(2) == b"OK"
            line.write(get())
        await line.head()
    assert len(bench.registry.lines) == 1


@ensureDeferred
async def test_stale_connection(bench: Bench) -> None:
    """A registry that closes on the second request, without a word, is asked once more."""

    async def script(line: RawLine) -> None:
        await line.head()
        line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        await line.head()
        line.close()

    await bench.start(script)
    line = await bench.ask(get())
    for count in (1, 2, 3):
        assert b" 200 OK" in await line.head()
        assert await line.take(2) == b"OK"
        assert len(bench.registry.lines) == count
        line.write(get())
    await line.head()


@ensureDeferred
async def test_head_and_not_modified(bench: Bench) -> None:
    """A length without a body, and the next answer right behind it."""
    answer = b"\r\nContent-Length: 1000\r\nETag: x\r\n\r\n"
    await bench.start(saying(b"HTTP/1.1 200 OK" + answer))
    line = await bench.ask(get(method=b"HEAD"))
    assert b"Content-Length: 1000\r\n" in await line.head()
    bench.registry.lines[0].reset()
    bench.registry.script = saying(b"HTTP/1.1 304 Not Modified" + answer)
    for _ in range(2):
        line.write(get(b"/v2/", b"If-None-Match: x"))
        head = await line.head()
        assert head.startswith(b"HTTP/1.1 304 Not Modified\r\n")
        assert b"ETag: x\r\n" in head
    assert not line.received


@ensureDeferred
async def test_chunks_both_ways(bench: Bench) -> None:
    """A push in chunks, an answer in chunks."""

    async def script(line: RawLine) -> None:
        assert b"Transfer-Encoding: chunked\r\n" in await line.head()
        await line.until(lambda: line.received.endswith(b"0\r\n\r\n"))
        line.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + line.received)

    await bench.start(script)
    chunked = b"Transfer-Encoding: chunked"
    line = await bench.ask(get(b"/v2/", chunked, method=b"PATCH") + b"3\r\nabc\r\n")
    line.write(b"2;x\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert b"Transfer-Encoding: chunked\r\n" in await line.head()
    await line.until(lambda: line.received.endswith(b"0\r\n\r\n"))
    assert b"".join(bytes(line.received).split(b"\r\n")[1::2]) == b"abcde"


@ensureDeferred
async def test_answers_that_end_with_the_connection(bench: Bench) -> None:
    """From an old server to a client of today: complete, and seen to be."""
    await bench.start(saying(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(300000), then="close"))
    line = await bench.ask(get())
    assert b"Transfer-Encoding: chunked\r\n" in await line.head()
    await line.until(lambda: line.received.endswith(b"\r\n0\r\n\r\n"))
    assert line.received.count(0) == 300000


@pytest.mark.parametrize(
    ("head", "body", "why"),
    [
        (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n", "after 3 bytes"),
        (b"Content-Length: 5", b"abc", "after 3 of 5 bytes"),
        (b"Content-Length: 5", b"", "after 0 of 5 bytes"),
    ],
)
@pytest.mark.parametrize("then", ["close", "reset"])
@ensureDeferred
async def test_cut(bench: Bench, head: bytes, body: bytes, why: str, then: str) -> None:
    """A short body ends in a cut connection, not in a clean end."""
    await bench.start(saying(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body))
    line = await bench.ask(get())
    await line.head()
    await line.until(lambda: line.received == body)
    getattr(bench.registry.lines[0], then)()
    assert await line.gone.wait() is False
    assert line.received == body
    assert bench.notes[0].ending == "aborted"
    assert why in bench.notes[0].why


@ensureDeferred
async def test_too_long(bench: Bench) -> None:
    """A body that goes on after its length ends there, and is never the next one's beginning."""
    await bench.start(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdefgh"))
    line = await bench.ask(get() + get())
    for _ in range(2):
        await line.head()
        assert await line.take(5) == b"abcde"
    assert len(bench.registry.lines) == 2


@ensureDeferred
async def test_stall(bench: Bench) -> None:
    """A body that stands still is cut."""
    await bench.start(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"))
    line = await bench.ask(get())
    assert (await line.rest()).endswith(b"\r\n\r\nabc")
    assert "fell silent for 0.3 s after 3 of 5 bytes" in bench.notes[0].why


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200000,
        b"",
    ],
)
@ensureDeferred
async def test_no_answer(bench: Bench, answer: bytes) -> None:
    """Garbage, lines without end, nothing at all: the front says that it was the registry."""
    await bench.start(saying(answer, then="close"))
    line = await bench.ask(get())
    assert (await line.head()).startswith(b"HTTP/1.1 502 ")


@ensureDeferred
async def test_nobody_there(bench: Bench) -> None:
    """A port that is closed."""
    await bench.start(saying(b""))
    await bench.registry.leave()
    line = await bench.ask(get())
    assert (await line.head()).startswith(b"HTTP/1.1 502 ")


@ensureDeferred
async def test_continue(bench: Bench) -> None:
    """The client is told to go on when the registry says so; the body follows."""
    told: list[bytes] = []

    async def script(line: RawLine) -> None:
        assert b"Expect: 100-continue\r\n" in await line.head()
        told.append(bytes(line.received))
        line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        told.append(await line.take(5))
        line.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    await bench.start(script)
    lines = b"Content-Length: 5", b"Expect: 100-continue"
    line = await bench.ask(get(b"/v2/", *lines, method=b"PUT"))
    assert await line.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.write(b"hello")
    assert (await line.head()).startswith(b"HTTP/1.1 201 Created\r\n")
    assert told == [b"", b"hello"]


@ensureDeferred
async def test_no_continue(bench: Bench) -> None:
    """A registry that says nothing gets the body after a moment."""

    async def script(line: RawLine) -> None:
        await line.head()
        await line.take(5)
        line.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    await bench.start(script)
    lines = b"Content-Length: 5", b"Expect: 100-continue"
    line = await bench.ask(get(b"/v2/", *lines, method=b"PUT"))
    assert await line.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.write(b"hello")
    assert (await line.head()).startswith(b"HTTP/1.1 201 Created\r\n")


@ensureDeferred
async def test_refused_before_the_body(bench: Bench) -> None:
    """401 to a client that waits: no 100, the answer, and a closed connection."""
    challenge = b'WWW-Authenticate: Bearer realm="https://a/t",service="r"\r\n'
    answer = b"HTTP/1.1 401 Unauthorized\r\n" + challenge + b"Content-Length: 0\r\n\r\n"
    await bench.start(saying(answer))
    lines = b"Content-Length: 5", b"Expect: 100-continue"
    line = await bench.ask(get(b"/v2/", *lines, method=b"PUT"))
    head = await line.head()
    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert challenge in head
    assert not line.received
    line.close()


class Pushing:
    """A client that sends zeros for as long as it may, and counts them."""

    def __init__(self, line: RawLine, most: int) -> None:
        self.sent = 0
        self.done: Deferred[None] = Deferred()
        self._line = line
        self._most = most
        self._going = True
        line.wire.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """Send until told to stop."""
        self._going = True
        while self._going and self.sent < self._most:
            self.sent += 65536
            self._line.write(bytes(65536))
        if self.sent >= self._most and not self.done.called:
            self._line.wire.unregisterProducer()
            self.done.callback(None)

    def pauseProducing(self) -> None:
        """Wait."""
        self._going = False

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._going = False
        if not self.done.called:
            self.done.callback(None)


@ensureDeferred
async def test_refused_while_the_body_flows(bench: Bench) -> None:
    """413 in the middle of a gigabyte: the client hears it, and stops."""

    async def script(line: RawLine) -> None:
        await line.head()
        await line.until(lambda: len(line.received) > MIB)
        line.wire.pauseProducing()
        line.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")

    await bench.start(script)
    line = await bench.ask(get(b"/v2/", b"Content-Length: %d" % (1 << 30), method=b"PUT"))
    pushing = Pushing(line, 1 << 30)
    assert (await line.head()).startswith(b"HTTP/1.1 413 Too Large\r\n")
    assert await line.take(3) == b"big"
    line.reset()
    await pushing.done
    assert pushing.sent < 1 << 30


@ensureDeferred
async def test_refused_with_a_reset(bench: Bench) -> None:
    """A registry that leaves the rest unread, which makes a reset, is heard to its last byte."""
    size = 100_000  # more than one read, and less than what waits in the kernel

    async def script(line: RawLine) -> None:
        await line.head()
        await line.until(lambda: len(line.received) > MIB)
        line.wire.pauseProducing()
        head = b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % size
        answer = head + bytes(size)
        assert line.wire.getHandle().send(answer) == len(answer)
        line.reset()

    await bench.start(script)
    line = await bench.ask(get(b"/v2/", b"Content-Length: %d" % (1 << 30), method=b"PUT"))
    pushing = Pushing(line, 1 << 30)
    assert (await line.head()).startswith(b"HTTP/1.1 413 Too Large\r\n")
    assert await line.take(size) == bytes(size)
    line.reset()
    await pushing.done
    assert bench.notes[0].why == ""


@ensureDeferred
async def test_upload(bench: Bench) -> None:
    """Two MiB and more to a registry that reads when it likes: all of it, little of it here."""
    size, held = 32 * MIB, Deferred()

    async def script(line: RawLine) -> None:
        await line.head()
        line.wire.pauseProducing()
        await held
        line.wire.resumeProducing()
        assert await line.take(size) == bytes(size)
        line.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    await bench.start(script)
    bench.upstream._limits = attrs.evolve(LIMITS, silence_s=60.0)
    line = await bench.ask(get(b"/v2/", b"Content-Length: %d" % size, method=b"PUT"))
    pushing = Pushing(line, size)
    await settled(lambda: pushing.sent)
    assert pushing.sent < size  # kernel buffers, and little more
    front, link = next(iter(bench._front._open)), next(iter(bench.upstream._links))
    assert (
        front._pipeline._reader.held + len(link.wire.dataBuffer) + link.wire._tempDataLen < MIB // 2
    )
    held.callback(None)
    assert (await line.head()).startswith(b"HTTP/1.1 201 Created\r\n")
    assert pushing.sent == size


async def settled(number: Callable[[], int]) -> None:
    """Wait until a number stands still."""
    before, same = -1, 0
    while same < 20:
        before, same = number(), same + 1 if number() == before else 0
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.01, turn.callback, None)
        await turn


@ensureDeferred
async def test_slow_client(bench: Bench) -> None:
    """A registry that sends faster than the client reads waits for it, however long."""
    size = 32 * MIB
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    pushed: list[Pushing] = []

    async def script(line: RawLine) -> None:
        await line.head()
        line.write(head)
        pushed.append(Pushing(line, size))

    await bench.start(script)
    line = await bench.ask(get())
    await line.head()
    line.wire.pauseProducing()
    await settled(lambda: pushed[0].sent)
    assert pushed[0].sent < size
    await settled(lambda: pushed[0].sent)  # longer than the registry might be silent
    line.wire.resumeProducing()
    assert len(line.received) < size
    await line.until(lambda: len(line.received) == size)
    assert bench.notes[0].sources["registry"] == size


@ensureDeferred
async def test_client_gone(bench: Bench) -> None:
    """Nobody is read for a client that left."""
    pushed: list[Pushing] = []

    async def script(line: RawLine) -> None:
        await line.head()
        line.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        pushed.append(Pushing(line, 1 << 40))

    await bench.start(script)
    line = await bench.ask(get())
    await line.take(5 * MIB)
    line.reset()
    await pushed[0].done
    assert bench.notes[0].ending == "gone"


@ensureDeferred
async def test_slow_registry(bench: Bench) -> None:
    """A head that takes its time is waited for."""

    async def script(line: RawLine) -> None:
        await line.head()
        later: Deferred[None] = Deferred()
        reactor.callLater(2 * LIMITS.silence_s, later.callback, None)
        await later
        line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    await bench.start(script)
    line = await bench.ask(get())
    assert b" 200 OK" in await line.head()


@ensureDeferred
async def test_tls(bench: Bench, tmp_path: Path) -> None:
    """A registry with an authority of its own: both ways, in one connection."""
    certificate = load_or_make_certificate(tmp_path)

    async def script(line: RawLine) -> None:
        while b"PUT" not in await line.head():
            line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        assert await line.take(2 * MIB) == bytes(2 * MIB)
        line.write(b"HTTP/1.1 201 Created\r\nContent-Length: 300000\r\n\r\n" + bytes(300000))

    trust = Trust(cacerts=str(certificate.path))
    await bench.start(script, tls=certificate.options(), trust=trust)
    line = await bench.ask(get())
    assert b" 200 OK" in await line.head()
    assert await line.take(2) == b"OK"
    line.write(get(b"/v2/", b"Content-Length: %d" % (2 * MIB), method=b"PUT"))
    Pushing(line, 2 * MIB)
    assert b" 201 Created" in await line.head()
    assert await line.take(300000) == bytes(300000)
    assert len(bench.registry.lines) == 1


@ensureDeferred
async def test_tls_upload_at_once(bench: Bench, tmp_path: Path) -> None:
    """A body that is there before the handshake is over, in chunks; the cut shows over TLS too."""
    certificate = load_or_make_certificate(tmp_path)

    async def script(line: RawLine) -> None:
        await line.head()
        await line.until(lambda: line.received.endswith(b"0\r\n\r\n"))
        line.write(b"HTTP/1.1 201 Created\r\n\r\nuntil the end")
        line.close()

    await bench.start(script, tls=certificate.options(), trust=Trust(insecure=True))
    chunk = b"%x\r\n%b\r\n" % (100000, bytes(100000))
    chunked = b"Transfer-Encoding: chunked"
    line = await bench.ask(get(b"/v2/", chunked, method=b"PATCH") + chunk * 20 + b"0\r\n\r\n")
    assert b" 201 Created" in await line.head()
    await line.until(lambda: line.received.endswith(b"until the end\r\n0\r\n\r\n"))


@ensureDeferred
async def test_certificates_that_are_not_believed(bench: Bench, tmp_path: Path) -> None:
    """Not a byte of the request, which may hold a token, reaches such a registry."""
    certificate = load_or_make_certificate(tmp_path)
    heard: list[bytes] = []

    async def script(line: RawLine) -> None:
        heard.append(await line.take(1))

    await bench.start(script, tls=certificate.options())
    line = await bench.ask(get(b"/v2/", b"Authorization: Bearer s3cret"))
    assert (await line.head()).startswith(b"HTTP/1.1 502 ")
    assert b"certificate verify failed" in line.received
    assert heard == []


@ensureDeferred
async def test_plain_registry_taken_for_a_secure_one(bench: Bench) -> None:
    """Told as what it is."""

    async def script(line: RawLine) -> None:
        await line.until(lambda: bool(line.received))
        line.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        line.close()

    await bench.start(script)
    bench.place = attrs.evolve(bench.place, scheme="https")
    line = await bench.ask(get())
    assert (await line.head()).startswith(b"HTTP/1.1 502 ")
    await line.until(lambda: b"TLS failed" in line.received)
