"""Response times, limits and pauses of one neighbour."""

from __future__ import annotations

import random

import pytest

from dragonfly.sched.timing import (
    BUSY_FIRST_S,
    BUSY_MAX_S,
    FLOOR_S,
    LIMIT_MAX_S,
    PAUSE_MAX_S,
    TIMES,
    UNMEASURED_S,
    Pace,
    Timing,
)


def test_limits_follow_what_is_known() -> None:
    """Nothing: a guess; something of others: that; something of this one: that."""
    pace = Pace()
    one, other = Timing(pace), Timing(pace)
    assert one.limit == TIMES * UNMEASURED_S
    one.answered(0.5, 1.0)
    assert other.limit == pytest.approx(TIMES * 0.5)
    other.answered(0.01, 2.0)
    assert other.limit == FLOOR_S


def test_what_a_seed_chose_says_nothing_of_others() -> None:
    """It was not asked for, so there is no response time; it counts for the seed alone."""
    pace = Pace()
    seed, other = Timing(pace), Timing(pace)
    seed.answered(0.3, 1.0, asked=False)
    assert seed.response == pytest.approx(0.3)
    assert other.response == UNMEASURED_S


def test_responses_are_smoothed() -> None:
    """One slow answer moves the measure by an eighth."""
    timing = Timing(Pace())
    timing.answered(1.0, 0.0)
    timing.answered(9.0, 0.0)
    assert timing.expected == pytest.approx(2.0)


def test_failures_are_bounded() -> None:
    """The only neighbour must be asked again some day, and not wait for ever."""
    timing = Timing(Pace())
    for _ in range(20):
        timing.failed(100.0)
    assert timing.until == 100.0 + PAUSE_MAX_S
    assert timing.limit == LIMIT_MAX_S


def test_a_slow_one_keeps_its_own_limit() -> None:
    """Four times of twenty seconds is more than the bound of failures."""
    timing = Timing(Pace())
    timing.answered(20.0, 0.0)
    timing.failed(0.0)
    assert timing.limit == TIMES * 20.0


def test_busy_pauses_are_short_and_differ() -> None:
    """So that those who were refused together do not come back together."""
    rng = random.Random(2)
    pauses = []
    for _ in range(10):
        timing = Timing(Pace())
        timing.busy(5.0, rng)
        pauses.append(timing.until - 5.0)
    assert len(set(pauses)) == 10
    assert BUSY_FIRST_S / 2 <= min(pauses) <= max(pauses) <= BUSY_FIRST_S * 1.5
    assert timing.heard == 5.0
    for _ in range(30):
        timing.busy(5.0, rng)
    assert timing.until - 5.0 <= BUSY_MAX_S * 1.5


def test_an_answer_forgets_what_went_wrong() -> None:
    """Failures, refusals and the pause."""
    timing = Timing(Pace())
    timing.failed(0.0)
    timing.busy(0.0, random.Random(1))
    timing.answered(0.01, 1.0)
    assert timing.until < 0
    assert timing.failures == 0
    assert timing.limit == FLOOR_S


def test_long_round_trips_are_told_from_queues() -> None:
    """The shortest first byte counts; it drifts up slowly when the path changes."""
    pace = Pace()
    timing = Timing(pace)
    assert not timing.is_long()
    for number in range(20):
        pace.arrived(None, number * 0.01)
    timing.began(0.03)
    assert not timing.is_long()
    timing.began(5.0)
    assert timing.is_long()
    timing.began(0.03)
    assert not timing.is_long()


def test_time_without_questions_is_no_piece_time() -> None:
    """A pause of the download does not make pieces slow."""
    pace = Pace()
    pace.arrived(None, 0.0)
    pace.arrived(None, 0.1)
    pace.rest()
    pace.arrived(None, 100.0)
    pace.arrived(None, 100.1)
    assert pace.piece_s == pytest.approx(0.1)
