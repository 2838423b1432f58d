"""The supernode of a simulated swarm: the real tracker, seed desk and seed swarm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.config import SupernodeConfig
from dragonfly.control.codec import to_json
from dragonfly.control.messages import (
    AnnounceAnswer,
    AnnounceRequest,
    DirectAnswer,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.metrics import BuildInfo, SupernodeMetrics
from dragonfly.net.tasks import TaskSet
from dragonfly.sched.seeding import ECHO_LIMIT
from dragonfly.signatures import SigningKey
from dragonfly.supernode.admission import Admission
from dragonfly.supernode.api.common import squeeze
from dragonfly.supernode.tracker import Caller, Tracker

from .clock import SimClock
from .hosts import Host, SimDisk
from .origin import Origin, SimLibrary, keep_feeding
from .seeds import SimSeed

__all__ = ["SEED_ADDRESS", "SEED_PORT", "Calls", "SimSupernode"]

SEED_ADDRESS, SEED_PORT = "10.255.0.1", 8001

SAMPLE = 20
"""Of so many announces one is written as JSON, to be measured."""


HEAD_IN, HEAD_OUT = 430, 270
"""What a call and its answer have on the wire beside JSON: heads, signature, records of TLS.
Measured with benchmarks/calls.py, as is the next."""

TLS_IN, TLS_OUT = 1618, 2025
"""A handshake, with the OpenSSL 4.0 of cryptography's wheels at both ends: 1,088 and 1,184 bytes
of it are ML-KEM's, which older ones do not speak (650 and 1,300)."""


def _on_wire(answer: object) -> int:
    """Bytes of an answer's body: in gzip, if it is long."""
    data = to_json(answer)
    return len(squeeze(data) or data)


@attrs.define
class Calls:
    """What the tracker was asked, and what that cost on the machine that simulates.

    :ivar seconds: of CPU.
    """

    registers: int = 0
    announces: int = 0
    leaves: int = 0
    register_seconds: float = 0.0
    announce_seconds: float = 0.0
    sampled: int = 0
    sampled_in: int = 0
    sampled_out: int = 0
    register_in: int = 0
    register_out: int = 0

    @property
    def call_bytes(self) -> float:
        """Bytes of an announce and its answer; without HTTP and TLS."""
        return (self.sampled_in + self.sampled_out) / max(1, self.sampled)

    @property
    def wire_in(self) -> float:
        """All calls on the wire; each peer keeps one connection."""
        announces = self.announces * self.sampled_in / max(1, self.sampled)
        heads = (self.registers + self.announces + self.leaves) * HEAD_IN
        return self.register_in + announces + heads + self.registers * TLS_IN

    @property
    def wire_out(self) -> float:
        """All answers on the wire."""
        announces = self.announces * self.sampled_out / max(1, self.sampled)
        heads = (self.registers + self.announces + self.leaves) * HEAD_OUT
        return self.register_out + announces + heads + self.registers * TLS_OUT

    def sample(self, message: AnnounceRequest, answer: AnnounceAnswer) -> None:
        """Measure one announce of :data:`SAMPLE`."""
        if self.announces % SAMPLE == 1:
            self.sampled += 1
            self.sampled_in += len(to_json(message))
            self.sampled_out += _on_wire(answer)


class SimSupernode:
    """The tracker with its seed.

    :param latency: seconds one way.
    :param call_s: what a call keeps the supernode busy for.
    :param origin_rate: see :func:`~simulation.origin.keep_feeding`.
    """

    def __init__(
        self,
        clock: SimClock,
        host: Host,
        rng: random.Random,
        *,
        length: int,
        piece_size: int | None,
        disk: SimDisk,
        alive: Callable[[str], bool],
        latency: float = 0.0,
        call_s: float = 0.0,
        origin_rate: float | None = None,
        echo_limit: int | None = ECHO_LIMIT,
        slots: int = 8,
        out: int = 8,
    ) -> None:
        self.key = SigningKey.from_bytes(b"\1" * 32)
        self.calls = Calls()
        self._clock = clock
        self._latency = latency
        self._call_s = call_s
        self._free_at = 0.0
        self._alive = alive
        metrics = SupernodeMetrics(BuildInfo(version="0"))
        self.library = SimLibrary(
            clock, piece_size, lambda content: keep_feeding(content, clock, self.key, origin_rate)
        )
        self.seed = SimSeed(
            clock,
            host,
            self.key,
            rng,
            disk=disk,
            metrics=metrics,
            echo_limit=echo_limit,
            slots=slots,
        )
        origin, tasks = Origin(length), TaskSet(Logger())
        self.tracker = Tracker(
            admission=Admission(lambda _: origin, clock, tasks, secret=b"s" * 32),
            cdn=self.library,
            key=self.key,
            clock=clock,
            rng=rng,
            metrics=metrics,
            dial_back=self,
            seed_address=lambda _: (SEED_ADDRESS, SEED_PORT),
            config=SupernodeConfig(down_limit=out),
        )

    # -- Dialler of the roster ---------------------------------------------------------------

    def ask(
        self, address: str, port: int, tell: Callable[[bool], object], *, fresh: bool = False
    ) -> None:
        """Whether a peer can be connected to: if it lives."""
        tell(self._alive(address))

    # -- calls, with their way there and back ----------------------------------------------

    async def register(
        self, message: RegisterRequest, caller: Caller
    ) -> RegisterAnswer | DirectAnswer:
        """As :class:`~dragonfly.peer.tracker.supernodes.Supernode` does."""
        await self._way_there()
        self.calls.registers += 1
        began = time.process_time()
        answer = await self.tracker.register(message, caller)
        self.calls.register_seconds += time.process_time() - began
        self.calls.register_in += len(to_json(message))
        self.calls.register_out += _on_wire(answer)
        await self._sleep(self._latency)
        return answer

    async def announce(self, message: AnnounceRequest, caller: Caller) -> AnnounceAnswer:
        """As :class:`~dragonfly.peer.tracker.supernodes.Supernode` does."""
        await self._way_there()
        self.calls.announces += 1
        began = time.process_time()
        answer = self.tracker.announce(message, caller)
        self.calls.announce_seconds += time.process_time() - began
        self.calls.sample(message, answer)
        await self._sleep(self._latency)
        return answer

    async def leave(self, message: LeaveRequest) -> None:
        """As :class:`~dragonfly.peer.tracker.supernodes.Supernode` does."""
        await self._way_there()
        self.calls.leaves += 1
        self.tracker.leave(message)

    async def _way_there(self) -> None:
        """The network, and the line of those who called before."""
        now = self._clock.now
        start = max(now + self._latency, self._free_at)
        self._free_at = start + self._call_s
        await self._sleep(self._free_at - now)

    def _sleep(self, seconds: float) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        if seconds > 0:
            self._clock.at(self._clock.now + seconds, done.callback, None)
        else:
            done.callback(None)
        return done
