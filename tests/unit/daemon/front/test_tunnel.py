"""Two connections joined: bytes both ways, back-pressure, ends, cuts, and silence."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.tunnel import QUIET_S, Tunnel
from tests.doubles.bounded_pipe import BoundedPipe, pump

LIMITS = FrontLimits(tunnel_idle_s=1000, write_stall_s=100, linger_s=2)
HIGH = 1000


@implementer(IHalfCloseableProtocol)
class Far(Protocol):
    """Who is at the far end of one of the two connections."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = False
        self.lost = ""

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.got += data

    def readConnectionLost(self) -> None:
        """The other side has said all."""
        self.ended = True

    def writeConnectionLost(self) -> None:
        """We have."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """How it ended."""
        self.lost = type(reason.value).__name__


class Setup:
    """A tunnel whose origin is connected; and the client too, if it is to be."""

    def __init__(self, *, join: bool = True) -> None:
        self.clock = Clock()
        self.tunnel = Tunnel(clock=self.clock, limits=LIMITS)
        self.over = 0
        self.tunnel.on_over(self._count)
        self.client, self.origin = Far(), Far()
        self.to_client, self.client_end = BoundedPipe.pair(high=HIGH)
        self.to_origin, self.origin_end = BoundedPipe.pair(high=HIGH)
        self.origin_end.connect(self.origin)
        self.to_origin.connect(self.tunnel.origin)
        if join:
            self.join()

    def join(self) -> None:
        """The client is there, too."""
        self.client_end.connect(self.client)
        self.to_client.connect(self.tunnel.client)

    def _count(self) -> None:
        self.over += 1

    def pump(self) -> None:
        """Move all that can be moved."""
        while pump(self.client_end, self.to_client) + pump(self.to_origin, self.origin_end):
            pass

    def assert_over(self, *, client: str, origin: str) -> None:
        """Both are gone, it was said once, and no timer is left."""
        self.clock.advance(0)
        assert (self.client.lost, self.origin.lost) == (client, origin)
        assert self.over == 1
        assert self.clock.getDelayedCalls() == []


def test_bytes_both_ways() -> None:
    """As they come, and counted."""
    setup = Setup()
    setup.client_end.write(b"hello")
    setup.origin_end.write(b"welcome")
    setup.pump()
    assert (setup.origin.got, setup.client.got) == (b"hello", b"welcome")
    assert (setup.tunnel.client.count, setup.tunnel.origin.count) == (5, 7)


def test_who_speaks_first_is_not_read_before_the_other_is_there() -> None:
    """A server that greets does not have it lost, or held."""
    setup = Setup(join=False)
    setup.origin_end.write(b"220 welcome")
    assert pump(setup.to_origin, setup.origin_end) == 0
    setup.join()
    setup.pump()
    assert setup.client.got == b"220 welcome"


def test_a_side_that_does_not_read_stops_the_other() -> None:
    """Little is held in between, and all of it arrives."""
    setup = Setup()
    body = bytes(100_000)
    setup.origin_end.write(body)
    while setup.origin_end.move(500):
        pass
    assert not setup.to_origin.reading
    assert setup.to_client.peak <= HIGH + 500
    setup.pump()
    assert setup.client.got == body


def test_an_end_is_passed_on_behind_the_bytes() -> None:
    """The other way stays open until it ends as well."""
    setup = Setup()
    setup.client_end.write(b"all I say")
    setup.client_end.loseWriteConnection()
    setup.pump()
    assert setup.origin.got == b"all I say"
    assert setup.origin.ended
    assert not setup.client.ended
    setup.origin_end.write(b"an answer")
    setup.pump()
    assert setup.client.got == b"an answer"
    setup.origin_end.loseWriteConnection()
    setup.pump()
    assert setup.client.ended
    setup.assert_over(client="ConnectionDone", origin="ConnectionDone")
    assert (setup.tunnel.why, setup.tunnel.cut_by) == ("", None)


def test_a_cut_is_passed_on_as_a_cut() -> None:
    """What was lost must not look complete."""
    setup = Setup()
    setup.origin_end.abortConnection()
    setup.assert_over(client="ConnectionLost", origin="ConnectionAborted")
    assert setup.tunnel.cut_by is setup.tunnel.origin
    setup = Setup()
    setup.client_end.abortConnection()
    setup.assert_over(client="ConnectionAborted", origin="ConnectionLost")
    assert setup.tunnel.cut_by is setup.tunnel.client


def test_what_waits_is_sent_before_it_closes() -> None:
    """One that closes in good order has said something, perhaps."""
    setup = Setup()
    setup.origin_end.write(b"goodbye")
    setup.origin_end.loseConnection()
    setup.pump()
    assert setup.client.got == b"goodbye"
    setup.assert_over(client="ConnectionDone", origin="ConnectionDone")


def test_an_origin_that_was_gone_before() -> None:
    """The client sees it as soon as it is there."""
    setup = Setup(join=False)
    setup.origin_end.abortConnection()
    setup.join()
    setup.pump()
    setup.assert_over(client="ConnectionDone", origin="ConnectionAborted")


def test_silence() -> None:
    """Every byte begins it anew; then both are cut."""
    setup = Setup()
    for _ in range(3):
        setup.clock.advance(LIMITS.tunnel_idle_s - 1)
        setup.client_end.write(b".")
        setup.pump()
    setup.clock.advance(LIMITS.tunnel_idle_s)
    setup.assert_over(client="ConnectionLost", origin="ConnectionLost")
    assert setup.tunnel.why == "nothing moved for 1000 s"


def test_a_side_that_takes_nothing() -> None:
    """It is not waited for as long as for one that has nothing to say."""
    setup = Setup()
    setup.origin_end.write(bytes(10 * HIGH))
    while setup.origin_end.move(500):
        pass
    setup.clock.advance(LIMITS.write_stall_s)
    assert setup.tunnel.why == "nothing moved for 100 s"
    setup.assert_over(client="ConnectionLost", origin="ConnectionLost")


def test_half_of_a_connection_is_not_kept_for_long() -> None:
    """One has said all, and the other one says nothing."""
    setup = Setup()
    setup.client_end.loseWriteConnection()
    setup.pump()
    setup.clock.advance(LIMITS.write_stall_s)
    setup.assert_over(client="ConnectionLost", origin="ConnectionLost")


def test_leaving_waits_for_a_pause() -> None:
    """It closes between two requests, as far as that can be seen."""
    setup = Setup()
    setup.tunnel.client.leave()
    setup.clock.advance(QUIET_S / 2)
    setup.origin_end.write(b"more")
    setup.pump()
    setup.clock.advance(QUIET_S * 0.75)
    assert setup.over == 0
    setup.clock.advance(QUIET_S / 4)
    setup.assert_over(client="ConnectionDone", origin="ConnectionDone")
    assert setup.tunnel.why == ""


def test_leaving_does_not_wait_for_ever_for_what_waits() -> None:
    """A side that takes nothing is cut."""
    setup = Setup()
    setup.to_client.write(b"lies there, and nobody reads it")
    setup.tunnel.leave()
    setup.clock.advance(QUIET_S)
    assert setup.over == 0
    setup.clock.advance(LIMITS.linger_s)
    setup.assert_over(client="ConnectionLost", origin="ConnectionDone")


def test_cutting_both() -> None:
    """Also before the client is there."""
    setup = Setup()
    setup.tunnel.abort()
    setup.assert_over(client="ConnectionLost", origin="ConnectionLost")
    setup = Setup(join=False)
    setup.tunnel.abort()
    assert setup.origin.lost == "ConnectionLost"
    assert setup.clock.getDelayedCalls() == []
