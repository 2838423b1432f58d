"""Who connects to whom where nobody arranges it: what a tracker's random lists come to. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["DIALS", "draw_dials"]

DIALS = 25
"""Peers that each host dials, besides the seed; as many dial it. A tracker tells up to 50."""


def draw_dials(addresses: Sequence[str], rng: random.Random) -> dict[str, list[str]]:
    """Whom each is to dial: some at random, and never those that dial it."""
    dials: dict[str, list[str]] = {address: [] for address in addresses}
    for address in addresses:
        others = [other for other in addresses if other != address]
        for other in rng.sample(others, min(DIALS, len(others))):
            if address not in dials[other]:
                dials[address].append(other)
    return dials
