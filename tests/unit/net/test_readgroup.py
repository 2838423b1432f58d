"""Sockets that are looked at together: nothing is lost, and a crowd rests between two looks."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

from dragonfly.net.readgroup import CROWD, MEASURE_S, REST_BYTES, REST_MOST_S, ReadGroup

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")


class Reactor(Clock):
    """Time, and who is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """Watch it."""
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """Do not."""
        self.readers = [each for each in self.readers if each is not reader]

    def removeWriter(self, writer: Any) -> None:
        """Nobody writes here."""

    def turn(self) -> list[Any]:
        """Read from whoever is watched and ready; give them."""
        poll = select.poll()  # not select, which takes no descriptor above 1023
        by_number = {reader.fileno(): reader for reader in self.readers}
        for number in by_number:
            poll.register(number, select.POLLIN)
        ready = [by_number[number] for number, _ in poll.poll(0)]
        for reader in ready:
            reader.doRead()
        return ready


class Heard(Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.data = b""
        self.reads = 0
        self.lost: Failure | None = None
        self.fails = False
        self.then: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        if self.fails:
            raise ArithmeticError("a mistake")
        self.data += data
        self.reads += 1
        self.then()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It is over."""
        self.lost = reason


class Member:
    """One connection, read by the reactor, and its other end."""

    def __init__(self, reactor: Reactor) -> None:
        ours, self.other = socket.socketpair()
        ours.setblocking(False)
        self.ours = ours
        self.heard = Heard()
        known: Any = reactor
        self.transport = Connection(ours, self.heard, known)
        self.transport.connected = True
        self.heard.transport = self.transport
        self.transport.startReading()


class Room:
    """A group with members."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.group = ReadGroup(self.reactor)
        self.members: list[Member] = []

    def add(self, count: int) -> list[Member]:
        """Make members."""
        new = [Member(self.reactor) for _ in range(count)]
        for member in new:
            self.group.join(member.transport)
        self.members += new
        return new

    def busy(self, rate: float) -> None:
        """Let the group measure that so many bytes come in a second."""
        self.group.took(int(rate * MEASURE_S))
        self.reactor.advance(MEASURE_S)
        self.members[0].other.send(b".")
        assert self.reactor.turn() == [self.group]

    @property
    def rests(self) -> bool:
        """Whether the reactor does not watch it."""
        return self.group not in self.reactor.readers

    def end(self) -> None:
        """Close everything."""
        for member in self.members:
            member.ours.close()
            member.other.close()
        self.group.close()


@pytest.fixture
def room() -> Iterator[Room]:
    """Nobody is in it."""
    room = Room()
    yield room
    room.end()


def test_members_are_read_through_one_descriptor(room: Room) -> None:
    """The reactor watches the group, and everyone gets his own bytes."""
    first, second = room.add(2)
    assert room.reactor.readers == [room.group]
    first.other.send(b"one")
    second.other.send(b"two")
    assert room.reactor.turn() == [room.group]
    assert (first.heard.data, second.heard.data) == (b"one", b"two")
    assert room.reactor.turn() == []


def test_a_crowd_rests_after_a_look(room: Room) -> None:
    """What comes meanwhile waits for the next look, which finds all of it."""
    members = room.add(CROWD)
    rate = REST_BYTES / 0.01
    room.busy(rate)
    assert room.group.rest_s == pytest.approx(0.01, rel=0.01)
    assert room.rests
    for member in members:
        member.other.send(b"a")
        member.other.send(b"b")
    assert room.reactor.turn() == []
    room.reactor.advance(0.011)
    assert [member.heard.data[-2:] for member in members] == [b"ab"] * CROWD
    assert [member.heard.reads for member in members[1:]] == [1] * (CROWD - 1)
    assert room.rests, "there was something, so there will be more"


def test_a_rest_in_which_nothing_came_is_the_last(room: Room) -> None:
    """The reactor watches again: the next byte wakes it at once."""
    room.add(CROWD)
    room.busy(REST_BYTES / 0.01)
    room.reactor.advance(0.011)
    assert not room.rests
    assert not room.reactor.getDelayedCalls()


def test_few_members_never_rest(room: Room) -> None:
    """What a lone neighbour sends next depends on what we say now."""
    room.add(CROWD - 1)
    room.busy(REST_BYTES / 0.01)
    assert not room.rests


@pytest.mark.parametrize("rate", [1000, 1e9])
def test_no_rest_when_little_or_very_much_comes(room: Room, rate: float) -> None:
    """There is nothing to gather, or reads are large by themselves."""
    room.add(CROWD)
    room.busy(rate)
    assert not room.rests


def test_no_rest_is_long(room: Room) -> None:
    """However slow the links are."""
    room.add(CROWD)
    room.busy(200_000)
    assert room.group.rest_s == REST_MOST_S


def test_an_end_is_told_once(room: Room) -> None:
    """A connection that ended is forgotten, and the others go on."""
    first, second = room.add(2)
    first.other.send(b"last")
    first.other.close()
    room.reactor.turn()
    room.reactor.turn()
    assert first.heard.data == b"last"
    assert first.heard.lost is not None
    assert first.heard.lost.check(ConnectionDone)
    second.other.send(b"more")
    assert room.reactor.turn() == [room.group]
    assert second.heard.data == b"more"


def test_a_paused_member_is_left_alone(room: Room) -> None:
    """Pausing and resuming go to the group as they go to a reactor."""
    (member,) = room.add(1)
    member.transport.pauseProducing()
    member.other.send(b"x")
    assert room.reactor.turn() == []
    member.transport.resumeProducing()
    assert room.reactor.turn() == [room.group]
    assert member.heard.data == b"x"


def test_a_mistake_ends_one_connection(room: Room, no_silent_failures: list[Any]) -> None:
    """It is logged, and its neighbours in the same look are read from."""
    first, second = room.add(2)
    first.heard.fails = True
    first.other.send(b"x")
    second.other.send(b"y")
    room.reactor.turn()
    assert [bool(each.check(ArithmeticError)) for each in no_silent_failures] == [True]
    no_silent_failures.clear()
    assert first.heard.lost is not None
    assert first.heard.lost.check(ArithmeticError)
    assert second.heard.data == b"y"


def test_one_that_leaves_in_a_look_is_not_read_from(room: Room) -> None:
    """What one says may end another that is ready, too."""
    first, second = room.add(2)
    first.heard.then = second.transport.stopReading
    second.heard.then = first.transport.stopReading
    first.other.send(b"x")
    second.other.send(b"y")
    assert room.reactor.turn() == [room.group]
    assert len(room.group._readers) == 1


def test_close_while_it_rests(room: Room) -> None:
    """No timer and nothing watched is left; members may still end."""
    members = room.add(CROWD)
    room.busy(REST_BYTES / 0.01)
    room.group.close()
    assert room.reactor.readers == []
    assert not room.reactor.getDelayedCalls()
    members[0].transport.stopReading()


def test_what_is_no_tcp_connection_does_not_join(room: Room) -> None:
    """It stays with the reactor."""
    room.group.join(object())
    assert room.reactor.readers == []
    assert room.group.fileno() == -1


def test_all_leave_while_the_group_rests(room: Room) -> None:
    """Whoever joins later is heard."""
    members = room.add(CROWD)
    room.busy(REST_BYTES / 0.01)
    for member in members:
        member.transport.stopReading()
    room.reactor.advance(0.011)
    (late,) = room.add(1)
    late.other.send(b"x")
    assert room.reactor.turn() == [room.group]
    assert late.heard.data == b"x"


def test_the_last_one_leaves_before_the_look(room: Room) -> None:
    """The reactor had found the group ready already."""
    (member,) = room.add(1)
    member.transport.stopReading()
    room.group.doRead()
    (late,) = room.add(1)
    late.other.send(b"x")
    assert room.reactor.turn() == [room.group]
    assert late.heard.data == b"x"


def test_a_mistake_at_the_end_of_a_connection(room: Room, no_silent_failures: list[Any]) -> None:
    """It is logged, too, and the group goes on resting and looking."""
    members = room.add(CROWD + 1)
    room.busy(REST_BYTES / 0.01)

    def fail(_: object) -> None:
        raise ArithmeticError("a mistake")

    members[0].heard.connectionLost = fail  # type: ignore[method-assign]
    members[0].other.close()
    members[1].other.send(b"x")
    room.reactor.advance(0.011)
    assert members[1].heard.data == b"x"
    assert [bool(each.check(ArithmeticError)) for each in no_silent_failures] == [True]
    no_silent_failures.clear()
    room.reactor.advance(0.011)
    members[2].other.send(b"y")
    assert room.reactor.turn() == [room.group]
    assert members[2].heard.data == b"y"
