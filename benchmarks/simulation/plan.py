"""What is simulated, and how fast it could be done."""

from __future__ import annotations

import attrs

from dragonfly.config import SupernodeConfig
from dragonfly.sched.seeding import ECHO_LIMIT
from dragonfly.task.layout import choose_piece_size

__all__ = ["SLOW_SHARE", "Plan"]

SLOW_SHARE = 0.25
"""Of the rates of others."""


@attrs.frozen(kw_only=True)
class Plan:
    """What is simulated. Rates are bytes of payload for each second, times seconds.

    :ivar up: of a host; :attr:`down` too.
    :ivar slow: this share of the hosts has a quarter of the rates.
    :ivar arrive_s: peers come spread evenly over this.
    :ivar killed: this share of the peers dies, between a quarter and half of the bound.
    :ivar stalled: so many take and never give.
    :ivar lying: so many send wrong bytes.
    :ivar origin_rate: the CDN is cold and is fed at this rate; ``None``: warm.
    :ivar latency_s: one way.
    :ivar handling_s: from the last byte of a piece to its being verified.
    :ivar call_s: what a call keeps the supernode busy for.
    :ivar fifo: see :class:`~simulation.hosts.Host`.
    :ivar overtaking: see :func:`~simulation.wire.connect`.
    :ivar out: requests by name that a peer may have under way.
    """

    name: str = ""
    peers: int
    length: int
    up: float
    down: float
    seed_up: float
    piece_size: int | None = None
    slow: float = 0.0
    arrive_s: float = 0.0
    killed: float = 0.0
    stalled: int = 0
    lying: int = 0
    origin_rate: float | None = None
    latency_s: float = 0.0005
    handling_s: float = 0.001
    call_s: float = 0.0
    fifo: float = 0.0
    overtaking: bool = False
    echo_limit: int | None = ECHO_LIMIT
    slots: int = 8
    out: int = SupernodeConfig().down_limit
    seed_slots: int = 8
    rng: int = 1

    @property
    def bound_s(self) -> float:
        """The least time in which a fluid could reach all hosts of full rate: max(F/s, F/d,
        N·F/(s + sum of u)) (Kumar and Ross 2006), and the origin's time if it is cold."""
        return self.bound_of(1.0)

    def bound_of(self, share: float) -> float:
        """The same for a host with this share of the rates: its own downlink may limit it."""
        slow = round(self.peers * self.slow)
        ups = self.seed_up + self.up * (self.peers - slow) + self.up * SLOW_SHARE * slow
        bounds = [self.length / self.seed_up, self.length / (self.down * share)]
        bounds.append(self.peers * self.length / ups)
        if self.origin_rate is not None:
            bounds.append(self.length / self.origin_rate)
        return max(bounds)

    def share_of(self, number: int) -> float:
        """Which share of the rates peer ``number`` has: the first ones are the slow ones."""
        return SLOW_SHARE if number < round(self.peers * self.slow) else 1.0

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-self.length // (self.piece_size or choose_piece_size(self.length)))
