"""Certificates that are not to be believed, and clients that do not end what they began."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory

from dragonfly.config import RegistryMirror
from dragonfly.config.hijack import Hijack, HijackHost
from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.outflow import END_S
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.net.certificates import common_name
from dragonfly.net.tls import ServerCertificate, load_or_make_certificate
from tests.doubles.daemons import Daemon
from tests.doubles.front import Answers
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import until
from tests.doubles.rawtcp import RawLine

PATIENCE_S = 10.0
DAY = datetime.timedelta(days=1)
BLOB = "/v2/app/blobs/sha256:" + "0" * 64
MANIFEST = "/v2/app/manifests/1"


def certificate(path: Path, host: str, *, begin: int, end: int) -> ServerCertificate:
    """One that vouches for itself.

    :param begin: in days from now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    name = common_name(host)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begin * DAY)
        .not_valid_after(now + end * DAY)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = secret + made.public_bytes(Encoding.PEM)
    path.write_bytes(pem)
    return ServerCertificate(path, pem)


@attrs.frozen(kw_only=True)
class Lab:
    """A registry over TLS, and a daemon in front of it that opens connections to it.

    :ivar ours: PEM file of the daemon's authority.
    """

    daemon: Daemon
    registry: FakeOrigin
    ours: str

    @property
    def place(self) -> str:
        """``host:port`` of the registry."""
        return f"127.0.0.1:{self.registry.port}"


Start = Callable[..., Awaitable[Lab]]


