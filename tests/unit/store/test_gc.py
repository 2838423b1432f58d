"""The plan of what leaves the store."""

from __future__ import annotations

from dragonfly.store.gc import Entry, expired, surplus


def entry(name: bytes, last_used: float, in_use: bool = False) -> Entry:
    """A task."""
    return Entry(task=name, last_used=last_used, in_use=in_use)


def test_idle_tasks_leave_longest_unused_first() -> None:
    """From the limit on, and not a second earlier."""
    entries = [entry(b"new", 91.0), entry(b"edge", 90.0), entry(b"old", 10.0), entry(b"mid", 50.0)]
    assert expired(entries, now=100.0, idle_s=10.0) == [b"old", b"mid", b"edge"]


def test_what_is_in_use_stays() -> None:
    """However long ago it was opened."""
    assert expired([entry(b"a", 0.0, in_use=True)], now=1e9, idle_s=1.0) == []


def test_a_clock_that_was_set_back() -> None:
    """A task used in the future is not idle."""
    assert expired([entry(b"a", 200.0)], now=100.0, idle_s=0.0) == []


def test_nothing_to_do() -> None:
    """An empty store has no plan."""
    assert expired([], now=1.0, idle_s=0.0) == []


def sized(name: bytes, last_used: float, size: int, in_use: bool = False) -> Entry:
    """A task of some size."""
    return Entry(task=name, last_used=last_used, size=size, in_use=in_use)


def test_the_longest_unused_make_room() -> None:
    """As many as are needed, and not one more."""
    entries = [sized(b"new", 3.0, 10), sized(b"old", 1.0, 10), sized(b"mid", 2.0, 10)]
    assert surplus(entries, wanted=11) == [b"old", b"mid"]
    assert surplus(entries, wanted=10) == [b"old"]
    assert surplus(entries, wanted=0) == []


def test_what_is_in_use_does_not_make_room() -> None:
    """Even if nothing else is there."""
    entries = [sized(b"used", 1.0, 10, in_use=True), sized(b"idle", 2.0, 1)]
    assert surplus(entries, wanted=100) == [b"idle"]
