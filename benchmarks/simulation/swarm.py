"""One run: hosts, a supernode, peers that come, go and misbehave, and what came of it."""

from __future__ import annotations

import random

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused

from dragonfly.supernode.content import Content
from dragonfly.wire.messages import Hello

from .clock import SimClock
from .fluid import Link, Network
from .hosts import Host, SimDisk
from .peers import PORT, SwarmPeer
from .plan import Plan
from .supernode import SEED_ADDRESS, SEED_PORT, SimSupernode
from .wire import SimPeer, connect

__all__ = ["Swarm"]

SET_UP_TRIPS = 3
"""Round trips until a connection is open: TCP, HELLO, AUTH."""


class Swarm:
    """A plan being carried out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = SimClock(1.0)
        self.network = Network(self.clock)
        rng = self._rng = random.Random(plan.rng)
        disk = SimDisk(self.clock, plan.handling_s)
        seed = Host(SEED_ADDRESS, Link(plan.seed_up), Link(plan.seed_up), plan.fifo)
        self._by_address: dict[str, SwarmPeer] = {}
        self.supernode = SimSupernode(
            self.clock,
            seed,
            rng,
            length=plan.length,
            piece_size=plan.piece_size,
            disk=disk,
            alive=lambda address: not self._by_address[address].host.dead,
            latency=plan.latency_s,
            call_s=plan.call_s,
            origin_rate=plan.origin_rate,
            echo_limit=plan.echo_limit,
            slots=plan.seed_slots,
            out=plan.out,
        )
        self.peers = [self._make_peer(number, disk) for number in range(plan.peers)]
        self._waiting = plan.peers
        self._began = self.clock.now
        self._prepare()

    def run(self, most: float = 6.0) -> None:
        """Go on until everybody who lives has everything, or ``most`` times the bound passed."""
        until = self._began + most * self.plan.bound_s + self.plan.arrive_s
        self.clock.run(until, lambda: self._waiting <= 0)

    def time_of(self, number: int) -> float | None:
        """How long a peer took from when it came, in units of its bound; ``None``: for ever."""
        peer = self.peers[number]
        if peer.done_at is None:
            return None
        return (peer.done_at - peer.born) / self.plan.bound_of(self.plan.share_of(number))

    @property
    def seconds(self) -> float:
        """Simulated."""
        return self.clock.now - self._began

    # -- building ------------------------------------------------------------------------

    def _make_peer(self, number: int, disk: SimDisk) -> SwarmPeer:
        plan = self.plan
        share = plan.share_of(number)
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        host = Host(address, Link(plan.up * share), Link(plan.down * share), plan.fifo)
        peer = SwarmPeer(
            number,
            host,
            self.clock,
            self.supernode,
            rng=self._rng,
            disk=disk,
            dial=self._dial,
            on_done=self._done,
            lies=self.odd(number) == "lying",
            slots=plan.slots,
        )
        self._by_address[address] = peer
        return peer

    def odd(self, number: int) -> str:
        """What is wrong with a peer: the last ones stall, those before them lie."""
        from_end = self.plan.peers - 1 - number
        if from_end < self.plan.stalled:
            return "stalled"
        return "lying" if from_end < self.plan.stalled + self.plan.lying else ""

    def _prepare(self) -> None:
        """Put everything into the clock that will happen by itself."""
        plan, now = self.plan, self.clock.now
        order = list(self.peers)
        self._rng.shuffle(order)
        for at, peer in enumerate(order):
            self.clock.at(now + plan.arrive_s * at / plan.peers, peer.start)
        for number, peer in enumerate(self.peers):
            if self.odd(number):
                self._waiting -= 1
            if self.odd(number) == "stalled":
                self.network.set_rate(peer.host.up, 0.0)
        for peer in self._rng.sample(self.peers, round(plan.killed * plan.peers)):
            when = now + plan.bound_s * self._rng.uniform(0.25, 0.5)
            self.clock.at(when, self._kill, peer)

    # -- what happens ----------------------------------------------------------------------

    def _kill(self, peer: SwarmPeer) -> None:
        if peer.done_at is None and not peer.host.dead:
            self._waiting -= 1
        peer.die()

    def _done(self, peer: SwarmPeer) -> None:
        if not self.odd(int.from_bytes(peer.key[:4], "big")):
            self._waiting -= 1

    def _dial(self, peer: SwarmPeer, address: str, end: SimPeer) -> Deferred[object]:
        answer: Deferred[object] = Deferred()
        wait = 2 * SET_UP_TRIPS * self.plan.latency_s + self.plan.handling_s
        self.clock.at(self.clock.now + wait, self._connect, peer, address, end, answer)
        return answer

    def _connect(
        self, peer: SwarmPeer, address: str, end: SimPeer, answer: Deferred[object]
    ) -> None:
        other = self._by_address.get(address)
        transfer, now = peer.transfer, self.clock.now
        if transfer is None or peer.host.dead:
            return
        gone = other is not None and (other.host.dead or other.transfer is None)
        if gone:
            answer.errback(Refused())
            return
        content = self.supernode.library.contents()[0]
        there = SimPeer(self.clock, self.supernode.seed)  # type: ignore[arg-type]
        theirs = self._seed_hello(content) if other is None else self._hello(other, content)
        end.open(theirs, now)
        there.open(self._hello(peer, content), now)
        end.address, there.address = address, peer.host.address
        host = self.supernode.seed.host if other is None else other.host
        places, latency = (peer.host, host), self.plan.latency_s
        overtaking = self.plan.overtaking
        connect(self.network, (end, there), places, latency, overtaking=overtaking)
        if other is None:
            self.supernode.seed.accept(there, peer.key, content)
        elif other.transfer is not None:
            other.transfer.links.accept(there)  # type: ignore[arg-type]
        transfer.links.peer_opened(end)  # type: ignore[arg-type]
        answer.callback(None)

    def _hello(self, peer: SwarmPeer, content: Content) -> Hello:
        grant = peer.transfer.membership.grant if peer.transfer is not None else b""
        return _hello(content, peer.key, PORT, grant)

    def _seed_hello(self, content: Content) -> Hello:
        seed = self.supernode.seed
        return _hello(content, seed.key.public, SEED_PORT, seed.grant(content.id))


def _hello(content: Content, key: bytes, port: int, grant: bytes) -> Hello:
    return Hello(
        version=1,
        oldest=1,
        features=0,
        task=content.id,
        key=key,
        nonce=b"",
        fetch=content.fetch,
        piece_size=content.piece_size,
        port=port,
        grant=grant,
    )
