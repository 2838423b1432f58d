"""The way through a proxy: what is said to it, and what may come back."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.errors import OriginUnreachable
from dragonfly.net.passage import ANSWER_S, HEAD_BYTES, ProxyEndpoint
from dragonfly.net.proxies import Proxy
from tests.doubles.names import Names, WithNames

YES = b"HTTP/1.1 200 Connection established\r\nServer: any\r\n\r\n"


class Behind(Protocol):
    """What is to be connected."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Keep it."""
        self.lost = reason


class PassageTests(SynchronousTestCase):
    """In memory."""

    def setUp(self) -> None:
        """A proxy that wants a login."""
        self.clock = MemoryReactorClock()
        self.reactor = WithNames(Names(proxy=[["10.0.0.1"]]), self.clock)
        self.proxy = Proxy(host="proxy", port=3128, authorization="Basic s3cret")

    def tearDown(self) -> None:
        """However it went: no timer is left."""
        assert self.clock.getDelayedCalls() == []

    def dial(self, authority: str | None = "registry.example:443", via: bytes = b"us-1") -> None:
        """Begin; ``self.wire`` is the connection to the proxy."""
        where = ProxyEndpoint(
            self.reactor, self.proxy, authority=authority, via=via, timeout_s=10.0
        )
        self.made: Deferred[Any] = where.connect(Factory.forProtocol(Behind))
        host, port, factory, _, _ = self.clock.tcpClients[-1]
        assert (host, port) == ("10.0.0.1", 3128)
        self.factory = factory

    def connect(self, authority: str | None = "registry.example:443", via: bytes = b"us-1") -> None:
        """Begin, and reach the proxy."""
        self.dial(authority, via)
        self.wire = StringTransport()
        self.passage = self.factory.buildProtocol(None)
        self.passage.makeConnection(self.wire)

    def say(self, data: bytes) -> None:
        """The proxy speaks."""
        if data:
            self.passage.dataReceived(data)

    def refused(self) -> str:
        """The text of the error; the connection is closed."""
        error = self.failureResultOf(self.made, OriginUnreachable).value
        assert self.wire.disconnected or self.wire.disconnecting
        assert "s3cret" not in str(error)
        return str(error)

    def test_what_is_said(self) -> None:
        """Host, login, and by which name we go."""
        self.connect()
        lines = self.wire.value().split(b"\r\n")
        assert lines[0] == b"CONNECT registry.example:443 HTTP/1.1"
        assert lines[1] == b"Host: registry.example:443"
        assert lines[2].startswith(b"User-Agent: dragonfly/")
        assert lines[3:] == [b"Proxy-Authorization: Basic s3cret", b"Via: 1.1 us-1", b"", b""]
        self.say(YES)

    def test_nothing_more_than_needed(self) -> None:
        """Without a login, and without a name."""
        self.proxy = Proxy(host="proxy", port=3128)
        self.connect(via=b"")
        assert self.wire.value().count(b"\r\n") == 4
        self.say(YES)

    def test_open(self) -> None:
        """What follows is for the protocol behind, and goes to it from wherever it is cut."""
        answer = b"HTTP/1.1 100 Continue\r\n\r\n" + YES
        for cut in range(len(answer) + 1):
            self.connect()
            self.say(answer[:cut])
            self.say(answer[cut:] + b"one")
            behind = self.successResultOf(self.made)
            self.say(b"two")
            assert behind.received == b"onetwo"
            assert behind.transport is self.wire
        self.passage.connectionLost(Failure(ConnectionDone()))
        assert behind.lost is not None

    def test_old_proxies(self) -> None:
        """HTTP/1.0, no reason, lines that end in LF, a promise to close: a yes is a yes."""
        for head in (b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.1 204 Fine\n"):
            self.connect()
            self.say(head + b"Connection: close\r\n\r\nx")
            assert self.successResultOf(self.made).received == b"x"

    def test_lengths_mean_nothing(self) -> None:
        """RFC 9110, 9.3.6: there is no body, whatever the proxy says."""
        self.connect()
        self.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd")
        assert self.successResultOf(self.made).received == b"abcd"

    def test_the_proxy_itself(self) -> None:
        """For plain http nothing is asked."""
        self.connect(None)
        assert self.wire.value() == b""
        self.say(b"x")
        assert self.successResultOf(self.made).received == b"x"

    def test_refusals(self) -> None:
        """The proxy is named, and what it said."""
        for status in (302, 403, 407, 502, 508):
            self.connect()
            self.say(b"HTTP/1.1 %d No\r\nContent-Length: 5\r\n\r\nhello" % status)
            expected = f"proxy proxy:3128 answered {status} to CONNECT registry.example:443"
            assert self.refused() == expected
            self.say(b"more")

    def test_garbage(self) -> None:
        """Not HTTP, or HTTP without end."""
        garbage = (
            b"SSH-2.0-OpenSSH_9\r\n\r\n",
            b"\x15\x03\x01\x00\x02\x02\x50" + bytes(HEAD_BYTES),
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * HEAD_BYTES,
        )
        for each in garbage:
            self.connect()
            self.say(each)
            assert self.refused() == "proxy proxy:3128: its answer to CONNECT is not HTTP/1.1"

    def test_silence(self) -> None:
        """Is not waited for, also when it says again and again that it is about to."""
        self.connect()
        for _ in range(2):
            self.clock.advance(ANSWER_S / 2)
            self.say(b"HTTP/1.1 102 Processing\r\n\r\n")
        assert self.refused() == "proxy proxy:3128: no answer in 15 s"

    def test_hanging_up(self) -> None:
        """Without an answer, or in the middle of it."""
        for said in (b"", b"HTTP/1.1 200 OK\r\n"):
            self.connect()
            self.say(said)
            self.passage.connectionLost(Failure(ConnectionDone()))
            text = str(self.failureResultOf(self.made, OriginUnreachable).value)
            assert text == "proxy proxy:3128: the connection was closed"

    def test_nobody_there(self) -> None:
        """The proxy is named."""
        self.dial()
        self.factory.clientConnectionFailed(None, Failure(Refused()))
        self.clock.advance(1)
        text = str(self.failureResultOf(self.made, OriginUnreachable).value)
        assert text == "proxy proxy:3128: connection refused"

    def test_cancelling(self) -> None:
        """Closes the connection, while the proxy is waited for."""
        self.connect()
        self.made.cancel()
        self.failureResultOf(self.made)
        assert self.wire.disconnected or self.wire.disconnecting
        self.say(YES)  # too late


@pytest.mark.parametrize("host", ["proxy", "::1"])
def test_names(host: str) -> None:
    """Of the proxy, for messages."""
    expected = f"[{host}]:1" if ":" in host else f"{host}:1"
    assert str(Proxy(host=host, port=1)) == expected
