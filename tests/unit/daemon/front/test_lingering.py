"""Closing on a client that may still be sending: how long, and how much of it is dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from dragonfly.daemon.front.lingering import LingeringClose
from dragonfly.daemon.front.outflow import Outflow
from tests.doubles.asking import LIMITS
from tests.doubles.front import ClientEnd


class _Deaf:
    """Hears the end only."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self.connectionLost = lambda _: lost()


class Setup:
    """A connection that is being closed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.end = ClientEnd()
        out = Outflow(self.end, clock=self.clock, stall_s=LIMITS.write_stall_s)
        self.close = LingeringClose(out, clock=self.clock, limits=LIMITS)

        def lost() -> None:
            out.lost()
            self.close.over()

        self.end.protocol = _Deaf(lost)  # type: ignore[assignment]


@pytest.fixture
def setup() -> Setup:
    """It has begun."""
    setup = Setup()
    setup.close.begin()
    return setup


def test_the_client_sees_the_end_first(setup: Setup) -> None:
    """It may read, and send, until the time is over."""
    assert setup.end.state == "half closed"
    setup.close.drop(LIMITS.linger_bytes)
    setup.clock.advance(LIMITS.linger_s * 0.9)
    assert setup.end.state == "half closed"
    setup.clock.advance(LIMITS.linger_s * 0.1)
    assert setup.end.state == "closed"
    assert setup.clock.getDelayedCalls() == []


def test_so_much_is_dropped(setup: Setup) -> None:
    """One byte more closes at once; what comes after that changes nothing."""
    setup.close.drop(LIMITS.linger_bytes)
    assert not setup.end.gone
    setup.close.drop(1)
    assert setup.end.state == "closed"
    setup.close.drop(1)
    assert setup.clock.getDelayedCalls() == []


def test_a_client_that_closes_as_well(setup: Setup) -> None:
    """Nothing is waited for any more."""
    setup.end.hang_up()
    assert setup.clock.getDelayedCalls() == []
