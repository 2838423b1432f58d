"""What is remembered of one request, for the log and the counters."""

from __future__ import annotations

import attrs

__all__ = ["DOCTOR", "Note"]

DOCTOR = "dfdaemon-doctor"
"""The ``User-Agent`` of ``dfdaemon doctor``, which pulls as engines do, and is none."""


def _no_bytes() -> dict[str, int]:
    return {"cache": 0, "peers": 0, "cdn": 0, "registry": 0}


@attrs.define(kw_only=True)
class Note:
    """One request, filled in while it is answered. Nothing in it is secret.

    :ivar target: path without the query.
    :ivar trial: it is ``dfdaemon doctor`` who asks.
    :ivar route: ``swarm``, ``direct`` or ``tunnel``.
    :ivar mode: how the client spoke to us: as to a mirror, a proxy, ...
    :ivar status: that the client got; 0: none.
    :ivar sent: bytes of the body that went to the client.
    :ivar uploaded: bytes that the client sent, where that is counted: in tunnels.
    :ivar sources: bytes by where they came from.
    :ivar task: the first 16 hexadecimal digits of the task's id, if there was one.
    :ivar why: why the swarm was not used, or not to the end; empty: it was.
    :ivar ending: ``done``, ``gone`` (the client hung up) or ``aborted``.
    """

    method: str
    target: str
    client: str
    trial: bool = False
    registry: str = ""
    route: str = "direct"
    mode: str = ""
    status: int = 0
    sent: int = 0
    uploaded: int = 0
    sources: dict[str, int] = attrs.field(factory=_no_bytes)
    seconds: float = 0.0
    task: str = ""
    why: str = ""
    ending: str = "done"

    def because(self, why: str) -> None:
        """Give a reason, if none was given yet: the first one explains the rest."""
        if not self.why:
            self.why = why

    def then(self, why: str) -> None:
        """Give the reason for a bad end, behind what led to it."""
        if why not in self.why:
            self.why = f"{self.why}; then: {why}" if self.why else why
