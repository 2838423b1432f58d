"""What is waited for: each has its own time, and its own words when that is over."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.patience import Awaited, Patience

LIMITS = UpstreamLimits(answer_s=10.0, silence_s=20.0, pause_s=30.5, continue_s=40.0, linger_s=50.0)


class Setup:
    """A patience, and what was told of its end."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[Awaited, str]] = []
        self.patience = Patience(
            self.clock, LIMITS, lambda awaited, words: self.told.append((awaited, words))
        )


@pytest.fixture
def setup() -> Setup:
    """A fresh one."""
    return Setup()


@pytest.mark.parametrize(
    ("awaited", "seconds", "words"),
    [
        (Awaited.GO_AHEAD, 40.0, "no 100 Continue in 40 s"),
        (Awaited.ROOM, 20.0, "it took none of the request's body for 20 s"),
        (Awaited.ANSWER, 10.0, "no answer in 10 s"),
        (Awaited.BODY, 20.0, "the body fell silent for 20 s"),
        (Awaited.TAKER, 30.5, "the body was left paused for 30.5 s"),
        (Awaited.REST, 50.0, "the rest of the body did not come in 50 s"),
    ],
)
def test_each_has_its_time(setup: Setup, awaited: Awaited, seconds: float, words: str) -> None:
    """It is told once, when that is over and not before."""
    setup.patience.wait_for(awaited)
    setup.clock.advance(seconds - 0.5)
    assert setup.told == []
    setup.clock.advance(0.5)
    assert setup.told == [(awaited, words)]
    assert setup.clock.getDelayedCalls() == []


def test_something_else_is_awaited(setup: Setup) -> None:
    """Its time begins anew; what was awaited before is forgotten."""
    setup.patience.wait_for(Awaited.ANSWER)
    setup.clock.advance(9)
    setup.patience.wait_for(Awaited.BODY)
    setup.clock.advance(19)
    assert setup.told == []
    setup.clock.advance(1)
    assert [awaited for awaited, _ in setup.told] == [Awaited.BODY]


def test_some_of_it_comes(setup: Setup) -> None:
    """The same time begins anew."""
    setup.patience.wait_for(Awaited.BODY)
    for _ in range(5):
        setup.clock.advance(19)
        setup.patience.renew()
    assert setup.told == []
    setup.clock.advance(20)
    assert [awaited for awaited, _ in setup.told] == [Awaited.BODY]


def test_nothing_is_awaited(setup: Setup) -> None:
    """Nobody is told of anything, whatever comes."""
    setup.patience.wait_for(Awaited.ANSWER)
    setup.patience.wait_for(None)
    setup.patience.renew()
    setup.clock.advance(100)
    assert setup.told == []


def test_closing(setup: Setup) -> None:
    """No timer is left."""
    setup.patience.wait_for(Awaited.ANSWER)
    setup.patience.close()
    assert setup.clock.getDelayedCalls() == []
