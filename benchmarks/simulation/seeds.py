"""The seed of a simulated swarm: the real desk, swarm and links."""

from __future__ import annotations

import random

from dragonfly.errors import ErrorCode
from dragonfly.metrics import SupernodeMetrics
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.supernode.content import Content
from dragonfly.supernode.seed import SWEEP_S
from dragonfly.supernode.seeddesk import Desk
from dragonfly.supernode.seedlink import SeedLink
from dragonfly.supernode.seedswarm import SeedSwarm
from dragonfly.task.grant import Grant, sign_grant
from dragonfly.wire.events import Event

from .clock import SimClock
from .hosts import Host, SimDisk
from .wire import SimPeer

__all__ = ["SimSeed"]

FOR_EVER = 1e9


class SimSeed:
    """The seed's connections: what :class:`dragonfly.supernode.seed.Seed` does once the
    handshake is over. Gate, limits of connections and the ends of grants are left out."""

    def __init__(
        self,
        clock: SimClock,
        host: Host,
        key: SigningKey,
        rng: random.Random,
        *,
        disk: SimDisk,
        metrics: SupernodeMetrics,
        echo_limit: int | None,
        slots: int,
    ) -> None:
        self.host = host
        self.key = key
        self._clock = clock
        self._rng = rng
        self._echo_limit = echo_limit
        self._desk = Desk(slots, clock, disk, metrics)  # type: ignore[arg-type]
        self._links: dict[SimPeer, SeedLink] = {}
        self._swarms: dict[bytes, SeedSwarm] = {}
        clock.callLater(SWEEP_S, self._sweep)

    def __len__(self) -> int:
        return len(self._links)

    def grant(self, task: bytes) -> bytes:
        """The seed's own."""
        grant = Grant(task=task, key=self.key.public, issued=0, expires=int(FOR_EVER), seed=True)
        return sign_grant(grant, self.key)

    def accept(self, peer: SimPeer, key: bytes, content: Content) -> None:
        """A peer has connected."""
        swarm = self._swarms.get(content.id)
        if swarm is None:
            swarm = self._swarms[content.id] = SeedSwarm(
                content, self._desk, self, self._rng, self._forget, echo_limit=self._echo_limit
            )
        end: PeerProtocol = peer  # type: ignore[assignment]
        link = self._links[peer] = SeedLink(end, key, FOR_EVER, swarm, self._clock.now)
        swarm.join(link)

    def end(self, link: SeedLink, code: ErrorCode, text: str) -> None:
        """Say BYE."""
        link.swarm.leave(link)
        link.peer.close(code, text)

    # -- PeerListener --------------------------------------------------------------------

    def peer_event(self, peer: SimPeer, event: Event) -> None:
        """Pass it to the link."""
        self._links[peer].event(event)

    def peer_closed(self, peer: SimPeer, reason: Exception | None) -> None:
        """Forget the link."""
        link = self._links.pop(peer)
        link.swarm.leave(link)

    def _forget(self, swarm: SeedSwarm) -> None:
        self._swarms.pop(swarm.content.id, None)

    def _sweep(self) -> None:
        for link in list(self._links.values()):
            link.check(self._clock.now)
        self._clock.callLater(SWEEP_S, self._sweep)
