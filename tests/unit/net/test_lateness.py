"""How late the reactor is: what is seen of turns that take long."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.metrics.series import LATENESS
from dragonfly.net.lateness import BOUNDS_S, Lateness, LatenessSampler


class SamplerTests(SynchronousTestCase):
    """A sampler on a clock that jumps where a reactor would be blocked."""

    def setUp(self) -> None:
        """It looks every half second: eighths of one are exact."""
        self.clock = Clock()
        self.seen: list[float] = []
        self.sampler = LatenessSampler(self.clock, self.seen.append, interval_s=0.5)

    def start(self) -> None:
        """Start it, and the reactor."""
        self.sampler.startService()
        self.clock.advance(0)

    def told(self) -> list[float]:
        """What was seen since."""
        seen = self.seen.copy()
        self.seen.clear()
        return seen

    def test_in_time(self) -> None:
        """A reactor that has nothing to do is never late."""
        self.start()
        self.clock.pump([0.5] * 4)
        assert self.told() == [0, 0, 0, 0]

    def test_long_turn(self) -> None:
        """A long turn is seen once, by what it went over the time of the next look."""
        self.start()
        self.clock.advance(0.25)
        self.clock.advance(1.875)
        assert self.told() == [1.625]

    def test_looks_go_on_as_before(self) -> None:
        """What was missed is not made up for, and does not count for the next look."""
        self.start()
        self.clock.advance(1.25)
        self.told()
        self.clock.advance(0.25)
        self.clock.advance(0.625)
        assert self.told() == [0, 0.125]

    def test_before_and_after(self) -> None:
        """Nothing is seen of a service that does not run, and no timer stays."""
        self.clock.advance(1.0)
        self.sampler.startService()
        self.sampler.stopService()
        assert self.clock.getDelayedCalls() == []
        self.clock.advance(1.0)
        assert self.told() == []

    def test_again(self) -> None:
        """The time while it was stopped is nobody's lateness."""
        self.start()
        self.sampler.stopService()
        assert self.clock.getDelayedCalls() == []
        self.clock.advance(7.0)
        self.start()
        self.clock.advance(0.5)
        assert self.told() == [0]

    def test_before_the_reactor_runs(self) -> None:
        """What takes long then is not the reactor's lateness."""
        self.sampler.startService()
        self.clock.advance(3.0)
        self.clock.advance(0.5)
        assert self.told() == [0]


def test_a_histogram_counts_up_to_each_bound() -> None:
    """A value on a bound belongs below it, and the last class takes everything."""
    lateness = Lateness()
    for seconds in (0.0, 0.001, 0.03, 7.0, 0.06):
        lateness.observe(seconds)
    told = lateness.told()
    assert told["worst_s"] == 7.0
    assert told["le"] == {
        "0.001": 2,
        "0.005": 2,
        "0.01": 2,
        "0.02": 2,
        "0.05": 3,
        "0.1": 4,
        "0.25": 4,
        "1": 4,
        "5": 4,
        "+Inf": 5,
    }


def test_nothing_seen() -> None:
    """All zero before the first look."""
    told = Lateness().told()
    assert told["worst_s"] == 0.0
    assert told["le"]["+Inf"] == 0  # type: ignore[index]


def test_classes_are_those_of_the_metrics() -> None:
    """So that peers can be compared with supernodes."""
    assert BOUNDS_S == LATENESS
