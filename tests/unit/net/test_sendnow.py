"""Bytes to the kernel at once: only on an idle plain connection, and never out of order."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection

from dragonfly.net.sendnow import send_now, unsent
from tests.doubles.bounded_pipe import BoundedPipe


class Writers:
    """The part of a reactor that a connection writes with."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        """Tell it when the socket takes bytes."""
        self.waiting.append(writer)

    def removeWriter(self, writer: Any) -> None:
        """It has no more."""
        self.waiting = [each for each in self.waiting if each is not writer]


class Line:
    """A connection as Twisted makes them, on one end of a pair of sockets."""

    def __init__(self) -> None:
        ours, self.other = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.socket = ours
        self.other.setblocking(False)
        self.reactor = Writers()
        reactor: Any = self.reactor
        self.transport = Connection(ours, Protocol(), reactor)
        self.transport.connected = True  # type: ignore[assignment] - as Server and Client do

    def received(self) -> bytes:
        """What has come at the other end."""
        parts = []
        with suppress(BlockingIOError):
            while True:
                parts.append(self.other.recv(1 << 16))
        return b"".join(parts)

    def drain(self) -> bytes:
        """Let the reactor do its part until nothing waits; what comes meanwhile."""
        got = self.received()
        while self.reactor.waiting:
            assert self.transport.doWrite() is None
            got += self.received()
        return got

    def fill(self) -> bytes:
        """Put as many zeros into the socket as it takes."""
        count = 0
        with suppress(BlockingIOError):
            while True:
                count += self.socket.send(bytes(1024))
        return bytes(count)

    def end(self) -> None:
        """Close both."""
        self.socket.close()
        self.other.close()


@pytest.fixture
def line() -> Iterator[Line]:
    """An idle connection."""
    line = Line()
    yield line
    line.end()


# -- at once -----------------------------------------------------------------


def test_an_idle_connection_takes_all_at_once(line: Line) -> None:
    """Chunks of every kind, without a turn of the reactor."""
    assert not send_now(line.transport, [b"one", b"", memoryview(b"two"), bytes(5)])  # type: ignore[list-item]
    assert line.received() == b"onetwo" + bytes(5)
    assert line.reactor.waiting == []
    assert unsent(line.transport) == 0


def test_nothing_is_sent_for_nothing(line: Line) -> None:
    """No chunks, or empty ones."""
    assert not send_now(line.transport, [])
    assert not send_now(line.transport, [b"", b""])
    assert line.received() == b""


def test_what_the_socket_does_not_take_is_given_back(line: Line) -> None:
    """The transport sends it later; the other end sees one stream."""
    chunks = [bytes([n]) * 3000 for n in range(40)]
    rest = send_now(line.transport, chunks)
    assert 0 < sum(map(len, rest)) < sum(map(len, chunks))
    line.transport.writeSequence(rest)
    assert line.drain() == b"".join(chunks)


def test_a_full_socket_takes_nothing(line: Line) -> None:
    """That is no error."""
    before = line.fill()
    chunks = [b"one", b"two"]
    assert send_now(line.transport, chunks) == chunks
    line.transport.writeSequence(chunks)
    assert line.drain() == before + b"onetwo"


class Taking:
    """A socket that takes so many bytes."""

    def __init__(self, count: int) -> None:
        self.count = count

    def sendmsg(self, chunks: Sequence[bytes]) -> int:
        """Some of them."""
        return min(self.count, sum(map(len, chunks)))


@given(st.lists(st.binary(max_size=5), max_size=8), st.integers(0, 40))
def test_the_rest_begins_where_the_socket_stopped(chunks: list[bytes], count: int) -> None:
    """In a chunk, between two, at the end."""
    line = Line()
    line.transport.socket = Taking(count)
    rest = send_now(line.transport, chunks)
    line.end()
    assert b"".join(rest) == b"".join(chunks)[count:]


# -- not at once -------------------------------------------------------------


def test_nothing_gets_past_what_waits(line: Line) -> None:
    """Whether it waits in the transport's list or in the rest of its last write."""
    line.transport.write(b"first ")
    assert send_now(line.transport, [b"second "]) == [b"second "]
    line.transport.writeSequence([b"second "])
    assert line.drain() == b"first second "
    big = bytes(100_000)
    line.transport.write(big)
    line.transport.doWrite()
    waiting = unsent(line.transport)
    assert 0 < waiting < len(big)
    assert send_now(line.transport, [b"third"]) == [b"third"]
    assert unsent(line.transport) == waiting
    line.transport.write(b"third")
    assert line.drain() == big + b"third"


def test_after_what_waited_it_is_at_once_again(line: Line) -> None:
    """The connection is idle as soon as its buffer is empty."""
    line.transport.write(b"first ")
    assert line.drain() == b"first "
    assert not send_now(line.transport, [b"second"])
    assert line.received() == b"second"


@pytest.mark.parametrize(
    ("name", "value"), [("TLS", True), ("connected", False), ("disconnecting", True)]
)
def test_a_connection_that_is_not_plain_and_open_is_left_alone(
    line: Line, name: str, value: bool
) -> None:
    """Bytes of TLS are not those of the stream; and a goodbye was said."""
    setattr(line.transport, name, value)
    assert send_now(line.transport, [b"x"]) == [b"x"]
    assert line.received() == b""


def test_a_connection_that_is_gone_is_left_alone(line: Line) -> None:
    """It has no socket any more."""
    line.transport.connected = False  # type: ignore[assignment]
    del line.transport.socket
    assert send_now(line.transport, [b"x"]) == [b"x"]


def test_other_transports_are_left_alone() -> None:
    """Whatever they are."""
    pipe, _ = BoundedPipe.pair()
    assert send_now(pipe, [b"x"]) == [b"x"]
    assert not pipe.queued
    assert send_now(None, [b"x"]) == [b"x"]
    assert unsent(None) == 0


def test_more_chunks_than_one_call_takes_are_left_to_the_transport(line: Line) -> None:
    """The kernel would refuse them; it joins them first."""
    chunks = [b"x"] * 1025
    assert send_now(line.transport, chunks) == chunks
    assert line.received() == b""
    assert not send_now(line.transport, chunks[1:])
    assert line.received() == b"x" * 1024


# -- what is broken ----------------------------------------------------------


def test_an_error_is_found_by_the_transport(line: Line) -> None:
    """Which ends the connection in its own way, and tells its protocol."""
    line.other.close()
    assert send_now(line.transport, [b"x"]) == [b"x"]
    line.transport.writeSequence([b"x"])
    assert line.transport.doWrite() is CONNECTION_LOST


# -- what waits --------------------------------------------------------------


def test_what_waits_is_counted_wherever_it_is(line: Line) -> None:
    """Written and not looked at, or looked at and sent in part."""
    line.transport.writeSequence([b"12345", b"678"])
    assert unsent(line.transport) == 8
    line.transport.socket = _Sending(line.socket, 3)
    line.transport.doWrite()
    assert unsent(line.transport) == 5
    line.transport.write(b"9")
    assert unsent(line.transport) == 6


class _Sending:
    """A socket that takes a few bytes with each call."""

    def __init__(self, real: socket.socket, count: int) -> None:
        self._real = real
        self._count = count

    def send(self, data: bytes) -> int:
        """The first of them."""
        return self._real.send(data[: self._count])
