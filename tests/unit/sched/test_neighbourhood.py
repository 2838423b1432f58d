"""Who is there, and who counts as a holder of what."""

from __future__ import annotations

import pytest

from dragonfly.sched.neighbourhood import Neighbourhood
from dragonfly.sched.timing import Pace


@pytest.fixture
def here() -> Neighbourhood:
    """Two peers and a seed."""
    here = Neighbourhood(Pace())
    for peer in ("a", "b"):
        here.add(peer, seed=False)
    here.add("seed", seed=True)
    return here


def counts(here: Neighbourhood, pieces: int = 3) -> list[int]:
    """How many hold each piece."""
    return [here.availability.count(piece) for piece in range(pieces)]


def test_holders_are_counted_once(here: Neighbourhood) -> None:
    """However often they show a piece; seeds are not counted."""
    here.show("a", 0b011)
    here.show("a", 0b110)
    here.show("b", 0b010)
    here.show("seed", 0b111)
    assert counts(here) == [1, 2, 1]
    assert [n.mask for n in here.members.values()] == [0b111, 0b010, 0b111]


def test_how_often_something_new_was_shown(here: Neighbourhood) -> None:
    """The same again is nothing new."""
    for mask in (0b001, 0b001, 0b011, 0):
        here.show("a", mask)
    assert here.members["a"].shows == 2


def test_who_goes_is_not_counted_any_more(here: Neighbourhood) -> None:
    """A seed never was; twice is no error."""
    here.show("a", 0b011)
    here.show("b", 0b010)
    here.show("seed", 0b111)
    gone = here.remove("a")
    assert gone is not None
    assert gone.mask == 0b011
    assert here.remove("a") is None
    assert here.remove("seed") is not None
    assert list(here.members) == ["b"]
    assert counts(here) == [0, 1, 0]


def test_a_seed_that_does_not_choose_is_one_like_the_others(here: Neighbourhood) -> None:
    """What it showed counts from then on, once, until it goes."""
    here.show("seed", 0b101)
    seed = here.members["seed"]
    seed.standing = 3
    for _ in range(2):
        here.demote(seed)
    assert (seed.seed, seed.standing) == (False, 0)
    here.show("seed", 0b111)
    assert counts(here) == [1, 1, 1]
    here.remove("seed")
    assert counts(here) == [0, 0, 0]


def test_strangers_are_ignored(here: Neighbourhood) -> None:
    """News of a neighbour crosses its end; one that is there is not made anew."""
    here.show("stranger", 0b1)
    assert counts(here) == [0, 0, 0]
    known = here.members["a"]
    here.add("a", seed=True)
    assert here.members["a"] is known
    assert not known.seed
