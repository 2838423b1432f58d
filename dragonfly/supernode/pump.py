"""Between an origin's connection and the disk: gathers, paces, pushes back.

While one job hashes and writes, what comes meanwhile is gathered for the next: a fast
origin gets large jobs, a slow one has each chunk on disk at once, and no timer is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dragonfly.net.disk import DiskPool
from dragonfly.net.holds import Holds
from dragonfly.net.originbody import OriginBody
from dragonfly.net.pacer import Pacer
from dragonfly.net.sink import BodySink
from dragonfly.net.throttle import Flow

__all__ = ["GATHER_BYTES", "Pump"]

GATHER_BYTES = 4 * 1024 * 1024
"""Bytes that may wait for the disk before the origin's connection is paused."""


class Pump:
    """Moves one body to the disk.

    :param absorb: takes a list of chunks, on the disk pool, and returns piece digests.
    :param on_digests: gets them on the reactor's thread, in order; if it raises, the
        transfer is over.
    :param on_bytes: counts what came.
    :param expected: bytes that must come, where the transfer itself does not say.
    :param flows: its parts in caps on reading.
    """

    def __init__(
        self,
        absorb: Callable[[Sequence[bytes]], list[bytes]],
        on_digests: Callable[[Sequence[bytes]], object],
        *,
        key: bytes,
        disk: DiskPool,
        clock: IReactorTime,
        stall_s: float,
        on_bytes: Callable[[int], object],
        expected: int | None = None,
        flows: Sequence[Flow] = (),
    ) -> None:
        self._absorb = absorb
        self._on_digests = on_digests
        self._on_bytes = on_bytes
        self._key = key
        self._disk = disk
        self._sink = BodySink(self._came, clock=clock, stall_s=stall_s, expected=expected)
        self._gathered: list[bytes] = []
        self._waiting_bytes = 0
        self._writing = False
        self._error: BaseException | None = None
        self._idle: Deferred[None] | None = None
        self._holds = Holds(self._sink.pause, self._sink.resume)
        self._pacer = Pacer.by_holds(flows, self._holds, self._sink.read_at_most)

    async def run(self, body: OriginBody) -> None:
        """Move the whole body; returns when its last byte is on disk.

        Whatever came before a cut is on disk too when the cut is raised. Cancelling closes
        the connection; a job that has begun is waited for.

        :raises OriginTruncated: the body was cut, too long, or fell silent.
        :raises StoreError: the disk refuses.
        """
        try:
            self._pacer.begin()
            await body.deliver(self._sink)
        finally:
            self._pacer.rest()
            await self._drained()
            if self._error is not None:
                # Whatever else ended it: bytes that count as come are not on disk.
                raise self._error

    def _came(self, data: bytes) -> None:
        self._on_bytes(len(data))
        self._gathered.append(data)
        self._waiting_bytes += len(data)
        if not self._writing:
            self._write()
        if self._waiting_bytes >= GATHER_BYTES or self._disk.full(self._key):
            self._holds.add("disk")
        self._pacer.took(len(data))

    # -- disk ------------------------------------------------------------------------

    def _write(self) -> None:
        chunks, self._gathered = self._gathered, []
        cost, self._waiting_bytes = self._waiting_bytes, 0
        self._writing = True
        job = self._disk.run(self._key, self._absorb, chunks, cost=cost)
        job.addCallback(self._on_digests)
        job.addCallbacks(self._written, self._failed)

    def _written(self, _result: object) -> None:
        self._writing = False
        if self._gathered:
            self._write()
        self._holds.remove("disk")
        self._tell_idle()

    def _failed(self, failure: Failure) -> None:
        """The disk or the digests end the transfer; what waits is not written any more."""
        self._writing = False
        self._gathered = []
        if self._error is None:
            self._error = failure.value
        self._sink.done.cancel()
        self._tell_idle()

    def _drained(self) -> Deferred[None]:
        """Fires when no job is out and nothing is gathered."""
        idle: Deferred[None] = Deferred()
        self._idle = idle
        self._tell_idle()
        return idle

    def _tell_idle(self) -> None:
        if self._idle is not None and not self._writing and not self._gathered:
            idle, self._idle = self._idle, None
            idle.callback(None)
