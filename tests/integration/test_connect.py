"""CONNECT through a whole dfdaemon, with real TLS: tunnels, opened connections, and refusals."""

from __future__ import annotations

import datetime
import hashlib
import random
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher

from dragonfly.config.hijack import Hijack, HijackHost
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.errors import ConfigError
from dragonfly.net.tls import load_or_make_certificate
from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import until

PATIENCE_S = 10.0
BLOB = random.Random(23).randbytes(700_000)
PATH = f"/v2/app/blobs/sha256:{hashlib.sha256(BLOB).hexdigest()}"
Start = Callable[..., Awaitable[Daemon]]


@attrs.frozen(kw_only=True)
class Lab:
    """Where everything is.

    :ivar secure: a registry with a certificate that the daemon is told to believe.
    :ivar ours: PEM file of the daemon's authority; clients believe it.
    :ivar theirs: PEM file of the registry's certificate.
    """

    home: Path
    secure: FakeOrigin
    plain: FakeOrigin
    ours: str
    key: str
    theirs: str

    def hijack(self, regx: str = "^localhost:", **host: Any) -> Hijack:
        """Open the connections to those; ``certs=()``: nobody believes the registry."""
        trusted = HijackHost(**{"regx": regx, "certs": (self.theirs,), **host})
        return Hijack(cert=self.ours, key=self.key, hosts=(trusted,))


@pytest_twisted.async_yield_fixture
async def lab(tmp_path: Path, origin: FakeOrigin) -> AsyncIterator[Lab]:
    """Two registries, and an authority."""
    certificate = load_or_make_certificate(tmp_path)
    secure = FakeOrigin(reactor, tls=certificate.options())
    await secure.start()
    for each in (secure, origin):
        each.put("/v2/", b"{}")
        each.put(PATH, BLOB)
    now = datetime.datetime.now(datetime.timezone.utc)
    ours, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    write_authority(make_authority("test", days=3, now=now), ours, key, force=False)
    yield Lab(
        home=tmp_path,
        secure=secure,
        plain=origin,
        ours=str(ours),
        key=str(key),
        theirs=str(certificate.path),
    )
    await secure.stop()


@pytest_twisted.async_yield_fixture
async def start(lab: Lab) -> AsyncIterator[Start]:
    """Starts a dfdaemon; it ends with the test."""
    started: list[Daemon] = []

    async def begin(**config: Any) -> Daemon:
        name = f"home{len(started)}"
        started.append(await Daemon.started(lab.home / name, lab.plain.url(""), **config))
        return started[-1]

    yield begin
    for each in started:
        await each.stop()


@pytest.fixture
def lines() -> Any:
    """What the access log says."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        if event.get("log_namespace") == "dragonfly.access":
            seen.append(event["line"])

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


# -- a client, in a thread ------------------------------------------------------------


def port_of(server: FakeOrigin) -> int:
    """Where it listens."""
    return int(server.url("").rpartition(":")[2])


def trusting(path: str) -> ssl.SSLContext:
    """Believes that authority, and offers what clients offer today."""
    context = ssl.create_default_context(cafile=path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def dial(port: int) -> socket.socket:
    """Connect to the daemon."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    sock.settimeout(PATIENCE_S)
    return sock


def read_head(sock: socket.socket) -> bytes:
    """Read to the empty line, and no further."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return head


def read_all(sock: socket.socket) -> bytes:
    """Read to the end."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def ask(sock: socket.socket, target: str, version: str = "1.1", more: str = "") -> bytes:
    """Send a CONNECT and read the answer's head."""
    host = f"Host: {target}\r\nUser-Agent: Go-http-client/1.1\r\n" if version == "1.1" else ""
    sock.sendall(f"CONNECT {target} HTTP/{version}\r\n{host}{more}\r\n".encode())
    return read_head(sock)


def refused(port: int, target: str, **how: Any) -> bytes:
    """The whole of an answer that is no yes."""
    with dial(port) as sock:
        head = ask(sock, target, **how)
        return head + read_all(sock)


def fetch(port: int, target: str, path: str, context: ssl.SSLContext, **how: Any) -> bytes:
    """GET through a tunnel, with TLS inside."""
    with dial(port) as sock:
        assert ask(sock, target, **how).startswith(b"HTTP/1.1 200 ")
        with context.wrap_socket(sock, server_hostname=target.rpartition(":")[0]) as inner:
            assert inner.selected_alpn_protocol() in (None, "http/1.1")
            return get(inner, target, path)


