"""An inventory answers as sets of pieces would, whatever became known in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.peer.content.inventory import Inventory
from dragonfly.task.layout import Layout

PIECE = 32 * 1024

_PIECES = st.sets(st.integers(0, 9))


@given(_PIECES, _PIECES, _PIECES, _PIECES, st.none() | _PIECES)
def test_every_question_has_the_answer_that_sets_give(
    origin: set[int], verified: set[int], memory: set[int], later: set[int], wanted: set[int] | None
) -> None:
    """In whatever order pieces became known."""
    inventory = Inventory(Layout(PIECE, 10 * PIECE - 1))
    for piece in memory:
        inventory.in_memory(piece)
    inventory.trust_origin(origin - verified)
    inventory.verify(verified | memory)
    inventory.verify(later)
    if wanted is not None:
        inventory.wanted = sum(1 << piece for piece in wanted)
    have = verified | memory | later
    here = have | origin
    asked = set(range(10)) if wanted is None else wanted
    assert set(inventory.have) == have
    assert set(inventory.extra) == here - have
    assert inventory.lacking == sum(1 << piece for piece in asked - here)
    assert inventory.all_here == (len(here) == 10)
    assert set(inventory.on_disk) == have - memory
    assert inventory.first_missing() == min(set(range(11)) - here)
    assert inventory.first_lacking() == min(asked - here, default=inventory.first_missing())
    ranges = inventory.ranges()
    readable = {piece for piece in range(10) if inventory.ready_to(piece * PIECE) > piece * PIECE}
    assert readable == here - memory
    assert readable == {piece for a, b in ranges for piece in range(a // PIECE, -(-b // PIECE))}
