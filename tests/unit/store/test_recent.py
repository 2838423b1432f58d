"""Bytes in memory: no more than there is room for, and of those what was used last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.store.recent import Recent

DATA = bytes(10)


@pytest.fixture
def recent() -> Recent[int]:
    """Room for three of ten bytes, with 0, 1 and 2 in it."""
    made = Recent[int](35)
    for key in range(3):
        made.keep(key, DATA)
    return made


def kept(recent: Recent[int]) -> list[int]:
    """Which of the first keys are there."""
    return [key for key in range(10) if recent.get(key) is not None]


def test_what_was_not_used_for_longest_goes_first(recent: Recent[int]) -> None:
    """To get it is to use it; to ask for what is not there is no error."""
    assert recent.get(0) == DATA
    assert recent.get(9) is None
    recent.keep(3, DATA)
    assert kept(recent) == [0, 2, 3]


def test_another_value_takes_the_place_of_the_first(recent: Recent[int]) -> None:
    """It counts once, and was used now."""
    recent.keep(0, b"other")
    assert recent.size == 25
    for key in (3, 4, 5):
        recent.keep(key, DATA)
    assert kept(recent) == [0, 3, 4, 5]
    assert recent.get(0) == b"other"


def test_nothing_is_kept_beyond_the_limit(recent: Recent[int]) -> None:
    """What fits exactly is."""
    recent.keep(3, bytes(35))
    assert (kept(recent), recent.size) == ([3], 35)
    recent.keep(4, bytes(36))
    assert (kept(recent), recent.size) == ([], 0)


def test_what_is_empty_is_there(recent: Recent[int]) -> None:
    """No bytes are not nothing."""
    recent.keep(5, b"")
    assert recent.get(5) == b""


def test_what_is_dropped_makes_room(recent: Recent[int]) -> None:
    """By key."""
    recent.drop(lambda key: key != 1)
    assert (kept(recent), recent.size) == ([1], 10)


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=9))), st.integers(0, 30))
def test_the_size_is_that_of_what_is_kept(puts: list[tuple[int, bytes]], limit: int) -> None:
    """Whatever was kept in whatever order."""
    recent = Recent[int](limit)
    for key, data in puts:
        recent.keep(key, data)
        assert recent.size == sum(len(recent.get(key) or b"") for key in range(6)) <= limit