def get(sock: socket.socket, host: str, path: str) -> bytes:
    """One request, the last one."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    return read_all(sock)


# -- tunnels ---------------------------------------------------------------------------


@ensureDeferred
async def test_a_blind_tunnel(lab: Lab, start: Start, lines: list[str]) -> None:
    """TLS is between client and registry; one line is logged, and the bytes are counted."""
    daemon = await start()
    target = f"localhost:{port_of(lab.secure)}"
    answer = await deferToThread(fetch, daemon.port, target, PATH, trusting(lab.theirs))
    assert answer.endswith(BLOB)
    await until(lambda: lines)
    assert f"CONNECT {target} 200 " in lines[0]
    assert f"route=tunnel client=127.0.0.1 registry={target} ending=done" in lines[0]
    text = (await daemon.status("/metrics")).body.decode()
    assert 'http_requests_total{code="2xx",route="tunnel"} 1.0' in text
    assert "dragonfly_dfdaemon_tunnels 0.0" in text


@ensureDeferred
async def test_connect_of_http_1_0_needs_no_header(lab: Lab, start: Start) -> None:
    """As pip sends it."""
    daemon = await start()
    target = f"127.0.0.1:{port_of(lab.secure)}"
    answer = await deferToThread(
        fetch, daemon.port, target, "/v2/", trusting(lab.theirs), version="1.0"
    )
    assert answer.endswith(b"{}")


def half_closing(port: int, target: str) -> bytes:
    """Say everything, end, and then read."""
    with dial(port) as sock:
        assert ask(sock, target).startswith(b"HTTP/1.1 200 ")
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def answering_at_the_end(listening: socket.socket) -> bytes:
    """Take one connection, read to its end, answer then."""
    sock, _ = listening.accept()
    with sock:
        sock.settimeout(PATIENCE_S)
        said = read_all(sock)
        sock.sendall(said.upper() * 100_000)
        return said


def listener() -> socket.socket:
    """On loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(PATIENCE_S)
    return listening


def name_of(listening: socket.socket) -> str:
    """What a client asks to be connected to."""
    return f"127.0.0.1:{listening.getsockname()[1]}"


@ensureDeferred
async def test_half_closing_is_passed_on(start: Start, lines: list[str]) -> None:
    """An answer may come after the end of what was asked."""
    daemon = await start()
    with listener() as listening:
        serving = deferToThread(answering_at_the_end, listening)
        target = name_of(listening)
        answer = await deferToThread(half_closing, daemon.port, target)
        assert answer == b"HELLO" * 100_000
        assert await serving == b"hello"
    await until(lambda: lines)
    assert "200 500000 B in " in lines[0]
    assert "registry=500000 uploaded=5 route=tunnel" in lines[0]


@ensureDeferred
async def test_a_slow_server_slows_the_client_down(start: Start) -> None:
    """Nothing piles up in between: what cannot be sent is not read."""
    daemon = await start()
    most = 64 * 1024 * 1024

    def pour(target: str) -> int:
        with dial(daemon.port) as sock:
            assert ask(sock, target).startswith(b"HTTP/1.1 200 ")
            sock.settimeout(0.5)
            sent = 0
            try:
                while sent < most:
                    sent += sock.send(bytes(65536))
            except TimeoutError:
                pass
            return sent

    with listener() as listening:
        target = name_of(listening)
        sent = await deferToThread(pour, target)
        # Two pairs of sockets: up to 4 MiB to send and 6 MiB received in each.
        assert sent < 32 * 1024 * 1024


