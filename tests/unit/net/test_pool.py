"""What connections of HTTP clients put up with."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.web._newclient import Request
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from dragonfly.errors import OriginError
from dragonfly.net.pool import BODY_READ_BYTES, HEAD_BYTES, quiet_pool
from dragonfly.net.reasons import innermost

LINE = b"X-Line: " + b"x" * 1000 + b"\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\n\r\n"


class Asked:
    """A connection on which something was asked."""

    def __init__(self, *, persistent: bool = True) -> None:
        self.persistent = persistent
        pool = quiet_pool(MemoryReactorClock(), persistent=True)
        self.client = pool._factory(lambda _: None, "").buildProtocol(None)
        self.wire = StringTransportWithDisconnection()
        self.wire.protocol = self.client
        self.client.makeConnection(self.wire)
        self.ask()

    def ask(self) -> None:
        """Ask for something."""
        headers = Headers({b"host": [b"h"]})
        request = Request(b"GET", b"/", headers, None, persistent=self.persistent)
        self.answer: Deferred[IResponse] = self.client.request(request)
        self.failures: list[Any] = []
        self.answer.addErrback(self.failures.append)

    def refused(self) -> None:
        """Check that the answer was given up, and the connection cut."""
        (failure,) = self.failures
        assert isinstance(innermost(failure), OriginError)
        assert not self.wire.connected


@pytest.mark.parametrize("endless", [LINE, HINT])
def test_a_head_without_end(endless: bytes) -> None:
    """Header lines or provisional answers that never stop are not kept for ever."""
    asked, sent = Asked(), 0
    if endless is LINE:
        asked.client.dataReceived(b"HTTP/1.1 200 OK\r\n")
    while asked.wire.connected and sent < 2 * HEAD_BYTES:
        asked.client.dataReceived(endless)
        sent += len(endless)
    asked.refused()
    assert sent <= HEAD_BYTES + len(endless)


def test_a_long_body_is_no_head() -> None:
    """Only heads are counted, and each for itself."""
    asked = Asked()
    for _ in range(3):
        asked.client.dataReceived(b"HTTP/1.1 200 OK\r\n")
        for _ in range(HEAD_BYTES // len(LINE) // 2):
            asked.client.dataReceived(LINE)
        asked.client.dataReceived(b"Content-Length: %d\r\n\r\n" % (4 * HEAD_BYTES))
        for _ in range(4):
            asked.client.dataReceived(bytes(HEAD_BYTES))
        assert asked.answer.called
        assert not asked.failures
        if asked.client.state != "QUIESCENT":
            break
        asked.ask()
    assert asked.wire.connected


@pytest.mark.parametrize(
    ("framing", "persistent", "more"),
    [
        (b"Content-Length: %d" % BODY_READ_BYTES, False, True),
        (b"Content-Length: %d" % (BODY_READ_BYTES - 1), False, False),
        (b"Content-Length: %d" % BODY_READ_BYTES, True, False),
        (b"Transfer-Encoding: chunked", False, False),
        (b"X-Nothing: to be seen", False, False),
    ],
)
def test_more_is_read_at_once_of_long_bodies(framing: bytes, persistent: bool, more: bool) -> None:
    """From the end of the head on, where nothing small can follow that costs an event each."""
    asked = Asked(persistent=persistent)
    asked.client.dataReceived(b"HTTP/1.1 200 OK\r\n" + framing)
    assert not hasattr(asked.wire, "bufferSize")
    asked.client.dataReceived(b"\r\n\r\n")
    assert getattr(asked.wire, "bufferSize", None) == (BODY_READ_BYTES if more else None)


def test_more_is_read_below_tls() -> None:
    """TLS asks the transport below it for no number of bytes of its own."""
    asked = Asked(persistent=False)
    socket = StringTransportWithDisconnection()
    asked.wire.transport = socket  # type: ignore[attr-defined]
    asked.client.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 20))
    assert socket.bufferSize == BODY_READ_BYTES  # type: ignore[attr-defined]


def test_a_limit_that_asked_for_less_stays() -> None:
    """Whoever takes the body may have said so before the read that brought the head ends."""
    asked = Asked(persistent=False)
    asked.wire.bufferSize = 4096  # type: ignore[attr-defined]
    asked.client.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 20))
    assert asked.wire.bufferSize == 4096  # type: ignore[attr-defined]
