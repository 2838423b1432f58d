"""Answering CONNECT: what is dialled when, what is waited for, and what is said and logged."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import TCPTimedOutError
from twisted.internet.task import Clock

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.daemon.tunnels.tunnels import Tunnels
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import AddressRefused
from tests.doubles.front import Answers, ClientEnd, bodies, join
from tests.doubles.registry import MemoryRegistry

CONNECT = b"CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n\r\n"
YES = b"HTTP/1.1 200 Connection established\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00"
LIMITS = FrontLimits(held_bytes=500, first_byte_s=5, linger_s=2)


class Opening:
    """Opens what it is told to; ``answers`` are what is found out of the registry.

    :ivar knows: what it remembers.
    """

    def __init__(self) -> None:
        self.is_covered = True
        self.knows: bool | None = None
        self.asking: Deferred[bool] | None = None
        self.asked = 0

    def covers(self, registry: Registry) -> bool:
        """As set."""
        return self.is_covered

    def known(self, registry: Registry) -> bool | None:
        """As set."""
        return self.knows

    async def speaks_tls(self, registry: Registry) -> bool:
        """When the test says so, unless it is known."""
        self.asked += 1
        if self.knows is None:
            self.asking = Deferred()
            self.knows = await self.asking
        return self.knows

    def options(self, host: str) -> Deferred[Any]:
        """Something that nobody speaks TLS with here."""
        return succeed(f"options for {host}")


class Front(FrontFactory):
    """Notes whom it would speak TLS with."""

    secured_with: tuple[Any, str] | None = None

    def secured(self, options: Any, tunnel: str) -> Any:
        """Another connection in its place, without TLS."""
        self.secured_with = options, tunnel
        return self._connection(tunnel)


class Setup:
    """A front with an opener, and a registry."""

    def __init__(self, *, opens: bool) -> None:
        self.clock = Clock()
        self.registry = MemoryRegistry()
        self.notes: list[Note] = []
        self.opening = Opening()
        upstream = Upstream(self.clock, endpoints=self.registry)
        self.tunnels = Tunnels(
            Registries(
                parse_registry("https://mirror.example"),
                [parse_registry("https://mail.example:25")],
            ),
            upstream=upstream,
            interception=self.opening if opens else None,  # type: ignore[arg-type]
            via=b"us",
            log=self.notes.append,
            ports=lambda: {65001},
            clock=self.clock,
            limits=LIMITS,
        )
        self.answers = Answers()
        self.front = Front(self.answers, clock=self.clock, limits=LIMITS, opener=self.tunnels)

    def client(self, sends: bytes = CONNECT) -> ClientEnd:
        """One that has sent that."""
        end = join(self.front)
        end.send(sends)
        return end

    @property
    def note(self) -> Note:
        """The only line of the log."""
        (note,) = self.notes
        return note

    def assert_quiet(self) -> None:
        """Nothing is left."""
        assert self.front.open == self.tunnels.count == 0
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def blind() -> Setup:
    """Nothing is opened."""
    return Setup(opens=False)


@pytest.fixture
def opening() -> Setup:
    """Everything is opened."""
    return Setup(opens=True)


# -- tunnels ---------------------------------------------------------------------------


def test_a_tunnel(blind: Setup) -> None:
    """First the way there, then the yes, then bytes; counted at the end."""
    end = blind.client(CONNECT + b"early")
    assert end.got == YES
    assert blind.tunnels.count == 1
    visit = blind.registry.visit(1)
    assert visit.heard == b"early"
    visit.say(b"welcome")
    assert end.got == YES + b"welcome"
    blind.clock.advance(3)
    visit.close()
    assert end.gone
    note = blind.note
    assert (note.method, note.target, note.route) == ("CONNECT", "registry.example:443", "tunnel")
    assert (note.status, note.sent, note.uploaded, note.ending) == (200, 7, 5, "done")
    assert (note.sources["registry"], note.seconds, note.client) == (7, 3, "192.0.2.7")
    blind.assert_quiet()


@pytest.mark.parametrize(("whose", "ending"), [("client", "gone"), ("registry", "aborted")])
def test_cut_tunnels(blind: Setup, whose: str, ending: str) -> None:
    """The log tells who."""
    end = blind.client()
    if whose == "client":
        end.hang_up()
    else:
        blind.registry.visit(1).reset()
    assert blind.note.ending == ending
    blind.assert_quiet()


@pytest.mark.parametrize(
    ("why", "status", "text"),
    [
        (Refused(), 502, b"connection refused"),
        (TCPTimedOutError(), 504, b"no connection in time"),
        (AddressRefused("127.0.0.1 is a loopback address"), 403, b"loopback"),
    ],
)
def test_no_way_there(blind: Setup, why: Exception, status: int, text: bytes) -> None:
    """The client is told before it believes to be connected."""
    blind.registry.refuses = why
    end = blind.client()
    assert bodies(end.got)[0][0] == status
    assert text in end.got
    assert b"\r\nX-Dragonfly-Error-Type: " in end.got
    assert (blind.note.status, blind.note.ending) == (status, "done")
    end.hang_up()
    blind.assert_quiet()


def test_not_in_time(blind: Setup) -> None:
    """It is not dialled for ever."""
    blind.registry.silent = True
    end = blind.client()
    blind.clock.advance(20)
    assert bodies(end.got)[0][0] == 504
    end.hang_up()
    blind.assert_quiet()


def test_a_client_that_leaves_meanwhile(blind: Setup) -> None:
    """Nobody is dialled for it any more."""
    blind.registry.silent = True
    blind.client().hang_up()
    assert blind.registry.cancelled == 1
    assert blind.note.ending == "gone"
    blind.assert_quiet()


def test_a_client_that_sends_much_meanwhile(blind: Setup) -> None:
    """It is read so far and no further; nothing is lost."""
    connecting: Deferred[Any] = Deferred()
    connect = blind.registry.connect
    factories: list[Any] = []

    def later(factory: Any) -> Deferred[Any]:
        factories.append(factory)
        return connecting

    blind.registry.connect = later  # type: ignore[method-assign]
    end = blind.client(CONNECT + bytes(501))
    assert not end.reading
    connect(factories[0]).chainDeferred(connecting)
    assert end.reading
    assert blind.registry.visit(1).heard == bytes(501)
    end.hang_up()
    blind.assert_quiet()


@pytest.mark.parametrize("port", [0, 22, 25, 6000])
def test_ports_of_other_protocols(blind: Setup, port: int) -> None:
    """Nobody gets to send mail through us."""
    end = blind.client(b"CONNECT a:%d HTTP/1.0\r\n\r\n" % port)
    assert bodies(end.got)[0] == (403, b"port %d of a is not for HTTP\n" % port)
    assert blind.registry.visits == []
    end.hang_up()


def test_the_operator_may_use_any_port(blind: Setup) -> None:
    """It is a registry that he described."""
    end = blind.client(b"CONNECT mail.example:25 HTTP/1.0\r\n\r\n")
    assert end.got == YES
    end.hang_up()
    blind.assert_quiet()


def test_a_proxy_loop(blind: Setup) -> None:
    """Our own name in Via, as of another proxy that leads back to us."""
    end = blind.client(CONNECT[:-2] + b"Via: 1.1 us\r\n\r\n")
    assert bodies(end.got)[0][0] == 508
    assert blind.registry.visits == []
    end.hang_up()


def test_a_tunnel_is_passed_on_by_who_answers_requests_before(blind: Setup) -> None:
    """A connection may be used for requests, and then for a tunnel."""
    end = blind.client(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
    blind.answers.give(b"x")
    end.send(CONNECT)
    assert end.got.endswith(YES)
    end.hang_up()
    blind.assert_quiet()


def test_draining(blind: Setup) -> None:
    """A tunnel ends when nothing moves; one that is being dialled does so as well, then."""
    end = blind.client()
    drained = blind.front.drain()
    assert not drained.called
    blind.clock.advance(1)
    blind.registry.visit(1).pump()
    assert end.gone
    assert drained.called
    blind.assert_quiet()


# -- opened connections ------------------------------------------------------------------


def test_tls_on_both_sides_is_opened(opening: Setup) -> None:
    """The client's first bytes wait until that is known; heads inside name the tunnel."""
    end = opening.client()
    assert end.got == YES
    assert opening.opening.asked == 0
    end.send(HELLO)
    assert opening.front.secured_with is None
    assert opening.opening.asking is not None
    opening.opening.asking.callback(True)
    assert opening.front.secured_with == (
        "options for registry.example",
        "registry.example:443",
    )
    assert opening.registry.visit(1).lost  # it has only shown that somebody is there
    assert opening.front.open == 1
    assert opening.notes == []
    end.hang_up()
    opening.assert_quiet()