@pytest_twisted.async_yield_fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts both; they end with the test."""
    labs: list[Lab] = []
    ours, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    now = datetime.datetime.now(datetime.timezone.utc)
    write_authority(make_authority("test", days=3, now=now), ours, key, force=False)

    async def begin(shown: ServerCertificate, *believed: str) -> Lab:
        registry = FakeOrigin(reactor, tls=shown.options())
        await registry.start()
        for path in (BLOB, MANIFEST):
            registry.put(path, b"never seen")
        place = f"127.0.0.1:{registry.port}"
        daemon = await Daemon.started(
            tmp_path / f"home{len(labs)}",
            "",
            hijack=Hijack(cert=str(ours), key=str(key), hosts=(HijackHost(regx="."),)),
            registry=RegistryMirror(remote=f"https://{place}", certs=believed),
        )
        labs.append(Lab(daemon=daemon, registry=registry, ours=str(ours)))
        return labs[-1]

    yield begin
    for lab in labs:
        await lab.daemon.stop()
        await lab.registry.stop()


def opened(lab: Lab, path: str) -> bytes:
    """Ask inside a CONNECT, of whoever the daemon says it is."""
    with socket.create_connection(("127.0.0.1", lab.daemon.port), PATIENCE_S) as sock:
        sock.sendall(f"CONNECT {lab.place} HTTP/1.1\r\nHost: {lab.place}\r\n\r\n".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        context = ssl.create_default_context(cafile=lab.ours)
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as inner:
            request = f"GET {path} HTTP/1.1\r\nHost: {lab.place}\r\nConnection: close\r\n\r\n"
            inner.sendall(request.encode())
            parts = []
            while part := inner.recv(65536):
                parts.append(part)
            return b"".join(parts)


async def plain(lab: Lab, target: str, *more: str) -> bytes:
    """Ask the front."""
    line = await RawLine.connect(reactor, lab.daemon.port)
    lines = "".join(f"{text}\r\n" for text in ("Host: x", "Connection: close", *more))
    line.write(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
    return await line.rest()


async def in_all_modes(lab: Lab, path: str) -> list[bytes]:
    """The same, asked for in every way that there is."""
    return [
        await plain(lab, path),
        await plain(lab, path, f"X-Dragonfly-Registry: https://{lab.place}"),
        await plain(lab, f"{path}?ns={lab.place}"),
        await plain(lab, f"https://{lab.place}{path}"),
        await plain(lab, f"/x/https://{lab.place}{path}"),
        await plain(lab, f"/x/https://{lab.place}{path}", "X-Dragonfly-Use-P2P: true"),
        await deferToThread(opened, lab, path),
    ]


@ensureDeferred
async def test_one_that_is_believed(start: Start, tmp_path: Path) -> None:
    """So that it is the certificate that the others fail for."""
    shown = certificate(tmp_path / "shown.pem", "127.0.0.1", begin=-1, end=9)
    lab = await start(shown, str(shown.path))
    for answer in await in_all_modes(lab, MANIFEST):
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert answer.endswith(b"never seen")


@ensureDeferred
@pytest.mark.parametrize("wrong", ["unknown", "expired", "not begun", "another host"])
async def test_certificates_that_are_not_believed(start: Start, tmp_path: Path, wrong: str) -> None:
    """502 with the reason in every mode, of what goes through the swarm and what does not; the
    registry never gets a request."""
    host = "other.example" if wrong == "another host" else "127.0.0.1"
    begin, end = {"expired": (-9, -2), "not begun": (2, 9)}.get(wrong, (-1, 9))
    shown = certificate(tmp_path / "shown.pem", host, begin=begin, end=end)
    believed = load_or_make_certificate(tmp_path) if wrong == "unknown" else shown
    lab = await start(shown, str(believed.path))
    for path in (MANIFEST, BLOB):
        for answer in await in_all_modes(lab, path):
            assert answer.startswith(b"HTTP/1.1 502 "), answer
            assert b"certificate verify failed" in answer
    assert lab.registry.log == []


@ensureDeferred
async def test_authorities_that_are_gone_while_it_runs(start: Start, tmp_path: Path) -> None:
    """Nobody is believed then; the file is named."""
    shown = certificate(tmp_path / "shown.pem", "127.0.0.1", begin=-1, end=9)
    lab = await start(shown, str(shown.path))
    shown.path.unlink()
    for path in (MANIFEST, BLOB):
        answer = await plain(lab, path)
        assert answer.startswith(b"HTTP/1.1 500 "), answer
        assert f"cacerts {shown.path}: No such file".encode() in answer
    assert lab.registry.log == []


# -- what does not end -----------------------------------------------------------------


class Rig:
    """A front that speaks TLS, on a port, with a clock that stands still."""

    def __init__(self, tls: Any, **limits: Any) -> None:
        self.clock = Clock()
        self.front = FrontFactory(Answers(), clock=self.clock, limits=FrontLimits(**limits))
        secure = TLSMemoryBIOFactory(tls, False, self.front, reactor)
        self.port = reactor.listenTCP(0, secure, interface="127.0.0.1")  # type: ignore[attr-defined]

    async def knock(self) -> RawLine:
        """Connect, and say nothing."""
        count = self.front.open
        line = await RawLine.connect(reactor, self.port.getHost().port)
        await until(lambda: self.front.open > count or line.gone.fired)
        return line


@pytest_twisted.async_yield_fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """For two connections."""
    made = Rig(load_or_make_certificate(tmp_path).options(), connections=2)
    yield made
    await made.port.stopListening()


@ensureDeferred
async def test_too_many_that_do_not_shake_hands(rig: Rig) -> None:
    """One too many is cut at once: there is nothing that can be said to it, and it costs as
    much as the others."""
    two = [await rig.knock(), await rig.knock()]
    third = await rig.knock()
    assert await third.gone.wait() is False
    assert rig.front.open == 2
    rig.clock.advance(20)  # a handshake has as long as a head
    for line in two:
        await line.gone.wait()
    assert rig.front.open == 0


@ensureDeferred
async def test_a_client_that_does_not_say_goodbye(rig: Rig) -> None:
    """TLS waits for that; we do not, once all is sent."""
    line = await rig.knock()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = context.wrap_bio(incoming, outgoing)

    def shakes() -> bool:
        incoming.write(bytes(line.received))
        line.received.clear()
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            line.write(outgoing.read())
            return False
        return True

    shakes()
    await line.until(shakes)
    client.write(b"no request\r\n\r\n")
    line.write(outgoing.read())
    await line.until(lambda: len(line.received) > 200)
    assert rig.front.open == 1
    rig.clock.advance(FrontLimits().linger_s)  # the front closes, the client says nothing
    assert rig.front.open == 1

    def later() -> bool:  # the kernel may take a moment to have all acknowledged
        rig.clock.advance(1)
        return line.gone.fired

    await until(later)
    assert rig.front.open == 0
    assert END_S <= rig.clock.seconds() < FrontLimits().write_stall_s
