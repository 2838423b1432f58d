"""Who may take bytes now, and who waits."""

from __future__ import annotations

import pytest

from dragonfly.net.throttle import AHEAD_BYTES, Claim
from tests.doubles.limiting import RATE, Lab


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