def test_what_is_known_to_speak_tls_is_not_dialled(opening: Setup) -> None:
    """Its idle connections are good enough."""
    opening.opening.knows = True
    end = opening.client(CONNECT + HELLO)
    assert opening.front.secured_with is not None
    assert opening.registry.visits == []
    end.hang_up()
    opening.assert_quiet()


def test_a_registry_without_tls_gets_the_clients_own_words(opening: Setup) -> None:
    """So that its answer shows the client what it speaks."""
    end = opening.client(CONNECT + HELLO)
    assert opening.opening.asking is not None
    opening.opening.asking.callback(False)
    assert opening.registry.visit(1).heard == HELLO
    again = opening.client(CONNECT + HELLO)
    assert opening.registry.visit(2).heard == HELLO
    assert opening.opening.asked == 1
    end.hang_up()
    again.hang_up()
    opening.assert_quiet()


@pytest.mark.parametrize("known", [None, True])
def test_what_does_not_begin_with_tls_is_a_tunnel(opening: Setup, known: bool | None) -> None:
    """Whatever the registry speaks."""
    opening.opening.knows = known
    end = opening.client(CONNECT + b"GET / HTTP/1.1\r\n\r\n")
    assert opening.registry.visit(1).heard == b"GET / HTTP/1.1\r\n\r\n"
    assert opening.opening.asked == 0
    end.hang_up()
    opening.assert_quiet()


