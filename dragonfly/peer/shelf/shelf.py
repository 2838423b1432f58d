"""What this peer's store holds: found by name, opened by one user at a time, dropped when idle.

Every job that touches the files of a task runs on the disk pool under the task's id, so a
task that is opened again sees everything that its last user wrote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.net.fanout import OneShot
from dragonfly.peer.shelf.catalogue import Catalogue, Shelved
from dragonfly.peer.shelf.storage import Storage, Whole, put_away
from dragonfly.store.gc import Entry, expired, surplus
from dragonfly.store.piecestore import PieceStore, TaskFile
from dragonfly.task.bitfield import Bitfield

__all__ = ["KEEP_UNFINISHED_S", "Shelf"]

KEEP_UNFINISHED_S = 24 * 3600.0
"""What was interrupted waits a day for somebody to continue it."""


class Shelf:
    """The store of one home.

    :param wall: the time in unix seconds, which is what files carry.
    """

    _log = Logger()

    def __init__(
        self, store: PieceStore, disk: DiskPool, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._storage = Storage(store)
        self._disk = disk
        self._wall = wall
        self._catalogue = Catalogue()
        self._indexed: OneShot[None] = OneShot()

    def __len__(self) -> int:
        return len(self._catalogue)

    def __iter__(self) -> Iterator[Shelved]:
        return iter(self._catalogue)

    async def index(self) -> int:
        """Find out what earlier runs left; give the number of tasks.

        Whatever becomes of that, downloads may begin after it.
        """
        try:
            found = await self._disk.run("index", self._storage.index)
            for shelved in found:
                if shelved.task not in self._catalogue:
                    self._catalogue.put(shelved)
        finally:
            self._indexed.fire(None)
        return len(found)

    def ready(self) -> Deferred[None]:
        """Fires when the index is there. Cancelling gives up waiting."""
        return self._indexed.wait()

    def get(self, task: bytes) -> Shelved | None:
        """What is known of ``task``."""
        return self._catalogue.get(task)

    def named(self, name: bytes) -> Shelved | None:
        """The version of ``name`` that was used last."""
        return self._catalogue.named(name)

    async def take(
        self,
        task: bytes,
        fetch: int,
        piece_size: int,
        length: int | None,
        meta: dict[str, Any],
        *,
        whole: Whole | None = None,
        reserve: bool = True,
    ) -> TaskFile:
        """Open ``task`` with what is there of this very fetch, or make it anew.

        :param whole: all of it, verified, to be written by the same job.
        :param reserve: what is made anew gets space for all of it.
        :raises DiskFull: there is no space for it.
        :raises StoreError: it cannot be read or written.
        """
        shelved = Shelved(task, fetch, piece_size, length, meta, Bitfield(), self._wall())
        known = self._catalogue.get(task)
        if known is None:
            self._catalogue.put(shelved)
        else:
            known.last_used = self._wall()
        file = await self._disk.run(task, self._storage.take, shelved, whole, reserve)
        self._opened(file)
        return file

    async def create(
        self, task: bytes, piece_size: int, length: int | None, meta: dict[str, Any]
    ) -> TaskFile:
        """Make ``task`` anew, whatever is there; the errors are those of :meth:`take`."""
        self._catalogue.drop(task)
        file = await self._disk.run(task, self._storage.create, task, piece_size, length, meta)
        self._opened(file)
        return file

    async def load(self, task: bytes) -> TaskFile | None:
        """Open ``task`` if it is there and whole enough to be gone on with."""
        file = await self._disk.run(task, self._storage.load, task)
        if file is not None:
            self._opened(file)
        else:
            self._catalogue.drop(task)
        return file

    def give_back(self, file: TaskFile, have: Bitfield, *, keep: bool = True) -> None:
        """The user of ``file`` needs it no more; jobs under way still end well.

        :param have: the pieces that are there.
        :param keep: ``False``: it is of no use to anybody.
        """
        shelved = self._catalogue.get(file.task)
        if shelved is not None:
            shelved.in_use = False
            shelved.have, shelved.length = have.copy(), file.length
            shelved.last_used = self._wall()
        file.hot.drop(file)
        file.release()
        if keep:
            self._job(file.task, put_away, file, self._wall())
        else:
            file.close()
            self.remove(file.task)

    def remove(self, task: bytes) -> None:
        """Delete ``task``; who has its content open can read it to the end."""
        self._catalogue.drop(task)
        self._job(task, self._storage.remove, task)

    def expire(self, idle_s: float) -> list[bytes]:
        """Delete what nobody has used for so long, and what was interrupted a day ago."""
        now, gone = self._wall(), []
        for whole, limit in ((True, idle_s), (False, max(idle_s, KEEP_UNFINISHED_S))):
            entries = [
                Entry(task=each.task, last_used=each.last_used, in_use=each.in_use)
                for each in self
                if not each.in_use and each.whole is whole
            ]
            gone += expired(entries, now=now, idle_s=limit)
        for task in gone:
            self.remove(task)
        return gone

    def make_room(self, wanted: int) -> int:
        """Delete what nobody uses, the longest unused first, until ``wanted`` bytes are gone.

        :return: the bytes that are; fewer if there is no more.
        """
        sizes = {each.task: each.length or 0 for each in self}
        entries = [
            Entry(
                task=each.task,
                last_used=each.last_used,
                in_use=each.in_use,
                size=sizes[each.task],
            )
            for each in self
        ]
        gone = surplus(entries, wanted=wanted)
        for task in gone:
            self.remove(task)
        return sum(sizes[task] for task in gone)

    def _opened(self, file: TaskFile) -> None:
        file.retain()
        self._catalogue.put(Shelved.of(file, self._wall(), in_use=True))

    def _job(self, task: bytes, job: Callable[..., object], *args: Any) -> None:
        self._disk.run(task, job, *args).addErrback(self._failed, task)

    def _failed(self, failure: Failure, task: bytes) -> None:
        failure.trap(StoreError)
        name = task.hex()[:12]
        self._log.warn("task {task}: {error}", task=name, error=failure.getErrorMessage())
