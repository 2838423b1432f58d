"""What counts for a while."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.store.lately import Lately


def test_it_counts_for_its_time_from_the_last_time_on() -> None:
    """The end is not part of it."""
    clock = Clock()
    lately: Lately[str] = Lately(clock.seconds, 10.0, most=3)
    assert "a" not in lately
    lately.add("a")
    clock.advance(9.0)
    lately.add("a")
    clock.advance(9.0)
    assert "a" in lately
    clock.advance(1.0)
    assert "a" not in lately


def test_what_is_discarded_counts_no_more() -> None:
    """Nor does it matter whether it was there."""
    lately: Lately[str] = Lately(Clock().seconds, 10.0, most=3)
    lately.add("a")
    for key in ("a", "b"):
        lately.discard(key)
        assert key not in lately


def test_only_the_newest_stay() -> None:
    """To put one in again makes it new."""
    lately: Lately[str] = Lately(Clock().seconds, 10.0, most=2)
    for key in ("a", "b", "a", "c"):
        lately.add(key)
    assert [key in lately for key in "abc"] == [True, False, True]


def test_it_may_have_begun_to_count_before() -> None:
    """From when something was asked, not from when it was answered."""
    clock = Clock()
    lately: Lately[str] = Lately(clock.seconds, 10.0, most=3)
    clock.advance(4.0)
    lately.add("a", since=1.0)
    clock.advance(6.9)
    assert "a" in lately
    clock.advance(0.1)
    assert "a" not in lately
