"""Room on the disk: where it is short, finished contents leave before their time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.peer.swarm.swarm import Swarm
from dragonfly.store.files import disk_bytes
from dragonfly.store.space import lacking

__all__ = ["LOOK_EVERY_S", "SHARED_IDLE_S", "Room"]

LOOK_EVERY_S = 10.0
"""A host that pulls at 1 GB/s writes as much as is kept free in that time."""

SHARED_IDLE_S = 60.0
"""What served somebody within this time is still useful to the swarm."""


class Room(Service):
    """Looks at the disk of ``store`` now and then, while it runs.

    :param measure: gives the free bytes of a disk, and all of them; it may block.
    """

    _log = Logger()

    def __init__(
        self,
        store: Path,
        disk: DiskPool,
        swarm: Swarm,
        clock: IReactorTime,
        *,
        measure: Callable[[Path], tuple[int, int]] = disk_bytes,
    ) -> None:
        self._store = store
        self._disk = disk
        self._swarm = swarm
        self._measure = measure
        self._looking: Deferred[None] | None = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(LOOK_EVERY_S, now=False).addErrback(self._broke)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._looking is not None:
            self._looking.cancel()
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> Deferred[None]:
        asked = self._disk.run("room", self._measure, self._store)
        self._looking = asked.addCallbacks(self._act, self._unknown)
        return self._looking

    def _act(self, found: tuple[int, int]) -> None:
        free, total = found
        short = lacking(free, total)
        freed = self._swarm.make_room(short, idle_s=SHARED_IDLE_S) if short else 0
        if freed:
            self._log.info(
                "{free} of {total} bytes free in {store}: deleted {freed} bytes of contents",
                free=free,
                total=total,
                store=str(self._store),
                freed=freed,
            )

    def _unknown(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            failure.trap(StoreError)
            self._log.warn("{error}", error=failure.getErrorMessage())

    def _broke(self, failure: Failure) -> None:
        self._log.failure("looking for room", failure)
