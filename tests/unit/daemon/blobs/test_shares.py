"""Bytes by source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragonfly.daemon.blobs.shares import shares


def test_in_proportion() -> None:
    """The origin is called registry here."""
    found = shares(10, {"cache": 0, "cdn": 60, "peers": 20, "origin": 20})
    assert found == {"cache": 0, "cdn": 6, "peers": 2, "registry": 2}


def test_of_nothing() -> None:
    """Who has nothing gave nothing."""
    assert sum(shares(0, {"cache": 0, "cdn": 0}).values()) == 0
    assert shares(0, {}) == {"cache": 0}


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**12), min_size=4, max_size=4))
def test_they_add_up(sent: int, counts: list[int]) -> None:
    """Whatever rounding does."""
    parts = shares(sent, dict(zip(("cache", "cdn", "peers", "origin"), counts, strict=True)))
    assert sum(parts.values()) == sent
    assert min(parts.values()) >= 0
