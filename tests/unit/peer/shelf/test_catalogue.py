"""What is stored is found by task and by name, and each of both tells the same."""

from __future__ import annotations

from dragonfly.peer.shelf.catalogue import Catalogue, Shelved
from dragonfly.task.bitfield import Bitfield

PIECE = 32 * 1024
NAME, OTHER = b"n" * 32, b"o" * 32


def _entry(task: bytes, name: bytes = NAME, *, used: float = 0.0, pieces: int = 0) -> Shelved:
    meta = {"name": name.hex()}
    return Shelved(task, 1, PIECE, 2 * PIECE, meta, Bitfield.full(pieces), used)


def test_the_version_that_was_used_last_answers_for_its_name() -> None:
    """Whichever was noted last."""
    catalogue = Catalogue()
    old, new = _entry(b"a", used=1.0), _entry(b"b", used=2.0)
    for entry in (new, old, _entry(b"c", OTHER, used=9.0)):
        catalogue.put(entry)
    assert catalogue.named(NAME) is new
    old.last_used = 3.0
    assert catalogue.named(NAME) is old
    assert catalogue.named(b"x" * 32) is None


def test_what_is_dropped_is_found_by_nothing() -> None:
    """Also if it was the last of its name; to drop it again is no error."""
    catalogue = Catalogue()
    catalogue.put(_entry(b"a"))
    catalogue.drop(b"a")
    catalogue.drop(b"a")
    assert b"a" not in catalogue
    assert catalogue.get(b"a") is None
    assert catalogue.named(NAME) is None
    assert len(catalogue) == 0


def test_a_task_that_is_noted_again_leaves_its_old_name() -> None:
    """One task is one entry."""
    catalogue = Catalogue()
    catalogue.put(_entry(b"a", NAME))
    catalogue.put(_entry(b"a", OTHER))
    assert catalogue.named(NAME) is None
    assert [each.task for each in catalogue] == [b"a"]


def test_entries_may_be_dropped_while_they_are_looked_through() -> None:
    """That is how idle ones go."""
    catalogue = Catalogue()
    for task in (b"a", b"b", b"c"):
        catalogue.put(_entry(task))
    for entry in catalogue:
        catalogue.drop(entry.task)
    assert len(catalogue) == 0


def test_an_entry_tells_what_it_holds() -> None:
    """Nothing of nothing; with the bits of what is there else."""
    assert _entry(b"a").holding() is None
    part, whole = _entry(b"a", pieces=1), _entry(b"a", pieces=2)
    assert (part.whole, whole.whole) == (False, True)
    holding = part.holding()
    assert holding is not None
    assert (holding.count, holding.bits) == (2, Bitfield.full(1).to_bytes(2))
