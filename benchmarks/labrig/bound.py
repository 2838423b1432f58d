"""The fluid bound: how fast it could be if content were a liquid and nothing cost time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["GOODPUT", "Taker", "bytes_per_s", "fluid_bound", "native_bound"]

GOODPUT = 1448 / 1514
"""Payload of a full TCP segment with time stamps, in an Ethernet frame as ``tc`` counts it."""


def bytes_per_s(mbit: float) -> float:
    """Payload bytes a second on a link of so many Mb/s."""
    return mbit * 1e6 / 8 * GOODPUT


@attrs.frozen
class Taker:
    """A host that wants the content, and gives as fast as it takes.

    :ivar rate: payload bytes a second, either way.
    :ivar starts_s: when it comes.
    """

    rate: float
    starts_s: float = 0.0


def fluid_bound(
    size: int, seed_rate: float, takers: Sequence[Taker], origin_rate: float | None = None
) -> float:
    """Seconds until the last taker can have everything.

    max(F/s, F/d, N·F/(s + N·u)), which is what it comes to for equal takers that start at
    once; no way of sharing can be faster.

    :param seed_rate: of the seed, payload bytes a second.
    :param origin_rate: of the origin if the seed has nothing yet.
    """
    slowest_source = min(seed_rate, origin_rate or seed_rate)
    alone = max(taker.starts_s + size / taker.rate for taker in takers)
    return max(size / slowest_source, alone, _together(size, seed_rate, takers))


def _together(size: int, seed_rate: float, takers: Sequence[Taker]) -> float:
    """When the seed and those who have come can have sent all copies."""
    left, rate, now = float(size * len(takers)), seed_rate, 0.0
    for taker in sorted(takers, key=lambda each: each.starts_s):
        sent = rate * (taker.starts_s - now)
        if sent >= left:
            break
        left, now, rate = left - sent, taker.starts_s, rate + taker.rate
    return now + left / rate


def native_bound(size: int, origin_rate: float, takers: Sequence[Taker]) -> float:
    """Seconds until the last taker has everything if each pulls from the origin."""
    alone = max(taker.starts_s + size / taker.rate for taker in takers)
    return max(alone, size * len(takers) / origin_rate)
