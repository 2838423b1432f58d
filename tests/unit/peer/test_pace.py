"""Rate limits of one content and of the home."""

from __future__ import annotations

from dragonfly.peer.pace import Pace, TotalLimit

MIB = 1024 * 1024


def test_the_most_generous_client_counts() -> None:
    """They share the bytes, so nobody waits for somebody else's limit."""
    pace = Pace(TotalLimit())
    pace.limit([MIB, 4 * MIB])
    assert pace.take(5 * MIB, 0.0) == 1.0


def test_one_without_limit_lifts_it() -> None:
    """Somebody wants it as fast as it goes."""
    pace = Pace(TotalLimit())
    pace.limit([MIB, None])
    assert pace.take(100 * MIB, 0.0) == 0.0


def test_when_nobody_is_left_the_limit_stays() -> None:
    """A download whose client has gone does not run faster for it."""
    pace = Pace(TotalLimit())
    pace.limit([4 * MIB])
    pace.limit([])
    assert pace.take(5 * MIB, 0.0) == 1.0


def test_the_home_has_one_limit() -> None:
    """It holds for all contents together; ``None`` leaves what was set."""
    total = TotalLimit()
    one, two = Pace(total), Pace(total)
    total.set(4 * MIB)
    total.set(None)
    assert one.take(3 * MIB, 0.0) == 0.5
    assert two.take(2 * MIB, 0.0) == 1.0


def test_the_same_limit_again_is_no_new_burst() -> None:
    """Every download of a script names the same rate."""
    total = TotalLimit()
    total.set(4 * MIB)
    total.take(5 * MIB, 0.0)
    total.set(4 * MIB)
    assert total.take(0, 0.0) == 1.0
