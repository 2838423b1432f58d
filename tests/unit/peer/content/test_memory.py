"""Small contents in memory: bounded, and the least used leave first."""

from __future__ import annotations

import attrs

from dragonfly.peer.content.memory import Memory


@attrs.define(eq=False)
class _Content:
    memory: bytes | None = None


def test_the_least_used_leaves_first() -> None:
    """Using one again keeps it."""
    memory = Memory(most=20)
    one, two, three = _Content(), _Content(), _Content()
    memory.keep(one, bytes(10))
    memory.keep(two, bytes(10))
    memory.used(one)
    memory.keep(three, bytes(10))
    assert [each.memory is not None for each in (one, two, three)] == [True, False, True]


def test_what_is_forgotten_makes_room() -> None:
    """And may be kept again; what was not kept is no error."""
    memory = Memory(most=10)
    one, two = _Content(), _Content()
    memory.keep(one, bytes(10))
    memory.forget(one)
    memory.forget(one)
    memory.used(one)
    memory.keep(two, bytes(10))
    assert (one.memory, two.memory) == (None, bytes(10))
    memory.keep(two, bytes(4))
    memory.keep(one, bytes(6))
    assert (one.memory, two.memory) == (bytes(6), bytes(4))
