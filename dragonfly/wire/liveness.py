"""Is the other side there, and does it not ask too often? Time comes in as ``now``."""

from __future__ import annotations

from collections import deque

from dragonfly.errors import UnexpectedMessage
from dragonfly.wire.constants import (
    BITFIELDS_PER_WINDOW,
    FLOOD_WINDOW_S,
    GET_DIGESTS_PER_WINDOW,
    HANDSHAKE_LIMIT_S,
    HAVES_PER_WINDOW,
    PING_AFTER_S,
    PINGS_PER_WINDOW,
    PONG_LIMIT_S,
    Kind,
)

__all__ = ["FloodGate", "Pulse"]


class Pulse:
    """Deadlines of one connection: handshake, idle, PONG."""

    def __init__(self, now: float) -> None:
        self._made = now
        self._heard = now
        self._open = False
        self._token = 0
        self._pinged: float | None = None

    @property
    def waits(self) -> bool:
        """Whether the deadline is one that the other side must keep."""
        return not self._open or self._pinged is not None

    @property
    def deadline(self) -> float:
        """When something is due: a PING of ours, or else the other side is too late."""
        if not self._open:
            return self._made + HANDSHAKE_LIMIT_S
        if self._pinged is None:
            return self._heard + PING_AFTER_S
        return max(self._heard, self._pinged) + PONG_LIMIT_S

    def describe(self, now: float) -> str:
        """Say what came too late."""
        if not self._open:
            return f"no handshake after {now - self._made:.1f} s"
        return f"no byte for {now - self._heard:.1f} s, not even a PONG"

    def heard(self, now: float) -> None:
        """Bytes came."""
        self._heard = now

    def opened(self) -> None:
        """The handshake is done."""
        self._open = True

    def ping(self, now: float) -> int | None:
        """Begin a PING and give its token; None while one is unanswered."""
        if self._pinged is not None:
            return None
        self._token += 1
        self._pinged = now
        return self._token

    def pong(self, token: int, now: float) -> float:
        """End the PING and give the round trip in seconds.

        :raises UnexpectedMessage: there is no PING with this token.
        """
        if self._pinged is None or token != self._token:
            raise UnexpectedMessage(f"PONG {token} without its PING")
        rtt, self._pinged = now - self._pinged, None
        return rtt


class FloodGate:
    """Counts messages that cost us more than the sender."""

    _ALLOWED = {
        Kind.PING: PINGS_PER_WINDOW,
        Kind.BITFIELD: BITFIELDS_PER_WINDOW,
        Kind.GET_DIGESTS: GET_DIGESTS_PER_WINDOW,
        Kind.HAVE: HAVES_PER_WINDOW,
    }

    def __init__(self) -> None:
        self._seen: dict[Kind, deque[float]] = {}

    def check(self, kind: Kind, now: float) -> None:
        """Count a message.

        :raises UnexpectedMessage: it is one too many.
        """
        allowed = self._ALLOWED.get(kind)
        if allowed is None:
            return
        seen = self._seen.setdefault(kind, deque(maxlen=allowed))
        if len(seen) == allowed and now - seen[0] < FLOOD_WINDOW_S:
            raise UnexpectedMessage(
                f"more than {allowed} {kind.name} within {FLOOD_WINDOW_S:.0f} s"
            )
        seen.append(now)
