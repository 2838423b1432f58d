"""One timer for a deadline that moves: never late, and not touched by a deadline further away."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.net.deadlinetimer import DeadlineTimer


def test_it_is_never_later_than_the_nearest_deadline() -> None:
    """And one call stands for all of them."""
    clock, fired = Clock(), list[float]()
    timer = DeadlineTimer(clock, lambda: fired.append(clock.seconds()))
    for deadline in (5.0, 9.0, 3.0, 7.0):
        timer.set(deadline)
        assert len(clock.getDelayedCalls()) == 1
    clock.advance(2.9)
    assert fired == []
    clock.advance(0.2)
    assert len(fired) == 1
    assert clock.getDelayedCalls() == []


def test_who_is_called_early_sets_it_again() -> None:
    """Then the later deadline holds; one that is over is due at once."""
    clock, fired = Clock(), list[float]()

    def due() -> None:
        fired.append(clock.seconds())
        if len(fired) == 1:
            timer.set(4.0)

    timer = DeadlineTimer(clock, due)
    timer.set(1.0)
    clock.advance(1.0)
    clock.advance(3.0)
    timer.set(2.0)
    clock.advance(0)
    assert fired == [1.0, 4.0, 4.0]


def test_stopped_it_calls_nobody() -> None:
    """Also if it was not set at all."""
    clock = Clock()
    timer = DeadlineTimer(clock, lambda: None)
    timer.stop()
    timer.set(1.0)
    timer.stop()
    assert clock.getDelayedCalls() == []
