"""The deadline that is moved often."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.net.watch import Watch


@pytest.fixture
def late() -> list[float]:
    """When it came."""
    return []


@pytest.fixture
def clock() -> Clock:
    """Moved by hand."""
    return Clock()


@pytest.fixture
def watch(clock: Clock, late: list[float]) -> Watch:
    """One that notes when it came."""
    return Watch(clock, lambda: late.append(clock.seconds()))


def test_comes(clock: Clock, watch: Watch, late: list[float]) -> None:
    """Once, in time."""
    watch.within(5)
    assert watch.running
    clock.pump([4, 1, 10])
    assert late == [5]
    assert not watch.running


def test_later(clock: Clock, watch: Watch, late: list[float]) -> None:
    """Put off again and again it costs one timer."""
    for _ in range(10):
        watch.within(5)
        clock.advance(1)
    assert len(clock.getDelayedCalls()) == 1
    clock.pump([1, 1, 1, 1])
    assert late == [14]


def test_earlier(clock: Clock, watch: Watch, late: list[float]) -> None:
    """It can be brought forward too."""
    watch.within(50)
    watch.within(5)
    clock.pump([5, 45])
    assert late == [5]


def test_by_the_clock(clock: Clock, watch: Watch, late: list[float]) -> None:
    """The last time that was named holds, and one that is over has come."""
    for deadline in (5.0, 9.0, 3.0, 7.0):
        watch.at(deadline)
        assert len(clock.getDelayedCalls()) == 1
    clock.pump([3, 3])
    assert late == []
    clock.advance(1)
    assert late == [7]
    watch.at(2.0)
    clock.advance(0)
    assert late == [7, 7]


def test_off(clock: Clock, watch: Watch, late: list[float]) -> None:
    """Called off it does not come, and may be set again."""
    watch.within(5)
    watch.off()
    clock.advance(3)
    watch.within(5)
    clock.pump([2, 2])
    assert late == []
    clock.advance(1)
    assert late == [8]


def test_close(clock: Clock, watch: Watch, late: list[float]) -> None:
    """No timer is left."""
    watch.within(5)
    watch.close()
    watch.close()
    assert clock.getDelayedCalls() == []
    assert late == []


def test_limits_are_checked() -> None:
    """A limit of nothing is a mistake."""
    with pytest.raises(ValueError, match="head_s"):
        FrontLimits(head_s=0)
