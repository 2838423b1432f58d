"""Incoming piece connections: who gets in, and how many."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock

from dragonfly.control.messages import RegisterAnswer
from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.peer.connections.acceptor import Acceptor
from dragonfly.peer.connections.links import Links
from dragonfly.peer.connections.membership import Membership
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.task.grant import Grant, sign_grant
from dragonfly.wire.session import PeerSession, Role
from tests.doubles.bounded_pipe import BoundedPipe, pump

TASK = b"t" * 32
SUPERNODE, HERE, THERE = (SigningKey.from_bytes(bytes([n]) * 32) for n in (1, 2, 3))


def membership(holder: SigningKey, *, task: bytes = TASK, signer: SigningKey = SUPERNODE) -> Any:
    """What a supernode's answer makes of ``holder``."""
    grant = sign_grant(Grant(task=task, key=holder.public, issued=0, expires=1000), signer)
    answer = RegisterAnswer(
        task=task,
        fetch=1,
        piece_size=32768,
        grant=grant,
        grant_expires=1000,
        now=0.0,
        keys=[SUPERNODE.public],
        announce_after=5.0,
        state="ready",
    )
    return Membership(answer, 0.0)


class Heard:
    """A listener of links and of connections."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.closed: list[Exception | None] = []

    def link_opened(self, link: Any) -> None:
        """Keep it."""
        self.opened.append(link)

    def link_event(self, link: Any, event: Any) -> None:
        """Of no interest here."""

    def link_closed(self, link: Any, reason: Exception | None) -> None:
        """Of no interest here."""

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Keep it."""
        self.opened.append(peer)

    def peer_event(self, peer: PeerProtocol, event: Any) -> None:
        """Of no interest here."""

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """Keep the reason."""
        self.closed.append(reason)


@attrs.define(eq=False)
class Host:
    """A task."""

    membership: Membership
    links: Links


class House:
    """An acceptor with one task."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        self.heard = Heard()
        links = Links(HERE.public, self.heard, dial=_no_dial, make_protocol=_no_dial)
        self.host = Host(membership(HERE), links)
        self.acceptor = Acceptor(
            {TASK: self.host}.get,
            key=HERE,
            clock=self.clock,
            **limits,
        )

    def call(self, theirs: Membership) -> Heard:
        """Dial in as somebody with that membership; both sides talk until they are done."""
        heard = Heard()

        def session(now: float) -> PeerSession:
            offer = theirs.offer(theirs.task)
            return PeerSession(Role.DIALLER, THERE, b"n" * 32, theirs, now, offer)

        ours = self.acceptor.buildProtocol(IPv4Address("TCP", "10.0.0.9", 1))
        assert ours is not None
        left, right = BoundedPipe.pair()
        left.connect(PeerProtocol(session, self.clock, heard))
        right.connect(ours)
        self.pipes = left, right
        pump(left, right)
        return heard

    def end(self) -> None:
        """Cut the connection."""
        for pipe in self.pipes:
            pipe.abortConnection()
        pump(*self.pipes)


def _no_dial(*args: Any) -> Any:
    raise AssertionError("nobody dials here")


def test_an_admitted_peer_becomes_a_link_of_its_task() -> None:
    """HELLO names the task, the task's membership admits."""
    house = House()
    caller = house.call(membership(THERE))
    assert len(caller.opened) == 1
    (link,) = house.heard.opened
    assert link.key == THERE.public
    assert not link.dialled
    house.end()
    assert len(house.acceptor) == 0
    assert len(house.host.links) == 0


def test_an_unknown_task_is_refused_by_name() -> None:
    """The caller learns the code, and nothing else."""
    house = House()
    caller = house.call(membership(THERE, task=b"u" * 32))
    (reason,) = caller.closed
    assert isinstance(reason, RemoteProtocolError)
    assert reason.code is ErrorCode.UNKNOWN_TASK
    assert house.heard.opened == []
    assert len(house.acceptor) == 0


def test_a_forged_grant_is_refused() -> None:
    """It was signed by nobody whom the task believes."""
    house = House()
    caller = house.call(membership(THERE, signer=THERE))
    (reason,) = caller.closed
    assert isinstance(reason, RemoteProtocolError)
    assert reason.code is ErrorCode.BAD_GRANT
    assert house.heard.opened == []


def test_a_foreign_grant_is_refused() -> None:
    """It is good, but for another key."""
    house = House()
    theirs = membership(THERE)
    theirs.grant = house.host.membership.grant
    caller = house.call(theirs)
    (reason,) = caller.closed
    assert isinstance(reason, RemoteProtocolError)
    assert reason.code is ErrorCode.BAD_GRANT


def test_an_expired_grant_is_refused() -> None:
    """By the supernode's time, not by ours."""
    house = House()
    house.host.membership.renew(b"", 5000.0, 0.0)
    caller = house.call(membership(THERE))
    (reason,) = caller.closed
    assert isinstance(reason, RemoteProtocolError)
    assert reason.code is ErrorCode.GRANT_EXPIRED


def test_connections_are_bounded_for_each_address_and_in_all() -> None:
    """An IPv4 caller is the same one on a dual-stack socket."""
    house = House(max_connections=3, max_per_address=2)
    build = house.acceptor.buildProtocol
    one = IPv4Address("TCP", "10.0.0.1", 5)
    mapped = IPv6Address("TCP", "::ffff:10.0.0.1", 5)
    assert build(one) is not None
    assert build(mapped) is not None
    assert build(one) is None
    assert build(IPv4Address("TCP", "10.0.0.2", 5)) is not None
    assert build(IPv4Address("TCP", "10.0.0.3", 5)) is None
    assert len(house.acceptor) == 3


def test_a_connection_that_ends_makes_room() -> None:
    """Whether it was handed on or not."""
    house = House(max_connections=1)
    for _ in range(3):
        house.call(membership(THERE))
        house.end()
    assert len(house.acceptor) == 0


def test_after_close_nobody_gets_in() -> None:
    """Callers in their handshake hear a goodbye."""
    house = House()
    ours = house.acceptor.buildProtocol(IPv4Address("TCP", "10.0.0.9", 1))
    assert ours is not None
    left, right = BoundedPipe.pair()
    right.connect(ours)
    house.acceptor.close()
    assert right.disconnecting
    assert house.acceptor.buildProtocol(IPv4Address("TCP", "10.0.0.9", 1)) is None
    house.pipes = left, right
    house.end()
