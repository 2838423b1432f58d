"""Tickets: leave to read the origin, for a few starving peers of a task at a time.

A crowd that runs to the origin recreates the overload that the system exists to prevent. Two
readers bring different pieces, which the others then have from them. Pure: time comes in.
"""

from __future__ import annotations

__all__ = ["TICKETS_MAX", "TICKET_S", "Tickets"]

TICKETS_MAX = 2
"""Readers at once of one task, beside the CDN."""

TICKET_S = 10.0
"""How long one may read; who still starves then asks again, behind others who did."""


class Tickets:
    """The tickets of one task."""

    def __init__(self) -> None:
        self._until: dict[bytes, float] = {}

    def ask(self, key: bytes, now: float) -> float:
        """Give the seconds for which ``key`` may read the origin from now on; 0: it may not."""
        self._until = {holder: until for holder, until in self._until.items() if until > now}
        if key not in self._until:
            if len(self._until) >= TICKETS_MAX:
                return 0.0
            self._until[key] = now + TICKET_S
        return self._until[key] - now

    def give_back(self, key: bytes) -> None:
        """``key`` needs it no more; no error where there is none."""
        self._until.pop(key, None)
