"""The newest so many."""

from __future__ import annotations

from dragonfly.store.newest import Newest


def test_the_oldest_leaves() -> None:
    """To be put in again is to be new; to be looked at is not."""
    newest: Newest[str, int] = Newest(2)
    newest.put("a", 1)
    newest.put("b", 2)
    newest.put("a", 3)
    assert newest.get("b") == 2
    newest.put("c", 4)
    assert dict(newest) == {"a": 3, "c": 4}
