"""Dialling back: an address is handed on only if somebody answers there."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.net.tasks import TaskSet
from dragonfly.supernode.reach import DIALS_MAX, REMEMBER_S, DialBack, usable_address


@pytest.mark.parametrize(
    ("advertised", "source", "used"),
    [
        (None, "10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", "10.0.0.9", "10.0.0.1"),
        ("2001:DB8::1", "10.0.0.9", "2001:db8::1"),
        ("not an address", "10.0.0.9", "10.0.0.9"),
        ("0.0.0.0", "10.0.0.9", "10.0.0.9"),
        ("224.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("169.254.169.254", "10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("::1", "10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.5", "::1", "127.0.0.5"),
    ],
)
def test_usable_address(advertised: str | None, source: str, used: str) -> None:
    """Nobody is sent to an address that no host on the network has."""
    assert usable_address(advertised, source) == used


class Lab:
    """A dial-back whose connections are decided by hand."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.dial_back = DialBack(self.reactor, TaskSet(Logger()))
        self.told: list[bool] = []

    def ask(self, address: str = "192.0.2.1", port: int = 1) -> None:
        """Ask once."""
        self.dial_back.ask(address, port, self.told.append)

    def accept(self, number: int = -1) -> StringTransport:
        """Somebody answers there."""
        factory = self.reactor.tcpClients[number][2]
        transport = StringTransport()
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        protocol.makeConnection(transport)
        return transport

    def refuse(self, number: int = -1) -> None:
        """Nobody does."""
        _host, _port, factory, _timeout, _bind = self.reactor.tcpClients[number]
        factory.clientConnectionFailed(self.reactor.connectors[number], Failure(Refused()))


def test_reached() -> None:
    """The connection is all there was to find out: it is closed at once."""
    lab = Lab()
    lab.ask()
    assert lab.told == []
    assert lab.accept().disconnecting
    assert lab.told == [True]
    assert lab.dial_back.known("192.0.2.1", 1) is True


def test_not_reached() -> None:
    """A refusal is an answer too, and is remembered for a while."""
    lab = Lab()
    lab.ask()
    lab.refuse()
    lab.ask()
    assert lab.told == [False, False]
    assert len(lab.reactor.tcpClients) == 1
    lab.reactor.advance(REMEMBER_S + 1)
    assert lab.dial_back.known("192.0.2.1", 1) is None
    lab.ask()
    assert len(lab.reactor.tcpClients) == 2


def test_many_ask_at_once() -> None:
    """One attempt answers all who ask for the same address."""
    lab = Lab()
    for _ in range(10):
        lab.ask()
    assert len(lab.reactor.tcpClients) == 1
    lab.accept()
    assert lab.told == [True] * 10


def test_attempts_are_bounded() -> None:
    """A crowd is tried a few at a time; as each ends the next begins."""
    lab = Lab()
    for port in range(1, DIALS_MAX + 3):
        lab.ask(port=port)
    assert len(lab.reactor.tcpClients) == DIALS_MAX
    lab.refuse(0)
    assert len(lab.reactor.tcpClients) == DIALS_MAX + 1
    for number in range(1, DIALS_MAX + 2):
        lab.refuse(number)
    assert len(lab.told) == DIALS_MAX + 2


def test_ipv6() -> None:
    """Addresses of both families are tried."""
    lab = Lab()
    lab.ask("2001:db8::1")
    assert lab.reactor.tcpClients[0][0] == "2001:db8::1"
    lab.accept()
    assert lab.told == [True]
