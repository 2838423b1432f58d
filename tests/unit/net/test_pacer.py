"""What a connection does about the limits that it is kept to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from dragonfly.net.pacer import Pacer
from dragonfly.net.throttle import AHEAD_BYTES, LEAST_AHEAD_BYTES, Flow, Throttle
from tests.doubles.limiting import FAST, Lab


class Line:
    """A connection that notes whether it is paused."""

    def __init__(self, *flows: Flow) -> None:
        self.paused = False
        self.pacer = Pacer(flows, pause=self._set(True), resume=self._set(False))

    def _set(self, paused: bool) -> Callable[[], None]:
        return lambda: setattr(self, "paused", paused)


def test_a_connection_pays_ahead() -> None:
    """Of two that are about to be read only one is; then the other."""
    lab = Lab(FAST)
    lines = [Line(lab.throttle.flow("a")) for _ in range(2)]
    for line in lines:
        line.pacer.begin()
        line.pacer.begin()
    assert [line.paused for line in lines] == [False, True]
    lines[0].pacer.took(AHEAD_BYTES)
    assert lines[0].paused
    lab.run(0.06)
    assert [line.paused for line in lines] == [True, False]


def test_small_reads_do_not_pause() -> None:
    """Until what was paid is used up."""
    lab = Lab(FAST)
    line = Line(lab.throttle.flow("a"))
    line.pacer.begin()
    for _ in range(63):
        line.pacer.took(1024)
    assert not line.paused
    line.pacer.took(1024)
    assert line.paused


def test_a_large_read_is_paid_afterwards() -> None:
    """All of it, however much it was; also what still came while it was paused."""
    lab = Lab(FAST)
    line = Line(lab.throttle.flow("a"))
    line.pacer.begin()
    line.pacer.took(2 * AHEAD_BYTES)
    line.pacer.took(AHEAD_BYTES)
    lab.run(0.14)
    assert line.paused
    lab.run(0.02)
    assert not line.paused


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_slower_of_two_limits_decides(order: tuple[int, int]) -> None:
    """In whatever order they are asked."""
    clock = Clock()
    line = Line(*(Throttle(clock, factor * FAST).flow("a") for factor in order))
    line.pacer.begin()
    passed = 0
    for _ in range(1000):
        while not line.paused:
            line.pacer.took(AHEAD_BYTES // 4)
            passed += AHEAD_BYTES // 4
        clock.advance(0.01)
    assert passed == pytest.approx(10 * FAST, rel=0.02)


@pytest.mark.parametrize("waits", [False, True])
def test_a_connection_that_rests_gives_back(waits: bool) -> None:
    """What it paid and did not use, and its place in the line; it is not left paused."""
    lab = Lab(FAST)
    other = Throttle(lab.clock, FAST)
    line = Line(lab.throttle.flow("a"), other.flow("a"))
    if waits:
        other.charge("a", 10 * AHEAD_BYTES)
    line.pacer.begin()
    assert line.paused is waits
    line.pacer.rest()
    line.pacer.rest()
    assert not line.paused
    assert lab.throttle.claim("a", 1, lambda: None) is None
    assert lab.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("rate", "ahead"),
    [(None, AHEAD_BYTES), (FAST, AHEAD_BYTES), (200 * 1024, 10 * 1024), (1, LEAST_AHEAD_BYTES)],
)
def test_what_is_paid_ahead(rate: int | None, ahead: int) -> None:
    """Little at a low rate; the lowest decides."""
    lab = Lab(rate)
    line = Line(lab.throttle.flow("a"), Throttle(lab.clock, 2 * FAST).flow("a"))
    assert line.pacer.ahead == ahead


def test_what_waits_at_a_change_of_the_rate_goes_back() -> None:
    """As much as was paid, not as would be now."""
    lab = Lab(FAST)
    line = Line(lab.throttle.flow("a"), Throttle(lab.clock, 1).flow("a"))
    line.pacer.begin()
    line.pacer.took(LEAST_AHEAD_BYTES)
    assert line.paused
    lab.run(1.0)
    line.pacer.rest()
    lab.throttle.set(FAST // 2)
    assert not line.paused
    assert lab.throttle.claim("a", 1, lambda: None) is None
