"""The scenarios by name."""

from __future__ import annotations

from typing import Any

import attrs

from .plan import Plan

__all__ = ["PLANS"]

MIB = 1 << 20

GOODPUT = 1448 / 1514
"""Payload in full Ethernet frames of TCP with time stamps."""

PIECE = 64 * 1024


def _lab(name: str, peers: int, mbit: float, seed_mbit: float, mib: int, **more: Any) -> Plan:
    """Hosts with links of ``mbit`` on the wire, as in the lab of network namespaces."""
    rate, seed = (each * 1e6 / 8 * GOODPUT for each in (mbit, seed_mbit))
    return Plan(name=name, peers=peers, length=mib * MIB, up=rate, down=rate, seed_up=seed, **more)


def _big(peers: int, pieces: int) -> Plan:
    """A file of so many pieces, as large as the lab's, that takes ten seconds."""
    rate = pieces * PIECE / 10.0
    return Plan(
        name=f"{peers}x{pieces}",
        peers=peers,
        length=pieces * PIECE,
        piece_size=PIECE,
        up=rate,
        down=rate,
        seed_up=rate,
    )


_C = _lab("C", 64, 10, 10, 32)

_ALL = [
    _lab("A", 16, 50, 100, 64),
    _lab("B", 32, 25, 25, 32),
    _C,
    _lab("D", 64, 5, 5, 16),
    _lab("D200", 200, 5, 5, 10),
    attrs.evolve(_C, name="slow", slow=0.1),
    attrs.evolve(_C, name="arriving", arrive_s=10.0),
    attrs.evolve(_C, name="killed", killed=0.1),
    attrs.evolve(_C, name="stalled", stalled=1),
    attrs.evolve(_C, name="lying", lying=1),
    attrs.evolve(_C, name="cold", origin_rate=_C.seed_up),
    *(
        _big(peers, pieces)
        for peers in (16, 64, 200, 1000, 10_000)
        for pieces in (128, 256, 512, 1024)
    ),
]

PLANS = {plan.name: plan for plan in _ALL}
"""A to C are those of the lab, "D200" is its D; "slow" and what follows are C with one thing
changed; "200x512" is 200 peers and 512 pieces, which take ten seconds."""
