"""Does a neighbour of the seed take what it is sent?"""

from __future__ import annotations

from dragonfly.peer.connections.pauses import PAUSE_LIMIT_S
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.wire.constants import SLICE_BYTES

__all__ = ["QUESTIONS_MAX", "STALL_BUSY_S", "STALL_S", "UNREAD_MAX", "Uptake"]

STALL_S = PAUSE_LIMIT_S + 15.0
"""Nothing of an answer was ACKed for so long: longer than a neighbour may stop reading."""

STALL_BUSY_S = PAUSE_LIMIT_S / 2 + 5.0
"""The same while others wait for its slot: longer than a rate limit may stop its reading."""

UNREAD_MAX = SLICE_BYTES
"""Bytes of news for a neighbour that does not take what it is sent; more wait until it does."""

QUESTIONS_MAX = 4096
"""Questions of such a neighbour; each may have made us queue 18 bytes."""


class Uptake:
    """Counts what one connection was told, and watches whether it gets there.

    :ivar sent_bytes: bytes of pieces that went to the connection.
    """

    def __init__(self, peer: PeerProtocol, now: float) -> None:
        self.sent_bytes = 0
        self._peer = peer
        self._acked = 0
        self._moved_at = now
        self._unread = 0
        self._questions = 0

    def has_room(self, size: int) -> bool:
        """Count ``size`` bytes of news; whether so much may wait to be read."""
        if self._peer.writable:
            self._unread = 0
        self._unread += size
        return self._unread <= UNREAD_MAX

    def deaf(self) -> bool:
        """Count a question; whether there were too many since an answer was read."""
        self._questions = 0 if self._peer.writable else self._questions + 1
        return self._questions > QUESTIONS_MAX

    def stalled(self, now: float, answering: bool) -> float:
        """For how many seconds nothing of an answer was ACKed that could have been.

        :param answering: whether an answer is under way at all.
        """
        acked = self.sent_bytes - self._peer.unacked()
        waits_for_us = self._peer.writable and acked >= self.sent_bytes
        moved = acked > self._acked or waits_for_us
        if moved:
            self._unread = self._questions = 0
        if moved or not answering:
            self._acked = max(acked, self._acked)
            self._moved_at = now
        return now - self._moved_at
