"""Who may take bytes now, who waits, and what a connection does about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from dragonfly.net.throttle import AHEAD_BYTES, LEAST_AHEAD_BYTES, Claim, Flow, Pacer, Throttle

RATE = 1000
FAST = 20 * AHEAD_BYTES
"""The least at which a connection pays a whole read ahead."""


class Lab:
    """A limit, and what it granted when."""

    def __init__(self, rate: int | None = RATE) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock, rate)
        self.granted: list[tuple[str, float]] = []

    def claim(self, key: str, count: int) -> Claim | None:
        """Note when it is granted."""
        return self.throttle.claim(key, count, lambda: self._note(key))

    def _note(self, key: str) -> None:
        self.granted.append((key, self.clock.seconds()))

    def run(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def busy(self, key: str, count: int, taken: dict[str, int]) -> None:
        """One that takes ``count`` bytes again and again."""

        def took() -> None:
            taken[key] = taken.get(key, 0) + count
            again()

        def again() -> None:
            while self.throttle.claim(key, count, took) is None:
                taken[key] = taken.get(key, 0) + count

        again()


def times(lab: Lab) -> list[float]:
    """When something was granted."""
    return [pytest.approx(at, abs=0.011) for _, at in lab.granted]


def test_without_a_limit_nobody_waits() -> None:
    """And no timer is made."""
    lab = Lab(None)
    assert lab.claim("a", 10**9) is None
    assert lab.claim("a", 10**9) is None
    assert lab.clock.getDelayedCalls() == []


def test_claims_of_a_flow_are_granted_in_order() -> None:
    """Each when what was granted before it is earned."""
    lab = Lab()
    assert lab.claim("a", 100) is None
    assert lab.claim("a", 200) is not None
    assert lab.claim("a", 300) is not None
    lab.run(1.0)
    assert times(lab) == [0.1, 0.3]
    assert lab.clock.getDelayedCalls() == []


@pytest.mark.parametrize("rate", [10_000, 1_000_000, 200 << 20])
@pytest.mark.parametrize("late_s", [0.001, 0.007, 0.05])
def test_timers_that_are_late_cost_nothing(rate: int, late_s: float) -> None:
    """Nor does one that is exact win anything: ten seconds' worth pass in ten seconds."""
    lab = Lab(rate)
    taken: dict[str, int] = {}
    lab.busy("a", min(rate // 50, AHEAD_BYTES), taken)
    lab.run(10.0, late_s)
    assert taken["a"] == pytest.approx(10 * rate, rel=0.03)


def test_many_claims_of_one_flow_do_not_win() -> None:
    """Eight connections of one task get as much as one of another."""
    lab = Lab(1_000_000)
    taken: dict[str, int] = {}
    for _ in range(8):
        lab.busy("many", 64_000, taken)
    lab.busy("one", 16_000, taken)
    lab.run(10.0)
    assert taken["many"] == pytest.approx(5_000_000, rel=0.03)
    assert taken["one"] == pytest.approx(5_000_000, rel=0.03)


def test_what_one_has_no_use_for_the_others_get() -> None:
    """The limit is used up whoever there is."""
    lab = Lab(1_000_000)
    taken: dict[str, int] = {}
    lab.busy("a", 10_000, taken)
    for _ in range(100):
        lab.claim("slow", 10_000)
        lab.run(0.1)
    assert taken["a"] == pytest.approx(9_000_000, rel=0.03)


@pytest.mark.parametrize(("rate", "at"), [(100, 5.5), (10_000, 0.55), (None, 0.5)])
def test_a_change_is_for_those_who_wait_already(rate: int | None, at: float) -> None:
    """Slower, faster, at once."""
    lab = Lab()
    lab.claim("a", 1000)
    lab.claim("a", 1)
    lab.run(0.5)
    lab.throttle.set(rate)
    lab.run(10.0)
    assert times(lab) == [at]
    assert lab.clock.getDelayedCalls() == []


def test_a_limit_where_there_was_none() -> None:
    """Counts from then on."""
    lab = Lab(None)
    lab.claim("a", 10**9)
    lab.throttle.set(RATE)
    assert lab.claim("a", 100) is None
    assert lab.claim("a", 100) is not None
    lab.run(0.2)
    assert times(lab) == [0.1]


def test_cancelling_a_claim() -> None:
    """It costs nothing, the next one does not wait for it, and no timer stays."""
    lab = Lab()
    lab.claim("a", 100)
    first, second = lab.claim("a", 10_000), lab.claim("a", 1)
    assert first is not None
    assert second is not None
    first.cancel()
    first.cancel()
    lab.run(0.2)
    assert times(lab) == [0.1]
    lab.claim("a", 1000)
    third = lab.claim("a", 1)
    assert third is not None
    third.cancel()
    assert lab.throttle.waiting == 0
    assert lab.clock.getDelayedCalls() == []


def test_one_that_is_granted_may_cancel_another() -> None:
    """Whose turn was next."""
    lab = Lab()
    for key in "ab":
        lab.claim(key, 100)
    waiting: list[Claim | None] = []
    lab.throttle.claim("a", 1, lambda: waiting[0] and waiting[0].cancel())
    waiting.append(lab.claim("b", 1))
    lab.run(1.0)
    assert lab.granted == []
    assert lab.throttle.waiting == 0


def test_what_is_given_back_lets_others_go_on() -> None:
    """At once."""
    lab = Lab()
    lab.claim("a", 1000)
    lab.claim("a", 1)
    lab.throttle.charge("a", -1000)
    assert times(lab) == [0.0]


# -- a connection -----------------------------------------------------------------------------


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
