"""What every simulated host has: a place in the network, a disk, a file."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from dragonfly.store.hot import HotPieces
from dragonfly.task.bitfield import Bitfield

from .clock import SimClock
from .fluid import Link

__all__ = ["Host", "SimDisk", "SimFile"]

READ_S = 0.0002
"""The hop to a thread and back, with a read from the page cache."""


@attrs.define(eq=False)
class Host:
    """One host.

    :ivar fifo: which share of the bytes that wait at its uplink a small message waits behind:
        0 with fair queueing, up to 1 with one queue for all.
    :ivar control_bytes: of messages that it sent; ``control_heard``: that were sent to it.
    """

    address: str
    up: Link
    down: Link
    fifo: float = 0.0
    dead: bool = False
    control_bytes: int = 0
    control_heard: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0

    def queueing_s(self) -> float:
        """How long a small message waits behind the bytes of others in the host's queue."""
        if not self.fifo or not self.up.rate:
            return 0.0
        return self.fifo * sum(flow.left() for flow in self.up.flows) / self.up.rate


class SimDisk:
    """Runs jobs at once; their results come a moment later, as from a thread.

    :param takes_s: for a job that hashes and writes.
    """

    def __init__(self, clock: SimClock, takes_s: float) -> None:
        self._clock = clock
        self._takes_s = takes_s

    def run(
        self, key: Hashable, work: Callable[..., Any], *args: Any, cost: int = 0
    ) -> Deferred[Any]:
        """As :class:`~dragonfly.net.disk.DiskPool` does."""
        done = maybeDeferred(work, *args)
        answer: Deferred[Any] = Deferred()
        takes_s = self._takes_s if cost else READ_S
        self._clock.at(self._clock.now + takes_s, done.chainDeferred, answer)
        return answer

    def full(self, key: Hashable) -> bool:
        """Never."""
        return False

    def drained(self, key: Hashable) -> Deferred[None]:
        """At once."""
        return succeed(None)


class SimFile:
    """A file in a store, all of whose pieces are the same bytes, which are kept nowhere.

    :param content: one piece's worth of bytes.
    """

    def __init__(self, task: bytes, fetch: int, content: bytes) -> None:
        self.task = task
        self.fetch = fetch
        self.piece_size = len(content)
        self.recorded = Bitfield()
        self.reserved = True
        self.length: int | None = None
        self.hot = HotPieces(0)
        self._view = memoryview(content)

    def read(self, offset: int, length: int) -> memoryview:
        """Bytes as they would be on disk."""
        begin = offset % self.piece_size
        return self._view[begin : begin + length]

    def peek(self, piece: int, begin: int, length: int) -> memoryview:
        """All of it is in memory."""
        return self._view[begin : begin + length]

    def write(self, offset: int, chunks: Any) -> None:
        """Nowhere."""

    def record(self, pieces: Any) -> None:
        """Nowhere."""

    def append_run(self, raw: bytes) -> None:
        """Nowhere."""

    def runs(self) -> list[bytes]:
        """None."""
        return []

    def set_length(self, length: int) -> None:
        """Know the length."""
        self.length = length

    def retain(self) -> None:
        """Nothing is ever closed."""

    def release(self) -> None:
        """Nothing is ever closed."""
