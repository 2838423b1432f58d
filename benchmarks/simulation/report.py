"""The figures of one run."""

from __future__ import annotations

import statistics
import time

import attrs

from .plan import Plan
from .swarm import Swarm

__all__ = ["HEAD", "Figures", "simulate"]

HEAD = (
    f"{'what':34} {'N':>6} {'P':>5} {'bound':>6} {'ratio':>6} {'p50':>6} {'p99':>6} {'seed':>5}"
    f" {'dup%':>5} {'msg%':>5} {'out%':>5} {'in%':>5} {'calls':>6}"
    f" {'B/call':>6} {'ms/ann':>6} {'miss':>4} {'cpu s':>6}"
)
"""Times but ``bound`` are in units of it; ``seed`` in copies of the content; ``msg%`` is what
messages between peers are of all bytes; ``out%`` and ``in%``: what the supernode sends and gets
that is not content, of what its uplink carries until the last peer has all; ``calls``: to the
tracker for each peer and second; ``B/call``: bytes of an announce and its answer; ``ms/ann``: the
tracker's CPU for it."""


@attrs.frozen(kw_only=True)
class Figures:
    """What came of one run.

    :ivar times: of all peers that should have finished, sorted, in units of the bound.
    :ivar missing: those that did not finish.
    """

    plan: Plan
    times: list[float]
    missing: int
    seed_copies: float
    duplicates: float
    messages: float
    control_out: float
    control_in: float
    calls: float
    call_bytes: float
    announce_ms: float
    cpu_s: float

    @property
    def ratio(self) -> float:
        """The last one's time."""
        return self.times[-1] if self.times and not self.missing else float("inf")

    def line(self) -> str:
        """As a row below :data:`HEAD`."""
        times = self.times or [float("nan")]
        return (
            f"{self.plan.name:34} {self.plan.peers:6} {self.plan.pieces:5}"
            f" {self.plan.bound_s:6.2f} {self.ratio:6.3f} {statistics.median(times):6.3f}"
            f" {times[int(len(times) * 0.99)]:6.3f} {self.seed_copies:5.2f}"
            f" {100 * self.duplicates:5.2f} {100 * self.messages:5.2f}"
            f" {100 * self.control_out:5.2f} {100 * self.control_in:5.2f} {self.calls:6.3f}"
            f" {self.call_bytes:6.0f}"
            f" {self.announce_ms:6.3f} {self.missing:4} {self.cpu_s:6.0f}"
        )


def simulate(plan: Plan) -> Figures:
    """Carry a plan out."""
    began = time.process_time()
    swarm = Swarm(plan)
    swarm.run()
    return figures(swarm, time.process_time() - began)


def figures(swarm: Swarm, cpu_s: float) -> Figures:
    """Read them off a swarm that has run."""
    plan, calls = swarm.plan, swarm.supernode.calls
    judged = [n for n, p in enumerate(swarm.peers) if not (swarm.odd(n) or p.host.dead)]
    times = sorted(time for time in map(swarm.time_of, judged) if time is not None)
    hosts = [peer.host for peer in swarm.peers] + [swarm.supernode.seed.host]
    held = sum(peer.held_bytes for peer in swarm.peers)
    received = sum(host.received_bytes for host in hosts)
    alive_s = sum(max(0.0, swarm.clock.now - peer.born) for peer in swarm.peers)
    seed = swarm.supernode.seed.host
    uplink = plan.seed_up * plan.bound_s * (times[-1] if times else 1.0)
    return Figures(
        plan=plan,
        times=times,
        missing=len(judged) - len(times),
        seed_copies=swarm.supernode.seed.host.sent_bytes / plan.length,
        duplicates=max(0.0, received - held) / max(1, received),
        messages=sum(host.control_bytes for host in hosts) / max(1, received),
        control_out=(calls.wire_out + seed.control_bytes) / uplink,
        control_in=(calls.wire_in + seed.control_heard) / uplink,
        calls=(calls.registers + calls.announces) / max(1e-9, alive_s),
        call_bytes=calls.call_bytes,
        announce_ms=1000 * calls.announce_seconds / max(1, calls.announces),
        cpu_s=cpu_s,
    )
