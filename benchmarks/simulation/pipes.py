"""One direction of a connection: messages and slices in the order in which they were written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from .fluid import Link, Network

__all__ = ["FIRST_BYTES", "SOCKET_BYTES", "Pipe", "Place"]

FIRST_BYTES = 4096
"""Of a slice that much is told when its first bytes arrive, the rest at its end."""

SOCKET_BYTES = 256 * 1024
"""What socket and transport take before they say that it is enough; half of it: go on."""


class Place(Protocol):
    """Where a host is in the network."""

    up: Link
    down: Link
    dead: bool
    control_bytes: int
    control_heard: int
    received_bytes: int
    sent_bytes: int

    def queueing_s(self) -> float:
        """How long a small message waits behind the bytes of others in the host's queue."""


def _size(message: Any) -> int:
    """Bytes of a message on the wire, or nearly: head, fixed fields, what is listed."""
    listed = 4 * len(getattr(message, "haves", ())) + 4 * len(getattr(message, "pieces", ()))
    raw = getattr(message, "run", b"") or getattr(message, "bits", b"")
    return 18 + listed + 4 * len(getattr(message, "in_flight", ())) + len(raw)


class Pipe:
    """What one end sends; :attr:`hear` and :attr:`drained` are called with what comes of it.

    :param overtaking: messages do not wait for slices.
    :ivar backlog: bytes of slices that have not arrived.
    """

    def __init__(
        self, network: Network, here: Place, there: Place, latency: float, *, overtaking: bool
    ) -> None:
        self.backlog = 0
        self._overtaking = overtaking
        self._clock = network.clock
        self._here = here
        self._there = there
        self._latency = latency
        self._flow = network.flow(here.up, there.down, self._reached)
        self._legs: deque[tuple[list[Any], memoryview | None]] = deque()
        self._last = 0.0
        self.hear: Callable[[list[Any]], None]
        self.drained: Callable[[], None]

    def unacked(self) -> int:
        """Bytes of slices that were sent and have not arrived."""
        if not self._flow.running or not self._legs:
            return self.backlog
        return self.backlog - len(self._legs[0][1] or b"") + int(self._flow.left())

    def send(self, items: list[Any]) -> None:
        """Queue messages and slices, in order."""
        batch: list[Any] = []
        for item in items:
            if isinstance(item, memoryview):
                self._queue(batch, item)
                batch = []
            else:
                size = _size(item)
                self._here.control_bytes += size
                self._there.control_heard += size
                batch.append(item)
        if batch:
            self._queue(batch, None)

    def stop(self) -> None:
        """Nothing more arrives."""
        self._legs.clear()
        self.backlog = 0
        self._flow.stop()

    def _queue(self, batch: list[Any], data: memoryview | None) -> None:
        if data is not None:
            self.backlog += len(data)
        elif not self._legs or self._overtaking:
            self._deliver(batch)
            return
        self._legs.append((batch, data))
        if len(self._legs) == 1:
            self._flow.begin(self._next())

    def _next(self) -> float:
        """The head of the next leg is on its way; the bytes that follow it."""
        while self._legs:
            batch, data = self._legs[0]
            if data is not None:
                self._deliver([*batch, data[:FIRST_BYTES]])
                return len(data)
            self._legs.popleft()
            self._deliver(batch)
        return 0

    def _reached(self) -> float:
        """The slice is over."""
        _, data = self._legs.popleft()
        rest = (data or memoryview(b""))[FIRST_BYTES:]
        length = len(data or b"")
        self.backlog -= length
        self._here.sent_bytes += length
        self._there.received_bytes += length
        if len(rest):
            self._deliver([rest], queueing=False)
        more = self._next()
        if self.backlog <= SOCKET_BYTES // 2:
            self.drained()
        return more

    def _deliver(self, items: list[Any], *, queueing: bool = True) -> None:
        wait = self._here.queueing_s() if queueing else 0.0
        self._last = max(self._last, self._clock.now + self._latency + wait)
        self._clock.at(self._last, self._arrive, items)

    def _arrive(self, items: list[Any]) -> None:
        if not self._there.dead:
            self.hear(items)
