"""What differs between two configurations."""

from __future__ import annotations

from dragonfly.config import SupernodeConfig, changed_keys, rate_text


def test_what_has_changed() -> None:
    """But what is left out."""
    old = SupernodeConfig(port=1, max_bandwidth=5)
    new = SupernodeConfig(port=2, max_bandwidth=6, debug=True)
    assert changed_keys(old, new, but=("max_bandwidth",)) == ["port", "debug"]
    assert changed_keys(old, old) == []


def test_rates() -> None:
    """For a log."""
    assert rate_text(None) == "no limit"
    assert rate_text(2048) == "2048 bytes per second"
