"""URLs that are remembered, and how many."""

from __future__ import annotations

from dragonfly.net.doubts import Doubts


def test_the_newest_are_remembered() -> None:
    """What was added again is new again."""
    doubts = Doubts(2)
    for url in ("a", "b", "a", "c"):
        doubts.add(url)
    assert [url in doubts for url in ("a", "b", "c")] == [True, False, True]
