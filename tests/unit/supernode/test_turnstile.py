"""How many registrations wait at once, and when the others are told to come again."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest

from dragonfly.errors import TrackerBusy
from dragonfly.peer.tracker.supernodes import REGISTER_LIMIT_S
from dragonfly.supernode.turnstile import (
    INSIDE_LEAST,
    PACE_S,
    RETRY_LEAST_S,
    RETRY_MOST_S,
    WAIT_MOST_S,
    Turnstile,
)


def refused(gate: Turnstile, origin: str, now: float) -> float:
    """For how many seconds the next one is sent away."""
    with pytest.raises(TrackerBusy) as caught:
        gate.enter(origin, now)
    assert caught.value.status == 503
    return caught.value.retry_after_s


def test_a_slow_origin_leaves_room_for_others() -> None:
    """Its callers are sent away while those of another are let in."""
    gate = Turnstile(most=4, each=3)
    for _ in range(3):
        gate.enter("slow", 0.0)
    assert refused(gate, "slow", 0.0) >= RETRY_LEAST_S
    gate.enter("other", 0.0)
    refused(gate, "other", 0.0)
    assert len(gate) == 4


def test_who_leaves_makes_room() -> None:
    """For one more, of any origin."""
    gate = Turnstile(most=2, each=2)
    gate.enter("a", 0.0)
    gate.enter("a", 0.0)
    gate.leave("a", 1.0)
    gate.enter("b", 1.0)
    refused(gate, "b", 1.0)


def at_pace(gate: Turnstile, pace_s: float, *, count: int = 300) -> float:
    """Registrations of one origin end at that pace, and others come; give the time then."""
    for number in range(count):
        gate.leave("a", pace_s * (number + 1))
        with suppress(TrackerBusy):
            gate.enter("a", pace_s * (number + 1))
    return pace_s * count


def test_turns_come_one_after_another_at_the_pace_of_the_origin() -> None:
    """A crowd that was sent away comes back as fast as it can be served."""
    gate = Turnstile(most=200, each=100)
    for _ in range(100):
        gate.enter("a", 0.0)
    now = at_pace(gate, 0.1)
    turns = [refused(gate, "a", now) for _ in range(20)]
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert gaps == pytest.approx([0.1] * 19, rel=0.05)


def test_a_slow_origin_has_a_short_line() -> None:
    """Its callers wait inside no longer than they have patience."""
    gate = Turnstile(most=2000, each=1000)
    for _ in range(1000):
        gate.enter("a", 0.0)
    at_pace(gate, 0.1, count=1000)
    assert len(gate) == pytest.approx(WAIT_MOST_S / 0.1, rel=0.05)
    at_pace(gate, 5.0)
    assert len(gate) == INSIDE_LEAST


def first_gap(gate: Turnstile, now: float) -> float:
    """The time between two turns of an origin whose first callers just ended."""
    first, second = (refused(gate, "a", now) for _ in range(2))
    return second - first


def test_the_first_who_ends_tells_nothing_of_the_pace() -> None:
    """Since when the origin was busy nobody has measured."""
    gate = Turnstile(most=200, each=100)
    for _ in range(100):
        gate.enter("a", 1000.0)
    gate.leave("a", 1000.5)
    gate.enter("a", 1000.5)
    assert first_gap(gate, 1000.5) == pytest.approx(PACE_S)


def test_time_in_which_few_were_inside_tells_nothing_of_the_pace() -> None:
    """Nobody ended because nobody came."""
    gate = Turnstile(most=200, each=100)
    gate.enter("a", 1000.0)
    gate.enter("a", 1000.0)
    gate.leave("a", 1000.0)
    for _ in range(99):
        gate.enter("a", 1010.0)
    gate.leave("a", 1010.1)
    gate.enter("a", 1010.1)
    assert first_gap(gate, 1010.1) == pytest.approx(PACE_S)


def test_the_time_inside_is_a_part_of_the_patience_of_peers() -> None:
    """They have waited before."""
    assert WAIT_MOST_S <= REGISTER_LIMIT_S / 2


def test_nobody_is_sent_away_for_long() -> None:
    """However many there are: later ones share the turns of earlier ones."""
    gate = Turnstile(most=1, each=1)
    gate.enter("a", 0.0)
    turns = [refused(gate, "a", 0.0) for _ in range(30_000)]
    assert max(turns) <= RETRY_MOST_S
