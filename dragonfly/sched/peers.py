"""What the tracker knows of a peer, and of its part in a task. Pure: time comes in."""

from __future__ import annotations

import attrs

__all__ = ["BLAMERS_MAX", "BLAME_S", "FAR", "OVERDUE_S", "Labels", "Member", "Peer"]

FAR = 3
"""The distance of hosts that have no label in common."""

BLAME_S = 60.0
"""How long a report that a peer cannot be reached counts."""

BLAMERS_MAX = 8
"""Reports kept about one peer; two are enough to act on."""

OVERDUE_S = 10.0
"""A peer whose announce is late by this much, and by as long as it was to wait, is taken for
dead as soon as one other says so."""


@attrs.frozen
class Labels:
    """Where a host stands; empty where nobody said."""

    idc: str = ""
    location: str = ""

    def distance(self, other: Labels) -> int:
        """From 0, the same place, to :data:`FAR`; what is not labelled is far from all."""
        same_location = bool(self.location) and self.location == other.location
        if self.idc and self.idc == other.idc:
            return 0 if same_location or self.location == other.location else 1
        return 2 if same_location else FAR


@attrs.define(eq=False, kw_only=True)
class Peer:
    """One process, whatever tasks it takes part in.

    :ivar reachable: whether somebody could connect to it; ``None`` until that was tried.
    :ivar dialled_at: when it was last tried.
    :ivar tasks: ids of its tasks, oldest first.
    """

    key: bytes
    address: str
    port: int
    hostname: str = ""
    version: str = ""
    labels: Labels = Labels()
    created: float = 0.0
    reachable: bool | None = None
    dialled_at: float = float("-inf")
    tasks: dict[bytes, None] = attrs.field(factory=dict)


@attrs.define(eq=False, kw_only=True)
class Member:
    """A peer in a task.

    :ivar seen: when it last called; :attr:`wait_s` is after how long it was to call again.
    :ivar starving_since: when its first hungry call in a row came.
    :ivar credential: what names the access whose admission its grant rests on; empty where
        everybody is admitted.
    """

    peer: Peer
    callsystem: str
    seen: float
    wait_s: float = 0.0
    in_graph: bool = True
    complete: bool = False
    have_count: int = 0
    starving_since: float | None = None
    grant_expires: int = 0
    credential: bytes = b""
    _received: int = 0
    _blamed: dict[bytes, float] = attrs.field(factory=dict)

    @property
    def key(self) -> bytes:
        """The peer's public key."""
        return self.peer.key

    def overdue(self, now: float) -> bool:
        """Whether it should have called long ago."""
        return now - self.seen > 2 * self.wait_s + OVERDUE_S

    def received(self, total: int, most: int) -> int:
        """Take the bytes that it says it has received in all, and give how many are new.

        :param most: what one download can have received at all: claims beyond are cut.
        """
        total = min(max(0, total), most)
        new = max(0, total - self._received)
        self._received = total
        return new

    def hungry(self, starving: bool, now: float) -> float:
        """Note whether it starves, and give for how many seconds it has."""
        if not starving:
            self.starving_since = None
            return 0.0
        if self.starving_since is None:
            self.starving_since = now
        return now - self.starving_since

    def blame(self, reporter: bytes, now: float) -> int:
        """``reporter`` could not reach it; give how many different ones said so lately."""
        self._blamed = {key: at for key, at in self._blamed.items() if now - at < BLAME_S}
        if len(self._blamed) < BLAMERS_MAX:
            self._blamed[reporter] = now
        return len(self._blamed)

    def cleared(self) -> None:
        """It was reached: reports to the contrary are void."""
        self._blamed.clear()
