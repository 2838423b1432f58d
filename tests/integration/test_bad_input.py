"""A whole dfdaemon before clients and registries that do what they should not."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread
from twisted.logger import eventAsText, globalLogPublisher

from dragonfly.config.proxies import ProxyRule
from dragonfly.daemon.service import NAMES_AT_ONCE
from tests.doubles.daemons import Daemon
from tests.doubles.rawtcp import RawLine, RawServer

BLOB = random.Random(29).randbytes(300_000)
OTHER = random.Random(31).randbytes(300_000)
PATH = f"/v2/app/blobs/sha256:{hashlib.sha256(BLOB).hexdigest()}"
DIRECT = PATH.replace("app", "direct")
HOST = b"Host: x\r\n"
SWARM = "X-Dragonfly-Use-P2P: true"
OK = b"HTTP/1.1 200 OK\r\n"


class Registry:
    """Answers each path as it is told, and every other one with ``ok``."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Callable[[bytes], bytes]] = {}
        self.heads: list[bytes] = []

    async def script(self, line: RawLine) -> None:
        """One request; the connection ends with the answer."""
        head = await line.head()
        self.heads.append(head)
        answer = self.answers.get(head.split()[1].decode(), OK + b"Content-Length: 2\r\n\r\nok")
        line.write(answer if isinstance(answer, bytes) else answer(head))
        line.close()


def file(body: bytes) -> Callable[[bytes], bytes]:
    """Serves that, and its ranges."""

    def answer(head: bytes) -> bytes:
        status, begin, end = b"200 OK", 0, len(body)
        for text in head.lower().splitlines():
            if text.startswith(b"range: bytes="):
                first, _, last = text[13:].partition(b"-")
                status, begin = b"206 Partial Content", int(first)
                end = int(last) + 1 if last else end
        span = b"Content-Range: bytes %d-%d/%d\r\n" % (begin, end - 1, len(body))
        more = span if status.startswith(b"206") else b""
        length = b"Content-Length: %d\r\n" % (end - begin)
        lines = b"HTTP/1.1 " + status + b'\r\nETag: "v1"\r\n' + more + length + b"\r\n"
        return lines if head.startswith(b"HEAD") else lines + body[begin:end]

    return answer


@pytest.fixture
def registry() -> Registry:
    """What the registry says."""
    return Registry()


@pytest_twisted.async_yield_fixture
async def server(registry: Registry) -> AsyncIterator[RawServer]:
    """Where it listens."""
    serving = RawServer(reactor, registry.script)
    await serving.start()
    yield serving
    await serving.stop()


@pytest_twisted.async_yield_fixture
async def daemon(server: RawServer, tmp_path: Path) -> AsyncIterator[Daemon]:
    """In front of it, without a swarm; one rule says that something goes straight on."""
    rules = (ProxyRule(regx="/direct/", direct=True),)
    url = f"http://127.0.0.1:{server.port}"
    running = await Daemon.started(tmp_path / "home", url, rules=rules)
    yield running
    await running.stop()


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Everything that is logged."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        seen.append(eventAsText(event))

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


async def say(daemon: Daemon, data: bytes) -> tuple[bytes, bool]:
    """Send that; give all that comes back, and whether the end was one in good order."""
    line = await RawLine.connect(reactor, daemon.port)
    line.write(data)
    return await line.rest(), await line.gone.wait()


async def get(daemon: Daemon, target: str, *lines: str, method: str = "GET") -> tuple[bytes, bool]:
    """One request, the last one on its connection."""
    more = "".join(f"{text}\r\n" for text in ("Host: x", "Connection: close", *lines))
    return await say(daemon, f"{method} {target} HTTP/1.1\r\n{more}\r\n".encode("latin-1"))


# -- clients ---------------------------------------------------------------------------