def test_a_client_that_waits_for_the_server_to_speak(opening: Setup) -> None:
    """That is a tunnel, too."""
    end = opening.client()
    opening.clock.advance(LIMITS.first_byte_s)
    opening.registry.visit(1).say(b"220 welcome")
    assert end.got == YES + b"220 welcome"
    end.hang_up()
    opening.assert_quiet()


def test_hosts_that_are_not_covered(opening: Setup) -> None:
    """Nothing is waited for."""
    opening.opening.is_covered = False
    end = opening.client(CONNECT + HELLO)
    assert opening.registry.visit(1).heard == HELLO
    end.hang_up()
    opening.assert_quiet()


@pytest.mark.parametrize("sent", [b"", HELLO])
def test_a_client_that_leaves_before_that_is_known(opening: Setup, sent: bytes) -> None:
    """What was dialled is closed."""
    end = opening.client(CONNECT + sent)
    end.hang_up()
    assert opening.registry.visit(1).lost
    assert opening.note.ending == "gone"
    opening.assert_quiet()


def test_a_registry_that_is_gone_since(opening: Setup) -> None:
    """The client was told that it is connected: all that is left is to cut it."""
    opening.opening.knows = True
    opening.registry.refuses = Refused()
    end = opening.client(CONNECT + b"plain")
    assert end.got == YES
    assert end.state == "aborted"
    assert (opening.note.status, opening.note.ending) == (200, "aborted")
    opening.assert_quiet()


def test_a_mistake_of_ours(opening: Setup, no_silent_failures: list[Any]) -> None:
    """It ends this one, is logged, and says nothing of itself."""

    def fails(host: str) -> Any:
        raise RuntimeError("secret")

    opening.opening.knows = True
    opening.opening.options = fails  # type: ignore[method-assign]
    end = opening.client(CONNECT + HELLO)
    assert end.state == "aborted"
    assert opening.note.why == "internal error"
    assert len(no_silent_failures) == 1
    no_silent_failures.clear()
    opening.assert_quiet()
