"""A set that gives a few of its members without looking at all of them."""

from __future__ import annotations

import random

from dragonfly.sched.sampling import SampleSet


def test_a_sample_has_different_members_of_the_set() -> None:
    """Nobody is drawn twice, and nobody who was taken out."""
    members: SampleSet[int] = SampleSet()
    for each in range(10):
        members.add(each)
    members.add(3)
    members.discard(7)
    members.discard(7)
    drawn = members.sample(random.Random(1), 20)
    assert sorted(drawn) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert len(members.sample(random.Random(1), 4)) == 4


def test_taking_the_last_one_out_leaves_the_others() -> None:
    """The place of who goes is filled by the last; that one itself has none to fill."""
    members: SampleSet[str] = SampleSet()
    for each in "abc":
        members.add(each)
    members.discard("c")
    assert list(members) == ["a", "b"]
    assert "c" not in members
    assert len(members) == 2
