"""One connection: who speaks on it, and what is not spoken inside of what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.daemon.front.connection import Connection
from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.front.opening import Opening
from dragonfly.daemon.front.tunnel import Tunnel
from tests.doubles.asking import GET, LIMITS
from tests.doubles.front import Answers, ClientEnd, bodies, join

CONNECT = b"CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n\r\n"


class Heir(Protocol):
    """Notes what it hears.

    :ivar on_made: called when it has the transport.
    """

    def __init__(self) -> None:
        self.log: list[bytes | str] = []
        self.on_made: Callable[[], None] = lambda: None

    def connectionMade(self) -> None:
        """Noted."""
        self.log.append("made")
        self.on_made()

    def dataReceived(self, data: bytes) -> None:
        """Noted."""
        self.log.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Noted."""
        self.log.append("lost")


@attrs.define(eq=False)
class Opens:
    """Answers CONNECT by hand."""

    openings: list[Opening] = attrs.field(factory=list)
    left: list[tuple[str, str, str]] = attrs.field(factory=list)

    def open(self, opening: Opening) -> None:
        """Kept."""
        self.openings.append(opening)

    def unused(self, client: str, tunnel: str, why: str) -> None:
        """Noted."""
        self.left.append((client, tunnel, why))


class Setup:
    """A factory whose CONNECTs are answered by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.opens = Opens()
        self.answers = Answers()
        self.front = FrontFactory(self.answers, clock=self.clock, limits=LIMITS, opener=self.opens)

    def asked(self, sends: bytes = CONNECT) -> tuple[ClientEnd, Opening]:
        """A client that wants to be connected."""
        end = join(self.front)
        end.send(sends)
        return end, self.opens.openings[-1]

    def inside(self, tunnel: str) -> ClientEnd:
        """A client that believes to speak to somebody else."""
        end = ClientEnd()
        end.protocol = Connection(
            self.answers, clock=self.clock, limits=LIMITS, owner=self.front, tunnel=tunnel
        )
        end.protocol.makeConnection(end)
        return end


@pytest.fixture
def setup() -> Setup:
    """A fresh one."""
    return Setup()


def test_an_heir_gets_all_that_follows(setup: Setup) -> None:
    """What came early comes first, what comes later goes straight to it, and so does the end."""
    end, opening = setup.asked(CONNECT + b"early")
    heir = Heir()
    opening.hand_over(heir)
    end.send(b"late")
    assert heir.log == ["made", b"early", b"late"]
    end.hang_up()
    assert heir.log[3:] == ["lost"]
    assert setup.clock.getDelayedCalls() == []


def test_an_heir_reads_a_socket_that_was_not_read(setup: Setup) -> None:
    """A client that sent much ahead was held back for the opening only."""
    end, opening = setup.asked(CONNECT + b"x" * (LIMITS.held_bytes + 1))
    assert not end.reading
    opening.hand_over(Heir())
    assert end.reading
    end.hang_up()


def test_an_heir_that_cuts_it_at_once_gets_nothing(setup: Setup) -> None:
    """What came early is for nobody then."""
    end, opening = setup.asked(CONNECT + b"early")
    heir = Heir()
    heir.on_made = end.abortConnection
    opening.hand_over(heir)
    assert heir.log == ["made", "lost"]
    assert setup.front.open == 0


@pytest.mark.parametrize("halves", [False, True])
def test_half_closing_is_what_the_heir_makes_of_it(setup: Setup, halves: bool) -> None:
    """For HTTP the end of one way is the end; in a tunnel it is passed on."""
    end, opening = setup.asked()
    assert not IHalfCloseableProtocol.providedBy(end.protocol)
    heir: Any = Tunnel(clock=setup.clock, limits=LIMITS).client if halves else Heir()
    opening.hand_over(heir)
    assert IHalfCloseableProtocol.providedBy(end.protocol) is halves
    end.abortConnection()


def test_no_connect_inside_of_one(setup: Setup) -> None:
    """Who is connected to somewhere through us is not connected on."""
    end = setup.inside("registry.example:443")
    end.send(CONNECT)
    assert [status for status, _ in bodies(end.got)] == [501]
    assert setup.opens.openings == []
    end.hang_up()


def test_who_leaves_without_a_request(setup: Setup) -> None:
    """Somebody is told of that, if the client took us for another."""
    setup.inside("registry.example:443").hang_up()
    assert setup.opens.left == [("192.0.2.7", "registry.example:443", "")]
    join(setup.front).hang_up()
    asking = setup.inside("registry.example:443")
    asking.send(GET)
    setup.answers.give()
    asking.hang_up()
    assert len(setup.opens.left) == 1