GET = b"GET / HTTP/1.1\r\n" + HOST
CONNECT = b"CONNECT %b HTTP/1.1\r\n" + HOST
POST = b"POST /up HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NO_REQUESTS = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a null": (b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (GET + HOST + b"\r\n", 400),
    "a name with a space": (GET + b"Content-Length : 5\r\n\r\n", 400),
    "a bare CR": (GET + b"A: b\rContent-Length: 5\r\n\r\n", 400),
    "two framings": (CHUNKED.replace(HOST, HOST + b"Content-Length: 5\r\n") + b"0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "a length with a sign": (POST + b"Content-Length: +5\r\n\r\nhello", 400),
    "a length too long": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "another coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a chunk that ends otherwise": (CHUNKED + b"5\r\nhelloXX0\r\n\r\n", 400),
    "a chunk of no length": (CHUNKED + b"-5\r\nhello\r\n", 400),
    "a chunk too long": (CHUNKED + b"f" * 21 + b"\r\n", 400),
    "many lines": (GET + b"a: b\r\n" * 201 + b"\r\n", 431),
    "lines without end": (GET + b"a: b\r\n" * 20_000, 431),
    "a target without end": (b"GET /" + b"a" * 100_000, 414),
    "CONNECT with a body": (CONNECT % b"a:443" + b"Content-Length: 2\r\n\r\nhi", 400),
    "CONNECT to a path": (CONNECT % b"/x" + b"\r\n", 400),
    "CONNECT to mail": (CONNECT % b"127.0.0.1:25" + b"\r\n", 403),
}


@ensureDeferred
async def test_what_is_no_request(daemon: Daemon, registry: Registry) -> None:
    """One answer, which says why, and the end of the connection; the registry hears nothing
    of what stands behind."""
    for name, (data, status) in NO_REQUESTS.items():
        answer, _ = await say(daemon, data)
        assert answer.startswith(b"HTTP/1.1 %d " % status), name
        assert answer.count(b"\r\nDate: ") == 1, name
        assert b"\r\nX-Dragonfly-Error-Type: proxy\r\n" in answer, name
    assert all(head.startswith(b"POST /up ") for head in registry.heads)


@ensureDeferred
async def test_targets_that_are_not_fetched(daemon: Daemon, registry: Registry) -> None:
    """Other schemes, ports, and addresses, in all notations and in whatever way they come."""
    for target, status in (
        ("ftp://files.example/x", 400),
        ("file:///etc/passwd", 400),
        ("javascript:x", 400),
        ("http:///x", 400),
        ("http://a:99999/x", 400),
        ("http://a:0/x", 403),
        ("http://127.0.0.1:6667/x", 403),
        ("http://169.254.169.254/x", 403),
        ("http://[::ffff:169.254.169.254]/x", 403),
        ("http://2852039166/x", 403),
        ("http://0/x", 403),
        ("/x/http://169.254.169.254/x", 403),
        ("/x/http:/127.0.0.1:25/x", 403),
        ("/v2/?ns=169.254.169.254", 403),
        ("/v2/?ns=%5B::1", 400),
        ("/v2/?ns=%00%0d%0aX:y", 400),
        ("/v2/?ns=%zz", 502),
        ("/v2/?ns=a_b.example", 502),
        ("http://a_b.example/", 502),
        ("http://a..example/", 502),
        (f"http://{'a' * 64}.example/", 502),
    ):
        answer, _ = await get(daemon, target)
        assert answer.startswith(b"HTTP/1.1 %d " % status), target
        assert b"makes no sense" not in answer, target
    assert registry.heads == []


@ensureDeferred
async def test_the_target_wins_over_the_host(daemon: Daemon, registry: Registry) -> None:
    """And what a client calls a matter of its connection does not take the framing away."""
    await say(
        daemon,
        f"GET {daemon.service.registries.mirror}/a HTTP/1.1\r\n".encode()
        + b"Host: evil.example\r\nConnection: Host, Via, Content-Length, close\r\n"
        + b"Content-Length: 3\r\n\r\nabc",
    )
    assert b"evil" not in registry.heads[0]
    assert b"\r\nContent-Length: 3\r\n" in registry.heads[0]
    assert b"\r\nVia: 1.1 dfdaemon-" in registry.heads[0]


@ensureDeferred
async def test_requests_to_ourselves(daemon: Daemon) -> None:
    """By any name that leads here: what comes around is answered with 508, once."""
    port = daemon.port
    for there in (f"http://localhost:{port}", f"http://127.1:{port}", f"http://2130706433:{port}"):
        for target in (f"{there}/v2/", f"{there}{PATH}", f"/x/{there}/v2/"):
            answer, _ = await get(daemon, target)
            assert answer.startswith(b"HTTP/1.1 508 "), target
    for host in ("localhost", "127.0.0.1", "127.1", "[::ffff:127.0.0.1]"):
        answer, _ = await say(daemon, f"CONNECT {host}:{port} HTTP/1.0\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 508 "), host


@ensureDeferred
async def test_names_that_nobody_knows_hold_nobody_up(daemon: Daemon) -> None:
    """Each is looked up in a thread, and may take its time; others are found meanwhile."""
    released = threading.Event()
    slow = gatherResults([deferToThread(released.wait) for _ in range(NAMES_AT_ONCE // 2)])
    try:
        answer, _ = await get(daemon, f"http://localhost:{daemon.port}/v2/")
    finally:
        released.set()
        await slow
    assert answer.startswith(b"HTTP/1.1 508 ")


@ensureDeferred
async def test_no_password_is_logged(daemon: Daemon, log: list[str]) -> None:
    """Nor sent back, wherever a client puts it."""
    for head in (
        "GET http://me:hunter2@127.0.0.1:1/a?q=hunter2 HTTP/1.1",
        "GET /x/https://me:hunter2@127.0.0.1:1/a?q=hunter2 HTTP/1.1",
        "GET /x/https:/me:hunter2@127.0.0.1:1/a HTTP/1.1",
        "GET /v2/me:hunter2@example.com/a/manifests/1 HTTP/1.1",
        "GET /v2/?ns=me:hunter2@example.com HTTP/1.1",
        "GET ftp://me:hunter2@example.com/a HTTP/1.1",
        "GET me:hunter2@example.com HTTP/1.1",
        "CONNECT me:hunter2@127.0.0.1:443 HTTP/1.1",
        "GET /a HTTP/1.1\r\nX-Dragonfly-Registry: https://me:hunter2@127.0.0.1:1",
        "GET /a HTTP/1.1\r\nX-Dragonfly-Registry: ftp://me:hunter2@127.0.0.1:1/?hunter2",
        "GET /a?hunter2 HTTP/1.1\r\nAuthorization: Bearer hunter2\r\nCookie: a=hunter2",
        "GET /a HTTP/1.1\r\nAuthorization hunter2",
    ):
        answer, _ = await say(daemon, f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert b"hunter2" not in answer, head
    assert len([line for line in log if "127.0.0.1" in line]) > 8
    assert not [line for line in log if "hunter2" in line]


# -- registries ------------------------------------------------------------------------

NO_ANSWERS = {
    "nothing": b"",
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "random bytes": random.Random(37).randbytes(300) + b"\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "status 99": b"HTTP/1.1 99 X\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n",
    "a length below zero": OK + b"Content-Length: -1\r\n\r\n",
    "a length too long": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\nab",
    "a split head": OK + b"X: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nhi",
    "a null": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "a name with a space": OK + b"X Y: a\r\nContent-Length: 2\r\n\r\nhi",
    "a head without end": OK + b"X: y\r\n" * 20_000,
}


@ensureDeferred
async def test_what_is_no_answer(daemon: Daemon, registry: Registry) -> None:
    """502 with the reason, whichever way the request went."""
    for name, answer in NO_ANSWERS.items():
        registry.answers["/a"] = answer
        for lines in ((), (SWARM,)):
            got, _ = await get(daemon, "/a", *lines)
            assert got.startswith(b"HTTP/1.1 502 "), name
            assert b"\r\nX-Dragonfly-Error-Type: backend\r\n" in got, name
            assert b"Set-Cookie" not in got, name


@ensureDeferred
async def test_answers_that_lie_about_us(daemon: Daemon, registry: Registry) -> None:
    """What we say of ourselves nobody else says."""
    lines = (
        b"X-Dragonfly-Source: cache\r\nX-Dragonfly-Error-Type: proxy\r\nContent-Length: 0\r\n\r\n"
    )
    registry.answers["/a"] = OK + lines
    got, _ = await get(daemon, "/a")
    assert got.lower().count(b"x-dragonfly-") == 1
    assert b"\r\nX-Dragonfly-Source: origin\r\n" in got


@ensureDeferred
async def test_redirects_that_are_not_followed(daemon: Daemon, registry: Registry) -> None:
    """To ports and addresses that clients may not name; who asked sees the redirect itself."""
    for location in (
        b"http://127.0.0.1:25/",
        b"http://169.254.169.254/",
        b"file:///etc/passwd",
        b"http://[::1",
        b"https://a_b/",
        b"/a",
    ):
        head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location
        registry.answers["/a"] = head + b"\r\n\r\n"
        got, _ = await get(daemon, "/a", SWARM)
        assert got.startswith(b"HTTP/1.1 302 "), location


@ensureDeferred
async def test_wrong_bytes_are_never_complete(daemon: Daemon, registry: Registry) -> None:
    """Whole, as one range that is everything, or as several: whichever way it is asked for."""
    registry.answers[PATH] = registry.answers[DIRECT] = file(OTHER)
    everything = f"Range: bytes=0-{len(BLOB) - 1}"
    for path, lines in (
        (PATH, ()),
        (PATH, ("Range: bytes=0-",)),
        (PATH, (everything,)),
        (PATH, ("Range: bytes=0-99,100-",)),
        (PATH, ("Range: bytes=100-, 0-99",)),
        (DIRECT, ()),
        (DIRECT, ("Range: bytes=0-",)),
        (DIRECT, (everything,)),
        (f"/x/{daemon.service.registries.mirror}{PATH}", ()),
    ):
        got, in_order = await get(daemon, path, *lines)
        body = got.partition(b"\r\n\r\n")[2]
        assert not in_order, (path, lines)
        assert len(body) < len(OTHER), (path, lines)


@ensureDeferred
async def test_right_bytes_are(daemon: Daemon, registry: Registry) -> None:
    """The same requests; ranges that are everything are answered with the whole."""
    registry.answers[PATH] = registry.answers[DIRECT] = file(BLOB)
    for path, line, status in (
        (PATH, "Range: bytes=0-", 206),
        (PATH, "Range: bytes=0-99,100-", 200),
        (DIRECT, "Range: bytes=0-", 206),
    ):
        got, in_order = await get(daemon, path, line)
        assert in_order
        assert got.startswith(b"HTTP/1.1 %d " % status)
        assert got.endswith(b"\r\n\r\n" + BLOB)


@ensureDeferred
async def test_lengths_that_are_lies(daemon: Daemon, registry: Registry) -> None:
    """More than comes: the answer is cut; more than there can be: nobody believes it."""
    registry.answers["/a"] = OK + b'ETag: "v1"\r\nContent-Length: 999999999999999999\r\n\r\nhello'
    for lines in ((), (SWARM,)):
        got, in_order = await get(daemon, "/a", *lines)
        assert not in_order
        assert not got or got.endswith(b"hello")
