"""Whatever connects to the ports: they answer no nonsense, and they live on."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl

import pytest

from tests.e2e.rig.files import MIB, random_file, sha256
from tests.e2e.rig.stage import Stage

_NOISE = random.Random(20).randbytes(64 * 1024)

GARBAGE = {
    "nothing": b"",
    "zeroes": bytes(4096),
    "noise": _NOISE,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "endless-header": b"GET / HTTP/1.1\r\nX: " + b"x" * MIB,
    "long-url": b"GET /" + b"y" * MIB + b" HTTP/1.1\r\n\r\n",
    "half-tls": b"\x16\x03\x01\x02\x00" + _NOISE[:200],
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    # Frame headers of the piece protocol: u32 length, u8 type (1 is HELLO).
    "huge-frame": b"\x00\xff\xff\xff\x01",
    "unknown-frame": b"\x00\x00\x00\x01\xee\x00",
    "hello-of-nobody": b"\x00\x00\x00\x7c\x01" + bytes(124),
    "hello-cut-short": b"\x00\x00\x00\x7c\x01dragon",
}

# A stranger that says nothing is shown out after this long, at most.
PATIENCE_S = 20


def throw(port: int, data: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Send ``data``, say that no more comes, and read until the other side closes.

    :raises TimeoutError: it does not close.
    """
    answer = bytearray()
    with socket.create_connection((host, port), timeout=PATIENCE_S) as link:
        with contextlib.suppress(OSError):  # the other side may not want all of it
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):  # being cut off is an answer too
            while part := link.recv(65536):
                answer += part
    return bytes(answer)


@pytest.mark.parametrize("name", GARBAGE)
def test_supernode_ports_survive(stage: Stage, name: str) -> None:
    """Both ports of the supernode close the connection and go on serving."""
    for port in (stage.supernode.http, stage.supernode.pieces):
        throw(port, GARBAGE[name])
    assert stage.supernode.get("/_ping") == "OK"
    assert stage.supernode.program.code is None


def test_swarm_works_after_all_that(stage: Stage) -> None:
    """All of it at once at every port, the peer's too, and a download goes through."""
    digest = random_file(stage.nginx.files / "after", 5 * MIB)
    random_file(stage.nginx.files / "before", 1)
    stage.home.get(stage.nginx.url("before"), "-o", stage.scene.root / "before").succeeded()
    status = stage.home.ask("status")
    assert status is not None
    for port in (stage.supernode.http, stage.supernode.pieces, int(status["port"])):
        for data in GARBAGE.values():
            throw(port, data)
    out = stage.scene.root / "after"
    done = stage.fresh().get(stage.nginx.url("after"), "-o", out, "--notbs").succeeded()
    assert sha256(out) == digest
    assert done.reason == 0
    assert stage.home.pid == status["pid"]
    assert "Unhandled" not in stage.supernode.program.text()
    assert "Traceback" not in stage.supernode.program.text()
    assert "Traceback" not in (stage.home.path / "peer.log").read_text()


def test_one_port_speaks_tls_and_plain(stage: Stage) -> None:
    """The HTTP port answers both, told apart by the first byte."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = bytearray()
    with (
        socket.create_connection(("127.0.0.1", stage.supernode.http), timeout=10) as plain,
        context.wrap_socket(plain) as link,
    ):
        link.sendall(request)
        while part := link.recv(4096):
            answer += part
    assert answer.endswith(b"OK")
    assert throw(stage.supernode.http, request).endswith(b"OK")


def test_credentials_are_not_taken_over_plain_http(stage: Stage) -> None:
    """The swarm's calls are for TLS; a plain one is refused whoever makes it."""
    body = b"{}"
    head = b"POST /swarm/v1/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    answer = throw(stage.supernode.http, head + b"Content-Length: 2\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 4"), answer