@ensureDeferred
async def test_refusals(lab: Lab, start: Start, lines: list[str]) -> None:
    """Each says why in a line of text, and whose mistake it is."""
    daemon = await start()
    with listener() as free:
        dead = free.getsockname()[1]
    cases = [
        ("127.0.0.1:25", 403, b"port 25", b"proxy"),
        ("127.0.0.1:0", 403, b"port 0", b"proxy"),
        ("169.254.169.254:80", 403, b"link-local", b"proxy"),
        (f"127.0.0.1:{daemon.port}", 508, b"loop", b"proxy"),
        (f"localhost:{daemon.port}", 508, b"loop", b"proxy"),
        ("registry.example.com", 400, b"host:port", b"proxy"),
        ("a:70000", 400, b"host:port", b"proxy"),
        (f"127.0.0.1:{dead}", 502, b"connection refused", b"backend"),
    ]
    for target, status, text, whose in cases:
        answer = await deferToThread(refused, daemon.port, target)
        assert answer.startswith(b"HTTP/1.1 %d " % status), target
        assert text in answer.rpartition(b"\r\n\r\n")[2]
        assert b"X-Dragonfly-Error-Type: " + whose in answer
    for line, (target, status, _, _) in zip(lines, cases, strict=True):
        assert line.startswith(f"CONNECT {target} {status} 0 B in ")
    with_body = await deferToThread(
        refused, daemon.port, "127.0.0.1:443", more="Content-Length: 3\r\n"
    )
    assert with_body.startswith(b"HTTP/1.1 400 ")


@ensureDeferred
async def test_others_do_not_reach_our_loopback(lab: Lab, start: Start) -> None:
    """Who is not on this machine is connected to nothing that listens here for us alone."""
    daemon = await start(host_ip="0.0.0.0")
    address = _own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")

    def other() -> bytes:
        with socket.create_connection((address, daemon.port), PATIENCE_S) as sock:
            return ask(sock, f"127.0.0.1:{port_of(lab.secure)}")

    assert (await deferToThread(other)).startswith(b"HTTP/1.1 403 ")


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        return str(sock.getsockname()[0])


@ensureDeferred
async def test_tunnels_end_with_the_daemon(lab: Lab, start: Start, lines: list[str]) -> None:
    """Silent ones at once; nothing is left open."""
    daemon = await start()
    target = f"127.0.0.1:{port_of(lab.plain)}"

    def open_many() -> list[socket.socket]:
        socks = [dial(daemon.port) for _ in range(30)]
        for sock in socks:
            assert ask(sock, target).startswith(b"HTTP/1.1 200 ")
        return socks

    socks = await deferToThread(open_many)
    text = (await daemon.status("/metrics")).body.decode()
    assert "dragonfly_dfdaemon_tunnels 30.0" in text
    stopping = Deferred.fromCoroutine(daemon.stop())
    for sock in socks:
        assert await deferToThread(read_all, sock) == b""
        sock.close()
    await stopping
    assert len(lines) == 30


# -- opened connections ------------------------------------------------------------------


@ensureDeferred
async def test_an_opened_connection(lab: Lab, start: Start, lines: list[str]) -> None:
    """The client believes our authority, and the requests inside are ours to answer."""
    daemon = await start(hijack=lab.hijack())
    target = f"localhost:{port_of(lab.secure)}"
    for _ in range(3):
        answer = await deferToThread(fetch, daemon.port, target, "/v2/", trusting(lab.ours))
        assert answer.startswith(b"HTTP/1.1 200 ")
    # What found out that the registry speaks TLS carries the requests, too.
    assert lab.secure.connections == 2
    answer = await deferToThread(fetch, daemon.port, target, PATH, trusting(lab.ours))
    assert answer.endswith(BLOB)
    await until(lambda: len(lines) == 4)
    assert lines[-1].startswith(f"GET {PATH} 200 ")
    assert all(f"registry=https://{target}" in line for line in lines)


@ensureDeferred
async def test_the_certificate_is_for_where_the_client_connected(
    lab: Lab, start: Start, lines: list[str]
) -> None:
    """Whatever server name it sends: a client that wanted another one does not believe it."""
    daemon = await start(hijack=lab.hijack())

    def misled() -> None:
        with dial(daemon.port) as sock:
            ask(sock, f"localhost:{port_of(lab.secure)}")
            trusting(lab.ours).wrap_socket(sock, server_hostname="other.example")

    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        await deferToThread(misled)
    await until(lambda: lines)
    assert "TLS handshake failed" in lines[0]
    assert "does the client trust our authority?" in lines[0]

    def looks_later() -> None:
        with dial(daemon.port) as sock:
            ask(sock, f"localhost:{port_of(lab.secure)}")
            with trusting(lab.ours).wrap_socket(sock, server_hostname="localhost"):
                pass

    await deferToThread(looks_later)
    await until(lambda: len(lines) == 2)
    assert "no request came" in lines[1]


