"""A ring that closes behind whoever leaves it."""

from __future__ import annotations

import pytest

from dragonfly.sched.cycle import Cycle


def _round(cycle: Cycle[str], start: str) -> list[str]:
    found = [start]
    while (member := cycle.after(found[-1])) != start:
        found.append(member)
    return found


def test_members_stand_between_the_two_they_were_put_between() -> None:
    """Going round meets everybody once, in order, and backwards likewise."""
    cycle = Cycle("a")
    assert cycle.beside("a") == ("a", "a")
    cycle.insert("b", "a")
    cycle.insert("c", "a")
    assert _round(cycle, "a") == ["a", "c", "b"]
    assert cycle.beside("a") == ("b", "c")
    assert cycle.before("c") == "a"
    assert len(cycle) == 3


def test_the_ring_closes_behind_who_leaves() -> None:
    """The two beside become neighbours; the last one stays."""
    cycle = Cycle("a")
    for each in "bcd":
        cycle.insert(each, "a")
    cycle.remove("c")
    assert _round(cycle, "a") == ["a", "d", "b"]
    assert "c" not in cycle
    cycle.remove("d")
    cycle.remove("b")
    assert cycle.beside("a") == ("a", "a")
    with pytest.raises(ValueError, match="never empty"):
        cycle.remove("a")


def test_nobody_is_in_twice() -> None:
    """A second place would break the ring."""
    cycle = Cycle("a")
    cycle.insert("b", "a")
    with pytest.raises(ValueError, match="already"):
        cycle.insert("b", "a")
