"""Taking back a call that was put off."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall

__all__ = ["call_off"]


def call_off(call: IDelayedCall | None) -> None:
    """Cancel it, if there is one and it is still to come."""
    if call is not None and call.active():
        call.cancel()