@ensureDeferred
async def test_an_address_has_a_certificate_too(lab: Lab, start: Start) -> None:
    """With the address in it."""
    daemon = await start(hijack=lab.hijack(r"^127\.0\.0\.1:"))
    target = f"127.0.0.1:{port_of(lab.secure)}"
    answer = await deferToThread(fetch, daemon.port, target, "/v2/", trusting(lab.ours))
    assert answer.endswith(b"{}")


@ensureDeferred
async def test_a_registry_that_is_not_believed(lab: Lab, start: Start) -> None:
    """Never silently insecure: 502, with the reason, inside the client's own TLS."""
    daemon = await start(hijack=lab.hijack(certs=()))
    target = f"localhost:{port_of(lab.secure)}"
    answer = await deferToThread(fetch, daemon.port, target, "/v2/", trusting(lab.ours))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"certificate verify failed" in answer
    assert lab.secure.count("/v2/") == 0


@ensureDeferred
async def test_a_plain_registry_behind_it(lab: Lab, start: Start, lines: list[str]) -> None:
    """The client's TLS goes to the registry, which shows it that there is none."""
    registry = await start()  # a server that answers a ClientHello at once, as registries do
    daemon = await start(hijack=lab.hijack())
    target = f"localhost:{registry.port}"
    for _ in range(2):
        with pytest.raises(ssl.SSLError) as caught:
            await deferToThread(fetch, daemon.port, target, "/v2/", trusting(lab.ours))
        assert "certificate" not in str(caught.value).lower()
    await until(lambda: len(lines) == 2)
    assert all("route=tunnel" in line for line in lines)
    # Without TLS it is a tunnel from the first byte on.

    def without_tls() -> bytes:
        with dial(daemon.port) as sock:
            assert ask(sock, target).startswith(b"HTTP/1.1 200 ")
            return get(sock, target, "/v2/")

    assert (await deferToThread(without_tls)).endswith(b"{}")


@ensureDeferred
async def test_a_client_that_does_not_wait(lab: Lab, start: Start) -> None:
    """Its ClientHello comes together with CONNECT: both kinds of connections begin with it."""
    target = f"localhost:{port_of(lab.secure)}"
    for config, authority in (({}, lab.theirs), ({"hijack": lab.hijack()}, lab.ours)):
        daemon = await start(**config)
        answer = await deferToThread(eager, daemon.port, target, authority)
        assert answer.startswith(b"HTTP/1.1 200 ")


