"""How long a registry may take for what, and how many connections to it wait for work."""

from __future__ import annotations

import attrs

__all__ = ["UpstreamLimits"]


@attrs.frozen(kw_only=True)
class UpstreamLimits:
    """Times in seconds, and counts.

    :ivar connect_s: for each address that is tried.
    :ivar dial_s: for all of them and the TLS handshake.
    :ivar answer_s: from the end of a request to the head of its answer; a registry that checks
        a large upload, or asks a storage far away, needs its time.
    :ivar silence_s: between bytes, both ways; time in which we paused it does not count.
    :ivar pause_s: the longest that we pause it.  A paused connection does not see the other
        side go away, so no pause is for ever; clients that are this slow the front cuts sooner.
    :ivar continue_s: to say ``100 Continue``; the body is sent without it then, since servers
        that do not know it are waiting for the body.
    :ivar linger_s: for the short rest of a body that nobody wants.
    :ivar idle_s: that an unused connection is kept; servers give up theirs after 60 and more.
    :ivar recent_s: that one may have been unused if a request is sent on it which cannot be
        repeated: far below the time after which any server gives it up.
    :ivar idle_links: unused connections to one registry; engines pull 3 layers at a time.
    :ivar idle_total: to all of them.
    """

    connect_s: float = 10.0
    dial_s: float = 20.0
    answer_s: float = 60.0
    silence_s: float = 60.0
    pause_s: float = 600.0
    continue_s: float = 1.0
    linger_s: float = 5.0
    idle_s: float = 30.0
    recent_s: float = 2.0
    idle_links: int = 8
    idle_total: int = 64
