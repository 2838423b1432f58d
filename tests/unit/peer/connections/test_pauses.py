"""A connection is read while nobody has a reason against it, and no reason lasts for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from dragonfly.peer.connections.pauses import DEAF_S, PAUSE_LIMIT_S, Pauses


class Reading:
    """What is told of the pauses."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.said: list[str] = []
        self.pauses = Pauses(
            self.clock,
            stop=lambda: self.said.append("stop"),
            go=lambda: self.said.append("go"),
            too_long=lambda: self.said.append("too long"),
        )


@pytest.fixture
def reading() -> Iterator[Reading]:
    """Nothing is paused; no timer may be left when all is cleared."""
    reading = Reading()
    yield reading
    reading.pauses.clear()
    assert reading.clock.getDelayedCalls() == []


def test_the_first_stops_it_and_the_last_lets_it_go_on(reading: Reading) -> None:
    """Whatever order they come and go in, and however often."""
    for token in ("disk", "rate", "disk"):
        reading.pauses.add(token)
    reading.pauses.remove("disk")
    reading.pauses.remove("disk")
    assert reading.said == ["stop"]
    assert reading.pauses
    reading.pauses.remove("rate")
    assert reading.said == ["stop", "go"]
    assert not reading.pauses
    assert reading.clock.getDelayedCalls() == []


def test_one_for_a_time_ends_by_itself(reading: Reading) -> None:
    """At the first time that it was given; taken back before that it leaves no timer."""
    reading.pauses.add_for("rate", 1.0)
    reading.pauses.add_for("rate", 9.0)
    reading.clock.advance(1.0)
    assert reading.said == ["stop", "go"]
    reading.pauses.add_for("rate", 1.0)
    reading.pauses.remove("rate")
    assert reading.clock.getDelayedCalls() == []


def test_silence_is_ours_while_we_do_not_listen_and_a_moment_longer(reading: Reading) -> None:
    """What was said meanwhile must come first."""
    assert not reading.pauses.deaf
    reading.pauses.add("disk")
    assert reading.pauses.deaf
    reading.pauses.remove("disk")
    assert reading.pauses.deaf
    reading.clock.advance(DEAF_S)
    assert not reading.pauses.deaf


def test_pauses_without_a_break_are_too_long(reading: Reading) -> None:
    """Also if each of them is short; a break begins the time anew."""
    reading.pauses.add("disk")
    reading.clock.advance(PAUSE_LIMIT_S - 1)
    reading.pauses.remove("disk")
    reading.pauses.add("disk")
    reading.clock.advance(PAUSE_LIMIT_S - 1)
    reading.pauses.add("rate")
    reading.pauses.remove("disk")
    assert "too long" not in reading.said
    reading.clock.advance(1)
    assert reading.said[-1] == "too long"


def test_what_is_cleared_calls_nobody(reading: Reading) -> None:
    """The connection is gone."""
    reading.pauses.add("disk")
    reading.pauses.add_for("rate", 1.0)
    reading.pauses.clear()
    reading.pauses.remove("disk")
    assert reading.said == ["stop"]
    assert reading.clock.getDelayedCalls() == []
