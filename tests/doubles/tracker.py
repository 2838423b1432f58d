"""A tracker that answers what a test tells it to, and notes who called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from dragonfly.control.messages import (
    AnnounceAnswer,
    AnnounceRequest,
    DirectAnswer,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.supernode.registration import Caller
from dragonfly.supernode.views import PeerView

__all__ = ["ScriptedTracker"]


@attrs.define(eq=False)
class ScriptedTracker:
    """The calls that the HTTP API makes of :class:`dragonfly.supernode.tracker.Tracker`."""

    answer: RegisterAnswer | DirectAnswer | AnnounceAnswer | None = None
    error: Exception | None = None
    bans: dict[bytes, str] = attrs.field(factory=dict)
    peers: list[PeerView] = attrs.field(factory=list)
    calls: list[tuple[Any, Caller | None]] = attrs.field(factory=list)

    async def register(self, message: RegisterRequest, caller: Caller) -> Any:
        """Note the call and answer."""
        return self._answered(message, caller)

    def announce(self, message: AnnounceRequest, caller: Caller) -> Any:
        """Note the call and answer."""
        return self._answered(message, caller)

    def leave(self, message: LeaveRequest) -> None:
        """Note the call."""
        self._answered(message, None)

    def _answered(self, message: Any, caller: Caller | None) -> Any:
        self.calls.append((message, caller))
        if self.error is not None:
            raise self.error
        return self.answer

    def tasks_of(self, key: bytes) -> int:
        """One, whoever it is."""
        return 1

    def banned(self, key: bytes) -> str | None:
        """As the test says."""
        return self.bans.get(key)

    def ban_list(self) -> list[dict[str, str]]:
        """The bans, as they are shown."""
        return [{"ID": key.hex(), "reason": reason} for key, reason in self.bans.items()]

    @property
    def peer_count(self) -> int:
        """How many there are."""
        return len(self.peers)

    def peer_views(self) -> list[PeerView]:
        """All of them."""
        return list(self.peers)

    def peer_view(self, key: bytes) -> PeerView | None:
        """One of them."""
        return next((peer for peer in self.peers if peer.key == key), None)

    def downloads(self) -> Mapping[tuple[str, str], int]:
        """Nothing is counted here."""
        return {}
