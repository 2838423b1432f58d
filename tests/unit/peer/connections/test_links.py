"""One connection for each neighbour, whoever dials."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.control.messages import Neighbour
from dragonfly.errors import ErrorCode
from dragonfly.peer.connections.links import Link, Links
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.wire.fake import FakeGate, make_nonce, make_offer
from dragonfly.wire.session import PeerSession, Role
from tests.doubles.bounded_pipe import BoundedPipe, pump

SUPERNODE = SigningKey.from_bytes(b"\1" * 32)
KEYS = sorted(
    (SigningKey.from_bytes(bytes([n]) * 32) for n in range(2, 8)), key=lambda key: key.public
)


@attrs.define(eq=False)
class Dialled:
    """One attempt."""

    address: str
    peer: PeerProtocol
    result: Deferred[object]


class Side:
    """The links of one peer in one task."""

    def __init__(self, key: SigningKey, clock: Clock, **limits: Any) -> None:
        self.key = key
        self.clock = clock
        self.attempts: list[Dialled] = []
        self.opened: list[Link] = []
        self.closed: list[Link] = []
        self.seed = False
        self.links = Links(key.public, self, dial=self.dial, make_protocol=self.dialler, **limits)

    def link_opened(self, link: Link) -> None:
        """Keep it."""
        self.opened.append(link)

    def link_event(self, link: Link, event: Any) -> None:
        """Of no interest here."""

    def link_closed(self, link: Link, reason: Exception | None) -> None:
        """Keep it."""
        self.closed.append(link)

    def dial(self, address: str, port: int, peer: PeerProtocol) -> Deferred[object]:
        """Keep the attempt; the test connects it, or lets it fail."""
        result: Deferred[object] = Deferred()
        self.attempts.append(Dialled(address, peer, result))
        return result

    def dialler(self, links: Links) -> PeerProtocol:
        """The side that speaks first."""
        offer = make_offer(SUPERNODE, self.key, seed=self.seed)
        gate = FakeGate(offer, SUPERNODE.public)

        def session(now: float) -> PeerSession:
            return PeerSession(Role.DIALLER, self.key, make_nonce(), gate, now, offer)

        return PeerProtocol(session, self.clock, links)

    def listener(self) -> PeerProtocol:
        """The side that is dialled; it comes to the links when it is open."""
        offer = make_offer(SUPERNODE, self.key, seed=self.seed)
        gate = FakeGate(offer, SUPERNODE.public)

        def session(now: float) -> PeerSession:
            return PeerSession(Role.LISTENER, self.key, make_nonce(), gate, now)

        return PeerProtocol(session, self.clock, _Door(self.links))

    def neighbour(self) -> Neighbour:
        """How others know it."""
        return Neighbour(key=self.key.public, address="10.0.0.1", port=1)


@attrs.define(eq=False)
class _Door:
    """Accepts what is open, as the acceptor does."""

    links: Links

    def peer_opened(self, peer: PeerProtocol) -> None:
        self.links.accept(peer)

    def peer_event(self, peer: PeerProtocol, event: Any) -> None:
        pass

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        pass


class Wires:
    """Connections between sides."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pipes: list[tuple[BoundedPipe, BoundedPipe]] = []

    def side(self, number: int, **limits: Any) -> Side:
        """A peer; a smaller number is a smaller key."""
        return Side(KEYS[number], self.clock, **limits)

    def connect(self, attempt: Dialled, there: Side) -> None:
        """Let an attempt reach ``there``; nothing is said yet."""
        left, right = BoundedPipe.pair()
        self.pipes.append((left, right))
        left.connect(attempt.peer)
        right.connect(there.listener())

    def talk(self) -> None:
        """Let everybody say what they have to say."""
        for _ in range(4):
            for pair in self.pipes:
                pump(*pair)

    def link(self, here: Side, there: Side) -> None:
        """Make a link."""
        here.links.connect([there.neighbour()])
        self.connect(here.attempts[-1], there)
        self.talk()

    def end(self) -> None:
        """Cut everything, so that no timer is left."""
        for left, right in self.pipes:
            left.abortConnection()
            right.abortConnection()
        self.talk()


@pytest.fixture
def wires() -> Any:
    """None yet."""
    made = Wires()
    yield made
    made.end()
    assert made.clock.getDelayedCalls() == []


def test_both_sides_have_a_link(wires: Wires) -> None:
    """Each knows the other's key and who dialled."""
    one, two = wires.side(0), wires.side(1)
    wires.link(one, two)
    assert one.links.get(two.key.public).dialled  # type: ignore[union-attr]
    assert not two.links.get(one.key.public).dialled  # type: ignore[union-attr]
    assert (len(one.links), len(two.links), one.links.dialling) == (1, 1, 0)


