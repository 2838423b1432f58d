"""Which pieces are here: verified, vouched for by the origin, written, wanted."""

from __future__ import annotations

import pytest

from dragonfly.peer.content.inventory import Inventory
from dragonfly.task.layout import Layout

PIECE = 32 * 1024
LENGTH = 3 * PIECE - 1000


@pytest.fixture
def inventory() -> Inventory:
    """Three pieces, the last one short, none of them here."""
    return Inventory(Layout(PIECE, LENGTH))


def test_nothing_is_here_at_first(inventory: Inventory) -> None:
    """And all of it is wanted."""
    assert inventory.lacking == 0b111
    assert inventory.remaining == LENGTH
    assert not inventory.all_here
    assert inventory.ranges() == []
    assert inventory.ready_to(5) == 5


def test_a_piece_in_memory_is_here_but_not_to_be_read(inventory: Inventory) -> None:
    """Until it is written."""
    inventory.in_memory(0)
    inventory.verify([0])
    assert inventory.holds(0)
    assert inventory.unwritten
    assert not inventory.on_disk
    assert inventory.ready_to(0) == 0
    inventory.written(0)
    assert not inventory.unwritten
    assert inventory.ready_to(0) == PIECE
    assert inventory.ranges() == [(0, PIECE)]


def test_what_was_in_memory_last_is_waited_for(inventory: Inventory) -> None:
    """All is here before all is finished."""
    inventory.verify([0, 1])
    inventory.in_memory(2)
    inventory.verify([2])
    assert inventory.all_here
    assert not inventory.finished
    assert inventory.remaining == 1
    inventory.written(2)
    assert inventory.finished
    assert inventory.remaining == 0


def test_a_signature_takes_over_from_the_origin(inventory: Inventory) -> None:
    """A piece is never counted twice."""
    inventory.trust_origin([0, 1])
    inventory.verify([1, 2])
    assert list(inventory.have) == [1, 2]
    assert list(inventory.extra) == [0]
    assert inventory.finished
    assert list(inventory.on_disk) == [1, 2]


def test_a_length_that_comes_late_gives_it_an_end() -> None:
    """Without one nothing is ever all of it."""
    inventory = Inventory(Layout(PIECE, None))
    inventory.verify([0, 1])
    assert inventory.lacking < 0
    assert inventory.remaining == 1
    assert not inventory.all_here
    assert inventory.ready_to(0) == 2 * PIECE
    inventory.layout = inventory.layout.with_length(2 * PIECE - 7)
    assert inventory.finished
    assert inventory.ready_to(0) == 2 * PIECE - 7
