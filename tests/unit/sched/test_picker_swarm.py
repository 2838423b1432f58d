"""Whole swarms of pickers and upload slots, in rounds, without sockets: the policy at work."""

from __future__ import annotations

import random
from collections import Counter

from dragonfly.errors import ErrorCode
from dragonfly.sched.picker import Picker
from dragonfly.sched.slots import UploadSlots
from dragonfly.task.bitfield import pieces_of

ROUND_S = 0.01
"""In a round every host can send one piece."""


class Host:
    """One host: a picker, slots, and what it has shown; the seed has no use for its picker."""

    def __init__(self, name: str, rng: random.Random, *, seed: bool = False, have: int = 0) -> None:
        self.name, self.rng, self.seed, self.have = name, rng, seed, have
        self.dead = False
        self.links: list[Host] = []
        self.sent = self.got_twice = 0
        self.picker = Picker(rng=rng)
        self.slots = UploadSlots()
        self.uploads: list[tuple[Host, int]] = []
        self.standing: list[tuple[Host, list[int]]] = []
        self.given: Counter[int] = Counter()

    def connect(self, other: Host) -> None:
        """Know each other."""
        for one, two in ((self, other), (other, self)):
            one.links.append(two)
            one.picker.add_peer(two, seed=two.seed)
            one.picker.peer_has(two, two.have)

    def ask(self, now: float) -> None:
        """Send what the picker decides."""
        for ask in self.picker.next_asks(now):
            if ask.piece is None:
                ask.peer.standing.append((self, self.picker.in_flight[:32]))
            else:
                ask.peer.asked(self, ask.piece, now)

    def asked(self, other: Host, piece: int, now: float) -> None:
        """Take a request in, or say BUSY."""
        if self.dead:
            return
        verdict = self.slots.offer(other, piece)
        if verdict == "start":
            self.uploads.append((other, piece))
        elif verdict == "busy":
            other.picker.rejected(self, piece, ErrorCode.BUSY, now)

    def cancelled(self, other: Host, piece: int) -> None:
        """A question was taken back."""
        self.slots.cancel(other, piece)
        if (other, piece) in self.uploads:
            self.uploads.remove((other, piece))
            self.slots.finished(other, piece)

    def choose(self) -> None:
        """As a seed: each piece to one first, then what was given least, while slots are free."""
        for other, named in list(self.standing):
            sending = [piece for peer, piece in self.uploads if peer is other]
            lacking = [
                piece
                for piece in pieces_of(self.have & ~other.have)
                if piece not in named and piece not in sending
            ]
            if not lacking or not self.slots.free:
                continue
            piece = min(lacking, key=lambda p: (self.given[p], self.rng.random()))
            assert self.slots.offer(other, piece) == "start"
            self.given[piece] += 1
            self.standing.remove((other, named))
            self.uploads.append((other, piece))
            other.picker.any_started(self, piece)

    def send(self, now: float) -> None:
        """Let the oldest answer arrive; the next one starts."""
        if self.dead or not self.uploads:
            return
        other, piece = self.uploads.pop(0)
        self.slots.finished(other, piece)
        while (turn := self.slots.next_start()) is not None:
            self.uploads.append(turn)
        self.sent += 1
        other.receive(self, piece, now)

    def receive(self, source: Host, piece: int, now: float) -> None:
        """Verify it, show it, cancel what is too late."""
        self.picker.progress(source, piece, 1000, now)
        self.picker.arrived(source, piece, now)
        if self.have >> piece & 1:
            self.got_twice += 1
            return
        self.have |= 1 << piece
        for cancel in self.picker.got(piece, now):
            cancel.peer.cancelled(self, piece)
        for link in self.links:
            link.picker.peer_has(self, 1 << piece)


def run(hosts: list[Host], pieces: int, now: float = 0.0, most: int = 1000) -> int:
    """Go on until every living host has everything; the number of rounds."""
    everything = (1 << pieces) - 1
    for host in hosts:
        if not host.seed:
            host.picker.learn(list(range(pieces)))
    for turn in range(most):
        now += ROUND_S
        living = [host for host in hosts if not host.dead]
        if all(host.have == everything for host in living):
            return turn
        for host in living:
            for late in host.picker.expire(now):
                late.peer.cancelled(host, late.piece or 0)
            host.ask(now)
        for host in living:
            host.choose() if host.seed else None
        for host in living:
            host.send(now)
    raise AssertionError([(h.name, (everything & ~h.have).bit_count()) for h in hosts])


def swarm(count: int, pieces: int, *, degree: int | None = None, seed: int = 1) -> list[Host]:
    """Give a seed that has everything, and ``count`` hosts that know ``degree`` of each other."""
    rng = random.Random(seed)
    hosts = [Host("seed", rng, seed=True, have=(1 << pieces) - 1)]
    hosts += [Host(f"host{number}", rng) for number in range(count)]
    for at, host in enumerate(hosts):
        if degree is None:
            ring = hosts[at + 1 :]
        else:
            ring = [hosts[(at + step) % len(hosts)] for step in range(1, degree // 2 + 1)]
        for other in ring:
            if other not in host.links:
                host.connect(other)
    return hosts


def test_a_mesh_shares_one_copy_of_the_seed() -> None:
    """With equal links nine hosts need little more time than the pieces alone (64 rounds), few
    pieces come twice, and the seed sends little more than one copy."""
    hosts = swarm(8, 64)
    rounds = run(hosts, 64)
    assert rounds <= 64 * 1.15
    assert sum(host.got_twice for host in hosts) <= 8 * 64 * 0.02
    assert hosts[0].sent <= 64 * 1.15


def test_a_graph_of_bounded_degree_does_as_well() -> None:
    """Twenty hosts of which each knows eight: pieces travel over several hops."""
    hosts = swarm(20, 64, degree=8)
    assert run(hosts, 64) <= 64 * 1.4
    assert sum(host.got_twice for host in hosts) <= 20 * 64 * 0.03


def test_one_host_with_the_seed_alone_keeps_it_busy() -> None:
    """Eight questions stand, so the seed sends a piece in every round, and none twice."""
    hosts = swarm(1, 64)
    assert run(hosts, 64) == 64
    assert hosts[1].got_twice == 0


def test_hosts_that_vanish_silently_cost_little() -> None:
    """Two of eight hosts accept requests and answer nothing: their pieces come from others."""
    hosts = swarm(8, 64)
    for host in hosts[3:5]:
        host.dead = True
        host.have = (1 << 64) - 1
        for link in host.links:
            link.picker.peer_has(host, host.have)
    assert run(hosts, 64) <= 64 * 3
    assert sum(host.got_twice for host in hosts) <= 6 * 64 * 0.03


def test_without_a_seed_the_last_copies_are_enough() -> None:
    """Each of four hosts has a quarter: all get all."""
    rng = random.Random(3)
    hosts = [Host(f"host{n}", rng, have=0xFFFF << 16 * n) for n in range(4)]
    for at, host in enumerate(hosts):
        host.picker.learn([p for p in range(64) if not host.have >> p & 1])
        for other in hosts[at + 1 :]:
            host.connect(other)
    everything = (1 << 64) - 1
    now = 0.0
    for _ in range(200):
        now += ROUND_S
        for host in hosts:
            host.ask(now)
        for host in hosts:
            host.send(now)
    assert all(host.have == everything for host in hosts)
    assert sum(host.got_twice for host in hosts) == 0
