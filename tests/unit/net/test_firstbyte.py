"""TLS or not, by the first byte; and a few handshakes at a time, in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from dragonfly.net.firstbyte import HANDSHAKE_S, HANDSHAKES_MAX, FirstByteFactory
from dragonfly.net.meter import Meter

HELLO = b"\x16\x03\x01\x00\x05hello"


class Heard(Protocol):
    """Notes what it is told, and answers."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.data += data
        assert self.transport is not None
        self.transport.write(b"answer")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note it."""
        self.lost = True


class Port(FirstByteFactory):
    """A port whose TLS is a protocol of the test's own."""

    def __init__(self, clock: Clock, meter: Meter | None = None) -> None:
        self.chosen: list[tuple[int, Heard]] = []
        super().__init__(CertificateOptions(), Factory.forProtocol(Heard), clock=clock, meter=meter)

    def choose(self, first: int, addr: object) -> Heard:
        """Note which it would be."""
        made = Heard()
        self.chosen.append((first, made))
        return made

    def connect(self) -> tuple[Protocol, StringTransport]:
        """One more connection."""
        made, transport = self.buildProtocol(None), StringTransport()
        made.makeConnection(transport)
        return made, transport


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Time; nothing may be left to be done in it."""
    made = Clock()
    yield made
    assert not made.getDelayedCalls()


def lose(*connections: Protocol) -> None:
    """All are closed by their callers."""
    for connection in connections:
        connection.connectionLost(Failure(connectionDone.value))


def test_the_first_byte_decides_and_is_passed_on(clock: Clock) -> None:
    """With all that came with it."""
    port = Port(clock)
    plain, _ = port.connect()
    plain.dataReceived(b"GET /")
    secure, _ = port.connect()
    secure.dataReceived(HELLO)
    assert [(first, each.data) for first, each in port.chosen] == [(71, b"GET /"), (22, HELLO)]
    lose(plain, secure)
    assert all(each.lost for _, each in port.chosen)


def test_who_says_nothing_is_cut_off(clock: Clock) -> None:
    """After a while."""
    port = Port(clock)
    silent, transport = port.connect()
    clock.advance(port.patience_s)
    assert transport.disconnecting
    lose(silent)


def test_handshakes_wait_for_their_turn_in_order(clock: Clock) -> None:
    """Reading stops meanwhile; what was read is not lost."""
    port = Port(clock)
    several = [port.connect() for _ in range(HANDSHAKES_MAX + 2)]
    for number, (each, _) in enumerate(several):
        each.dataReceived(HELLO + bytes([number]))
    assert len(port.chosen) == HANDSHAKES_MAX
    assert several[-1][1].producerState == "paused"
    several[3][0].dataReceived(b"second")  # its part of the handshake
    assert port.chosen[-1][1].data == HELLO + bytes([HANDSHAKES_MAX])
    assert several[HANDSHAKES_MAX][1].producerState == "producing"
    assert several[-1][1].producerState == "paused"
    lose(several[0][0])
    assert port.chosen[-1][1].data == HELLO + bytes([HANDSHAKES_MAX + 1])
    lose(*(each for each, _ in several[1:]))


@pytest.mark.parametrize("said", [1, 4, 5, len(HELLO) - 1])
def test_who_says_half_a_word_has_no_place(clock: Clock, said: int) -> None:
    """Others shake hands at once; when the rest comes nothing is lost, else it is cut off."""
    port = Port(clock)
    several = [port.connect() for _ in range(HANDSHAKES_MAX)]
    for each, _ in several:
        each.dataReceived(HELLO[:said])
    other, _ = port.connect()
    other.dataReceived(HELLO)
    assert [heard.data for _, heard in port.chosen] == [HELLO]
    several[0][0].dataReceived(HELLO[said:])
    assert [heard.data for _, heard in port.chosen] == [HELLO, HELLO]
    clock.advance(port.patience_s)
    assert [transport.disconnecting for _, transport in several] == [False] + [True] * 15
    lose(other, *(each for each, _ in several))


def test_a_record_that_is_too_long_is_refused_by_tls(clock: Clock) -> None:
    """Nobody waits for the end of it."""
    port = Port(clock)
    long, _ = port.connect()
    long.dataReceived(b"\x16\x03\x01\x40\x01")
    assert len(port.chosen) == 1
    lose(long)


def test_who_falls_silent_loses_its_place_soon(clock: Clock) -> None:
    """Two lots of them keep a third connection waiting for a second, not for four."""
    port = Port(clock)
    silent = [port.connect()[0] for _ in range(2 * HANDSHAKES_MAX)]
    for each in silent:
        each.dataReceived(HELLO)
    other, _ = port.connect()
    other.dataReceived(HELLO)
    clock.advance(0.5)
    clock.advance(0.5)
    assert len(port.chosen) == 2 * HANDSHAKES_MAX + 1
    lose(other, *silent)


def test_who_left_the_line_is_passed_over(clock: Clock) -> None:
    """And plain requests do not stand in it."""
    port = Port(clock)
    several = [port.connect()[0] for _ in range(HANDSHAKES_MAX + 2)]
    for each in several:
        each.dataReceived(HELLO)
    plain, _ = port.connect()
    plain.dataReceived(b"GET /")
    lose(several[HANDSHAKES_MAX], several[0])
    assert len(port.chosen) == HANDSHAKES_MAX + 2
    lose(plain, *several[1:HANDSHAKES_MAX], several[-1])


def test_a_slow_handshake_keeps_nobody_waiting_for_long(clock: Clock) -> None:
    """It goes on itself."""
    port = Port(clock)
    several = [port.connect() for _ in range(2 * HANDSHAKES_MAX)]
    for each, _ in several:
        each.dataReceived(HELLO)
    clock.advance(HANDSHAKE_S)
    assert len(port.chosen) == 2 * HANDSHAKES_MAX
    assert not any(transport.disconnecting for _, transport in several)
    lose(*(each for each, _ in several))


def test_all_bytes_are_counted(clock: Clock) -> None:
    """In both directions."""
    got: list[float] = []
    sent: list[float] = []
    port = Port(clock, Meter(got.append, sent.append))
    plain, transport = port.connect()
    plain.dataReceived(b"GET /")
    plain.dataReceived(b" more")
    assert (got, sent) == ([5, 5], [6, 6])
    assert transport.value() == b"answeranswer"
    port.chosen[0][1].transport.writeSequence([b"a", b"bc"])  # type: ignore[union-attr]
    assert sent[-1] == 3
    lose(plain)
