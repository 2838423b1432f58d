"""Ranges are told together, and none is lost on a client that does not read."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.peer.home.rangebatch import RANGES_EVERY_S, RangeBatch, merge


def test_ranges_are_merged_where_they_touch() -> None:
    """In any order, overlapping or not."""
    assert merge([(5, 7), (0, 2), (2, 5), (10, 12), (11, 15), (11, 12)]) == [(0, 7), (10, 15)]
    assert merge([]) == []


def test_what_comes_within_a_moment_is_told_at_once() -> None:
    """In its order, and once."""
    clock, told = Clock(), list[list[tuple[int, int]]]()
    batch = RangeBatch(clock, told.append)
    batch.add([(5, 9)])
    batch.add([(0, 5)])
    assert told == []
    clock.advance(RANGES_EVERY_S)
    batch.flush()
    assert told == [[(0, 9)]]
    assert clock.getDelayedCalls() == []


def test_what_is_held_costs_no_timer() -> None:
    """And is told when somebody reads again; what was cleared is not."""
    clock, told = Clock(), list[list[tuple[int, int]]]()
    batch = RangeBatch(clock, told.append)
    batch.add([(0, 1)])
    batch.hold()
    batch.add([(1, 2)])
    assert clock.getDelayedCalls() == []
    batch.release()
    assert told == [[(0, 2)]]
    batch.add([(7, 8)])
    batch.clear()
    clock.advance(RANGES_EVERY_S)
    assert told == [[(0, 2)]]
