"""Calls that are taken back."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.net.calloff import call_off


def test_what_is_still_to_come_does_not() -> None:
    """Another one does."""
    clock, came = Clock(), list[str]()
    call_off(clock.callLater(1.0, came.append, "one"))
    clock.callLater(1.0, came.append, "other")
    clock.advance(1.0)
    assert came == ["other"]


def test_what_has_come_or_never_was_is_no_error() -> None:
    """Nor is doing it twice."""
    clock, came = Clock(), list[str]()
    call = clock.callLater(1.0, came.append, "one")
    clock.advance(1.0)
    call_off(call)
    call_off(call)
    call_off(None)
    assert came == ["one"]
