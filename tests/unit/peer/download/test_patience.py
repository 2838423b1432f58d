"""A download's limits on time and rate: when they are over, and when they will be."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.peer.download.patience import SLOW_AFTER_S, Patience


def _patience(
    clock: Clock, timeout_s: float | None = None, min_rate: int | None = None
) -> tuple[Patience, list[float]]:
    over: list[float] = []
    patience = Patience(
        clock,
        timeout_s=timeout_s,
        min_rate=min_rate,
        on_timeout=lambda: over.append(clock.seconds()),
    )
    return patience, over


def test_the_time_is_over_once() -> None:
    """And not before it was started."""
    clock = Clock()
    patience, over = _patience(clock, timeout_s=10.0)
    assert clock.getDelayedCalls() == []
    patience.start()
    clock.pump([5.0, 5.0, 5.0])
    assert over == [10.0]


def test_what_has_ended_has_no_timer_and_a_time() -> None:
    """That does not grow any more."""
    clock = Clock()
    patience, over = _patience(clock, timeout_s=10.0)
    patience.start()
    clock.advance(3.0)
    assert (patience.seconds, patience.ended) == (3.0, False)
    patience.end()
    assert clock.getDelayedCalls() == []
    clock.advance(20.0)
    assert (patience.seconds, patience.ended) == (3.0, True)
    assert over == []


def test_rates_are_not_judged_at_the_beginning() -> None:
    """Later anything below the limit is too slow."""
    patience, _ = _patience(Clock(), min_rate=1000)
    assert not patience.spent(None, 1.0, SLOW_AFTER_S)
    assert patience.spent(None, 999.0, SLOW_AFTER_S + 0.1)
    assert not patience.spent(None, 1000.0, SLOW_AFTER_S + 0.1)


@pytest.mark.parametrize(
    ("expected_s", "now", "spent"),
    [
        (1e9, 9.9, False),  # in the first quarter nothing is foreseen
        (None, 10.0, True),
        (30.0, 10.0, False),
        (30.1, 10.0, True),
        (0.0, 41.0, True),
    ],
)
def test_a_time_limit_that_will_be_missed_is_seen_before(
    expected_s: float | None, now: float, spent: bool
) -> None:
    """As far as the rest can be foreseen."""
    patience, _ = _patience(Clock(), timeout_s=40.0)
    assert patience.spent(expected_s, 1.0, now) is spent


def test_without_limits_nothing_is_too_long() -> None:
    """Nor too slow."""
    patience, _ = _patience(Clock())
    patience.start()
    assert not patience.spent(None, 0.0, 1e9)
