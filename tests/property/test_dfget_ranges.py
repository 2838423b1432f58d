"""Ranges of a file against the plainest model there is: a set of positions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.dfget.ranges import Ranges

SPAN = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(added=st.lists(SPAN), asked=SPAN)
def test_ranges_are_sets(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    """Whatever overlaps or touches, in whatever order: nothing is lost, nothing made up."""
    ranges, model = Ranges(), set[int]()
    for begin, end in added:
        ranges.add(begin, end)
        model.update(range(begin, end))
    assert ranges.total == len(model)
    begin, end = asked
    gaps = ranges.gaps(begin, end)
    assert {i for gap in gaps for i in range(*gap)} == set(range(begin, end)) - model
    assert all(a < b for a, b in gaps)
    assert all(left[1] < right[0] for left, right in pairwise(gaps))
    reached = ranges.reaches(begin)
    assert set(range(begin, reached)) <= model
    assert reached not in model
    ranges.clear()
    assert ranges.total == 0