def test_the_grant_tells_who_is_a_seed(wires: Wires) -> None:
    """Not the address list."""
    one, two = wires.side(0), wires.side(1)
    two.seed = True
    wires.link(one, two)
    assert one.opened[0].seed
    assert not two.opened[0].seed


def test_nobody_is_dialled_twice(wires: Wires) -> None:
    """Nor oneself, nor who is being dialled, nor who is linked."""
    one, two = wires.side(0), wires.side(1)
    one.links.connect([two.neighbour(), two.neighbour(), one.neighbour()])
    assert len(one.attempts) == 1
    wires.connect(one.attempts[0], two)
    wires.talk()
    one.links.connect([two.neighbour()])
    assert len(one.attempts) == 1


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_crossing_connections_the_smaller_keys_stays(wires: Wires, first: int) -> None:
    """Both sides choose the same one, whichever opens first."""
    sides = wires.side(0), wires.side(1)
    one, two = sides
    one.links.connect([two.neighbour()])
    two.links.connect([one.neighbour()])
    order = [(one.attempts[0], two), (two.attempts[0], one)]
    for attempt, there in order[first:] + order[:first]:
        wires.connect(attempt, there)
        wires.talk()
    assert one.links.get(two.key.public).dialled  # type: ignore[union-attr]
    assert not two.links.get(one.key.public).dialled  # type: ignore[union-attr]
    for side in sides:
        assert len(side.links) == 1
        assert len(side.opened) - len(side.closed) == 1
        assert side.links.take_dead() == []


def test_of_two_from_the_same_side_the_newer_stays(wires: Wires) -> None:
    """Nobody dials again while a connection lives: the old one is dead there."""
    one, two = wires.side(0), wires.side(1)
    wires.link(one, two)
    again = Side(one.key, wires.clock)
    wires.link(again, two)
    assert len(two.links) == 1
    assert len(again.links) == 1
    assert len(two.closed) == 1


def test_who_cannot_be_reached_is_reported_once(wires: Wires) -> None:
    """The supernode hears of it with the next announce."""
    one, two = wires.side(0), wires.side(1)
    one.links.connect([two.neighbour()])
    one.attempts[0].result.errback(Failure(ConnectError()))
    assert one.links.take_dead() == [two.key.public]
    assert one.links.take_dead() == []
    one.links.connect([two.neighbour()])
    assert len(one.attempts) == 2


def test_who_is_barred_never_comes_back(wires: Wires) -> None:
    """Neither by our dialling nor by theirs."""
    one, two = wires.side(0), wires.side(1)
    wires.link(one, two)
    one.links.drop(two.key.public, ErrorCode.WRONG_BYTES, "wrong bytes", bar=True)
    wires.talk()
    assert len(one.links) == len(two.links) == 0
    one.links.connect([two.neighbour()])
    assert len(one.attempts) == 1
    two.links.connect([one.neighbour()])
    wires.connect(two.attempts[0], one)
    wires.talk()
    assert len(one.links) == len(two.links) == 0


def test_more_than_the_limit_are_refused_but_never_a_seed(wires: Wires) -> None:
    """The seed may be the only one who has anything."""
    one = wires.side(0, max_links=1)
    others = [wires.side(number) for number in (1, 2, 3)]
    others[2].seed = True
    for other in others:
        wires.link(other, one)
    assert [link.key for link in one.links] == [others[0].key.public, others[2].key.public]
    assert len(others[1].links) == 0


def test_close_ends_everything_and_takes_nobody(wires: Wires) -> None:
    """Links say goodbye; who comes later hears that we are stopping."""
    one, two, three = wires.side(0), wires.side(1), wires.side(2)
    wires.link(one, two)
    one.links.close(ErrorCode.SHUTTING_DOWN, "bye")
    wires.talk()
    assert len(one.links) == len(two.links) == 0
    one.links.connect([three.neighbour()])
    assert len(one.attempts) == 1
    wires.link(three, one)
    assert len(one.links) == len(three.links) == 0


def test_every_link_that_opened_closes_once(wires: Wires) -> None:
    """However connections come and go."""
    rng = random.Random(5)
    sides = [wires.side(number) for number in range(4)]
    for _ in range(40):
        one, two = rng.sample(sides, 2)
        before = len(one.attempts)
        one.links.connect([two.neighbour()])
        for attempt in one.attempts[before:]:
            wires.connect(attempt, two)
        if rng.random() < 0.5:
            wires.talk()
        if rng.random() < 0.2 and wires.pipes:
            rng.choice(wires.pipes)[0].abortConnection()
    wires.end()
    for side in sides:
        assert len(side.links) == 0
        assert sorted(map(id, side.opened)) == sorted(map(id, side.closed))