def eager(port: int, target: str, cafile: str) -> bytes:
    """Send CONNECT and the beginning of TLS at once."""
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(cafile).wrap_bio(come, go, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with dial(port) as sock:
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode() + go.read())
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")
        _drive(sock, tls.do_handshake, come, go)
        tls.write(f"GET /v2/ HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        return bytes(_drive(sock, lambda: tls.read(65536), come, go))


def _drive(sock: socket.socket, step: Callable[[], Any], come: Any, go: Any) -> Any:
    while True:
        try:
            result = step()
        except ssl.SSLWantReadError:  # noqa: PERF203 - that is how it is driven
            sock.sendall(go.read())
            come.write(sock.recv(65536))
        else:
            sock.sendall(go.read())
            return result


@ensureDeferred
async def test_uploads_through_an_opened_connection_push_back(lab: Lab, start: Start) -> None:
    """Two times TLS, and still nothing piles up: what the registry does not read is not read."""
    served = listener()
    certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.load_cert_chain(lab.theirs)
    target = name_of(served).replace("127.0.0.1", "localhost")
    daemon = await start(hijack=lab.hijack())
    most = 96 * 1024 * 1024

    def registry(go_on: Any) -> int:
        first, _ = served.accept()  # which shows that somebody listens; TLS comes on another
        sock, _ = served.accept()
        with first, certificate.wrap_socket(sock, server_side=True) as inner:
            inner.settimeout(PATIENCE_S)
            head = read_head(inner)
            assert head.startswith(b"PUT /v2/up ")
            assert go_on.wait(PATIENCE_S)
            got = 0
            while got < most:
                got += len(inner.recv(1 << 20))
            inner.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            return got

    def client(go_on: Any) -> tuple[int, bytes]:
        context = trusting(lab.ours)
        with dial(daemon.port) as sock:
            ask(sock, target)
            with context.wrap_socket(sock, server_hostname="localhost") as inner:
                head = f"PUT /v2/up HTTP/1.1\r\nHost: {target}\r\nContent-Length: {most}\r\n\r\n"
                inner.sendall(head.encode())
                inner.settimeout(0.5)
                sent, block = 0, bytes(65536)
                try:
                    while sent < most:
                        sent += inner.send(block)
                except TimeoutError:
                    pass
                stopped_at = sent
                go_on.set()
                inner.settimeout(PATIENCE_S)
                while sent < most:
                    sent += inner.send(block[: min(len(block), most - sent)])
                return stopped_at, read_head(inner)

    go_on = threading.Event()
    serving = deferToThread(registry, go_on)
    stopped_at, answer = await deferToThread(client, go_on)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert await serving == most
    assert stopped_at < 48 * 1024 * 1024
    served.close()


@ensureDeferred
async def test_connect_inside_is_refused(lab: Lab, start: Start) -> None:
    """A server that is spoken to is no proxy."""
    daemon = await start(hijack=lab.hijack())
    target = f"localhost:{port_of(lab.secure)}"

    def twice() -> bytes:
        with dial(daemon.port) as sock:
            ask(sock, target)
            with trusting(lab.ours).wrap_socket(sock, server_hostname="localhost") as inner:
                return ask(inner, target)

    assert (await deferToThread(twice)).startswith(b"HTTP/1.1 501 ")


@ensureDeferred
async def test_a_proxy_that_is_itself_spoken_to_over_tls(lab: Lab, start: Start) -> None:
    """TLS inside of TLS: as a tunnel, and opened."""
    for config, authority in (({}, lab.theirs), ({"hijack": lab.hijack()}, lab.ours)):
        daemon = await start(certpem=lab.theirs, keypem=lab.theirs, https_port=0, **config)
        assert daemon.service.ports.https is not None
        for port in (daemon.port, daemon.service.ports.https.port):
            target = f"localhost:{port_of(lab.secure)}"
            answer = await deferToThread(doubly, port, target, lab.theirs, authority)
            assert answer.endswith(BLOB)


def doubly(port: int, target: str, outer: str, inner: str) -> bytes:
    """Speak TLS with the proxy, and in it with the registry."""
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(inner).wrap_bio(come, go, server_hostname="localhost")
    with trusting(outer).wrap_socket(dial(port), server_hostname="localhost") as sock:
        assert ask(sock, target).startswith(b"HTTP/1.1 200 ")
        _drive(sock, tls.do_handshake, come, go)
        head = f"GET {PATH} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
        _drive(sock, lambda: tls.write(head), come, go)
        got = b""
        while not got.endswith(BLOB[-100:]):
            got += _drive(sock, lambda: tls.read(65536), come, go)
        return got


@ensureDeferred
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl(lab: Lab, start: Start) -> None:
    """A client that is none of ours, in all ways; it offers HTTP/2 and does not get it."""
    opening, blind = await start(hijack=lab.hijack()), await start()
    url = f"https://localhost:{port_of(lab.secure)}{PATH}"
    for daemon, authority in ((opening, lab.ours), (blind, lab.theirs)):
        body = await deferToThread(curl, "--cacert", authority, "-x", proxy_of(daemon), url)
        assert body == BLOB
    with pytest.raises(subprocess.CalledProcessError) as failed:
        await deferToThread(curl, "--cacert", lab.theirs, "-x", proxy_of(opening), url)
    assert failed.value.returncode == 60  # the certificate is not believed


def proxy_of(daemon: Daemon) -> str:
    """As clients are told it."""
    return f"http://127.0.0.1:{daemon.port}"


def curl(*arguments: str) -> bytes:
    """What it gets; the environment's proxies do not count."""
    command = ["curl", "-q", "-sSf", "--noproxy", "", "--max-time", "10", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@ensureDeferred
async def test_an_authority_that_has_ended(lab: Lab, start: Start) -> None:
    """It does not start; the text names file and dates."""
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=9)
    made = make_authority("old", days=3, now=then)
    write_authority(made, Path(lab.ours), Path(lab.key), force=True)
    with pytest.raises(ConfigError, match=r"ca\.crt has ended: it is valid from .* to "):
        await start(hijack=lab.hijack())
