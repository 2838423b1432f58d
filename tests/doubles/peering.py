"""Two peers' connections face to face: real sessions, a pipe that pushes back, a clock.

::

    pair = PeerPair.opened(Clock())
    pair.left.peer.session.request(0, 0, 100)
    pair.left.peer.flush()
    pair.pump()
    assert pair.right.events == [RequestReceived(0, 0, 100)]

The left end dialled. Nothing moves but by :meth:`PeerPair.pump`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.task import Clock

from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.wire.events import Event
from dragonfly.wire.fake import FakeGate, make_nonce, make_offer
from dragonfly.wire.session import PeerSession, Role
from tests.doubles.bounded_pipe import BoundedPipe, pump

__all__ = ["End", "PeerPair"]


def _in_pipe(transport: Any) -> int:
    """What ``socket_backlog`` would tell of a pipe: what has not reached the other end."""
    return len(transport.queued)


@attrs.define(eq=False)
class End:
    """One end: a listener that keeps what it hears.

    :ivar on_event: called with each event after it was kept.
    :ivar reasons: one entry for each ``peer_closed``.
    """

    peer: PeerProtocol = attrs.field(init=False)
    pipe: BoundedPipe = attrs.field(init=False)
    opened: int = 0
    events: list[Event] = attrs.field(factory=list)
    reasons: list[Exception | None] = attrs.field(factory=list)
    on_event: Callable[[PeerProtocol, Event], object] = attrs.field(default=lambda *_: None)

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Count."""
        assert peer is self.peer
        self.opened += 1

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """Keep."""
        self.events.append(event)
        self.on_event(peer, event)

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """Keep why."""
        self.reasons.append(reason)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return bool(self.reasons)


@attrs.define(eq=False)
class PeerPair:
    """Two ends and the pipe between them."""

    clock: Clock
    left: End
    right: End

    @classmethod
    def made(
        cls,
        clock: Clock,
        *,
        piece_size: int = 32 * 1024,
        seed: bool = False,
        high: int = 64 * 1024,
        low: int = 16 * 1024,
        spill: int = 0,
        right_clock: Clock | None = None,
    ) -> PeerPair:
        """Give a pair that has not said a word; the right end may be a seed, or live by a
        clock of its own."""
        supernode, one, two = (SigningKey.generate() for _ in range(3))
        offers = [
            make_offer(supernode, key, piece_size=piece_size, seed=seed and key is two)
            for key in (one, two)
        ]
        gates = [FakeGate(offer, supernode.public) for offer in offers]
        pipes = BoundedPipe.pair(high, low, spill)
        pair = cls(clock, End(), End())

        def dialler(now: float) -> PeerSession:
            return PeerSession(Role.DIALLER, one, make_nonce(), gates[0], now, offers[0])

        def listener(now: float) -> PeerSession:
            return PeerSession(Role.LISTENER, two, make_nonce(), gates[1], now)

        pair.left.pipe, pair.right.pipe = pipes
        pair.left.peer = PeerProtocol(dialler, clock, pair.left, backlog=_in_pipe)
        pair.right.peer = PeerProtocol(listener, right_clock or clock, pair.right, backlog=_in_pipe)
        return pair

    @classmethod
    def opened(cls, clock: Clock, **options: Any) -> PeerPair:
        """Give a pair whose handshake is done."""
        pair = cls.made(clock, **options)
        pair.connect()
        pair.pump()
        assert pair.left.opened == pair.right.opened == 1
        return pair

    def connect(self) -> None:
        """Let both ends have their transports, the listening one first."""
        self.right.pipe.connect(self.right.peer)
        self.left.pipe.connect(self.left.peer)

    def pump(self, most: int = 64 * 1024) -> int:
        """Move bytes both ways until nothing moves; ``most``: the size of one read."""
        return pump(self.left.pipe, self.right.pipe, most)

    def abort(self) -> None:
        """Cut the connection, so that no timer is left."""
        self.left.pipe.abortConnection()
