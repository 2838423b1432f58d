"""Several reasons to pause one stream."""

from __future__ import annotations

from dragonfly.net.holds import Holds


def test_it_flows_when_no_reason_is_left() -> None:
    """Whichever of them was first, and however often it was named."""
    said: list[str] = []
    holds = Holds(lambda: said.append("pause"), lambda: said.append("resume"))
    holds.add("rate")
    holds.add("taker")
    holds.add("rate")
    assert "rate" in holds
    holds.remove("rate")
    assert "rate" not in holds
    assert "resume" not in said
    holds.remove("taker")
    assert said == ["pause", "pause", "pause", "resume"]


def test_a_reason_that_was_not_there_is_no_error() -> None:
    """What flows is told so."""
    said: list[str] = []
    Holds(lambda: said.append("pause"), lambda: said.append("resume")).remove("disk")
    assert said == ["resume"]
