"""Who may be sent to now: a bounded number of answers at once, shared fairly."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

__all__ = ["SLOTS", "UNACKED_BYTES", "WAITING_EACH", "WAITING_FOR_EACH_SLOT", "UploadSlots"]

SLOTS = 8
"""Answers at once. Fewer leave receivers that are slow for their own reasons with all of the
uplink (4: 1.13 times the time, 8: 1.08, 16: 1.21, measured)."""

WAITING_EACH = 1
"""Requests of one neighbour that may wait: its next one, so that its slot never idles."""

WAITING_FOR_EACH_SLOT = 8
"""Requests that may wait for each slot, from all neighbours. Who is further behind would give
up before its turn: the limit of a requester is four response times."""

UNACKED_BYTES = 4 * 1024
"""A slot is free when so little of its answer is un-ACKed: two segments, for whose ACK the other
host may wait. What is un-ACKed stands in the queue of the own link, where questions wait behind
it: with 16 KiB the last of 32 hosts needed 1.21 times the bound where queues are first in, first
out, with nothing 1.15, and both 1.08 where they are fair (simulated)."""


class UploadSlots:
    """The upload slots of one process, for all its tasks.

    A request is named by the neighbour (one connection) and a key; it is in a slot until
    :meth:`finished`, or until :meth:`draining` says that it is out, or it waits for one.
    Whoever frees slots calls :meth:`next_start` until it gives nothing.

    :param slots: how many there are.
    :param waiting_each: requests of one neighbour that may wait.
    :param waiting_in_all: requests that may wait; by default eight for each slot.
    :param unacked_bytes: un-ACKed bytes of a connection at which its last slot is free.
    """

    def __init__(
        self,
        slots: int = SLOTS,
        *,
        waiting_each: int = WAITING_EACH,
        waiting_in_all: int | None = None,
        unacked_bytes: int = UNACKED_BYTES,
    ) -> None:
        self._slots = slots
        self._waiting_each = waiting_each
        self._waiting_in_all = (
            WAITING_FOR_EACH_SLOT * slots if waiting_in_all is None else waiting_in_all
        )
        self._unacked_bytes = unacked_bytes
        self._taken: dict[Hashable, dict[Hashable, None]] = {}
        self._queues: dict[Hashable, dict[Hashable, None]] = {}
        self._served: dict[Hashable, int] = {}
        self._starts = 0
        self.taken = 0
        """Slots in use."""
        self.waiting = 0
        """Requests that wait."""

    @property
    def free(self) -> int:
        """Slots that nobody is in and nobody waits for."""
        return max(0, self._slots - self.taken - self.waiting)

    def held_by(self, peer: Hashable) -> int:
        """How many slots ``peer`` is in."""
        return len(self._taken.get(peer, ()))

    def offer(self, peer: Hashable, key: Hashable) -> Literal["start", "wait", "busy"]:
        """Take a request in, if there is room.

        ``start``: it is in a slot. ``wait``: :meth:`next_start` gives it later. ``busy``: it is
        refused. While others wait nobody gets past them. Without competition a neighbour may
        be in all slots; what may wait is bounded for each neighbour and in all.
        """
        if self.free:
            self._start(peer, key)
            return "start"
        queue = self._queues.get(peer, {})
        if len(queue) >= self._waiting_each or self.waiting >= self._waiting_in_all:
            return "busy"
        self._queues.setdefault(peer, queue)[key] = None
        self.waiting += 1
        return "wait"

    def next_start(self) -> tuple[Any, Any] | None:
        """Put the request whose turn it is in a free slot; ``None``: no slot, or nobody waits.

        It is the turn of the neighbour that is in the fewest slots; of several, of the one
        whose last start is longest ago.
        """
        if not self.waiting or self.taken >= self._slots:
            return None
        peer = min(self._queues, key=lambda p: (self.held_by(p), self._served.get(p, 0)))
        key = next(iter(self._queues[peer]))
        self.cancel(peer, key)
        self._start(peer, key)
        return peer, key

    def draining(self, peer: Hashable, key: Hashable, unacked: int) -> bool:
        """All bytes of the answer are with the connection: whether its slot is free by that.

        :param unacked: how many of the bytes up to the answer's end the other host has not ACKed.
        """
        if unacked > self._unacked_bytes:
            return False
        self.finished(peer, key)
        return True

    def finished(self, peer: Hashable, key: Hashable) -> None:
        """The answer ended: its slot is free. No error if it was in none."""
        keys = self._taken.get(peer)
        if keys is None or key not in keys:
            return
        del keys[key]
        self.taken -= 1
        if not keys:
            del self._taken[peer]

    def cancel(self, peer: Hashable, key: Hashable) -> None:
        """The request does not wait any more. No error if it did not."""
        queue = self._queues.get(peer)
        if queue is None or key not in queue:
            return
        del queue[key]
        self.waiting -= 1
        if not queue:
            del self._queues[peer]

    def remove(self, peer: Hashable) -> None:
        """The connection is gone, and all that it was in or waited for."""
        self.taken -= len(self._taken.pop(peer, ()))
        self.waiting -= len(self._queues.pop(peer, ()))
        self._served.pop(peer, None)

    def _start(self, peer: Hashable, key: Hashable) -> None:
        self._taken.setdefault(peer, {})[key] = None
        self.taken += 1
        self._starts += 1
        self._served[peer] = self._starts
