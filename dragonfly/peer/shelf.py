"""What this peer's store holds: found by name, opened by one user at a time, dropped when idle.

Every job that touches the files of a task runs on the disk pool under the task's id, so a
task that is opened again sees everything that its last user wrote.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.control.messages import Holding
from dragonfly.errors import JournalCorrupt, StoreError
from dragonfly.net.disk import DiskPool
from dragonfly.net.fanout import OneShot
from dragonfly.store.gc import Entry, expired, surplus
from dragonfly.store.piecestore import PieceStore, TaskFile
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.layout import Layout

__all__ = ["KEEP_UNFINISHED_S", "Shelf", "Shelved", "Whole", "boot_id"]

_log = Logger()

KEEP_UNFINISHED_S = 24 * 3600.0
"""What was interrupted waits a day for somebody to continue it."""


@attrs.define(eq=False)
class Shelved:
    """One task of the store, open or not.

    :ivar have: the pieces that the journal, or the last user, says are there.
    :ivar last_used: in unix seconds.
    """

    task: bytes
    fetch: int
    piece_size: int
    length: int | None
    meta: dict[str, Any]
    have: Bitfield
    last_used: float
    in_use: bool = False

    @property
    def name(self) -> str:
        """The name whose version it is; empty if that was not noted."""
        return str(self.meta.get("name", ""))

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        count = Layout(self.piece_size, self.length).piece_count
        return count is not None and len(self.have) >= count

    def holding(self) -> Holding | None:
        """What a registration says of it; ``None``: nothing."""
        if not self.have:
            return None
        count = Layout(self.piece_size, self.length).piece_count or self.have.mask.bit_length()
        return Holding(
            task=self.task,
            fetch=self.fetch,
            piece_size=self.piece_size,
            count=count,
            bits=self.have.to_bytes(count),
        )


@attrs.frozen
class Whole:
    """All of a small content, and the runs that name its pieces."""

    data: bytes = attrs.field(repr=False)
    runs: tuple[bytes, ...] = attrs.field(repr=False)


class Shelf:
    """The store of one home.

    :param wall: the time in unix seconds, which is what files carry.
    """

    _log = Logger()

    def __init__(
        self, store: PieceStore, disk: DiskPool, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._disk = disk
        self._wall = wall
        self._shelved: dict[bytes, Shelved] = {}
        self._named: dict[str, set[bytes]] = {}
        self._indexed: OneShot[None] = OneShot()

    def __len__(self) -> int:
        return len(self._shelved)

    def __iter__(self) -> Iterator[Shelved]:
        return iter(list(self._shelved.values()))

    async def index(self) -> int:
        """Find out what earlier runs left; give the number of tasks.

        Whatever becomes of that, downloads may begin after it.
        """
        try:
            found = await self._disk.run("index", _index, self._store)
            for shelved in found:
                if shelved.task not in self._shelved:
                    self._put(shelved)
        finally:
            self._indexed.fire(None)
        return len(found)

    def ready(self) -> Deferred[None]:
        """Fires when the index is there. Cancelling gives up waiting."""
        return self._indexed.wait()

    def get(self, task: bytes) -> Shelved | None:
        """What is known of ``task``."""
        return self._shelved.get(task)

    def named(self, name: bytes) -> Shelved | None:
        """The version of ``name`` that was used last."""
        found = [self._shelved[task] for task in self._named.get(name.hex(), ())]
        return max(found, key=lambda each: each.last_used, default=None)

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
        if task not in self._shelved:
            self._put(shelved)
        self._shelved[task].last_used = self._wall()
        file = await self._disk.run(task, _take, self._store, shelved, whole, reserve)
        self._opened(file)
        return file

    async def create(
        self, task: bytes, piece_size: int, length: int | None, meta: dict[str, Any]
    ) -> TaskFile:
        """Make ``task`` anew, whatever is there; the errors are those of :meth:`take`."""
        self._drop(task)
        file = await self._disk.run(task, self._store.create, task, 0, piece_size, length, meta)
        self._opened(file)
        return file

    async def load(self, task: bytes) -> TaskFile | None:
        """Open ``task`` if it is there and whole enough to be gone on with."""
        file = await self._disk.run(task, _load, self._store, task)
        if file is not None:
            self._opened(file)
        else:
            self._drop(task)
        return file

    def give_back(self, file: TaskFile, have: Bitfield, *, keep: bool = True) -> None:
        """The user of ``file`` needs it no more; jobs under way still end well.

        :param have: the pieces that are there.
        :param keep: ``False``: it is of no use to anybody.
        """
        shelved = self._shelved.get(file.task)
        if shelved is not None:
            shelved.in_use = False
            shelved.have, shelved.length = have.copy(), file.length
            shelved.last_used = self._wall()
        file.hot.drop(file)
        file.release()
        if keep:
            self._job(file.task, _put_away, file, self._wall())
        else:
            file.close()
            self.remove(file.task)

    def remove(self, task: bytes) -> None:
        """Delete ``task``; who has its content open can read it to the end."""
        self._drop(task)
        self._job(task, self._store.remove, task)

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
        self._put(_shelved(file, self._wall(), in_use=True))

    def _put(self, shelved: Shelved) -> None:
        self._drop(shelved.task)
        self._shelved[shelved.task] = shelved
        self._named.setdefault(shelved.name, set()).add(shelved.task)

    def _drop(self, task: bytes) -> None:
        shelved = self._shelved.pop(task, None)
        if shelved is None:
            return
        others = self._named[shelved.name]
        others.discard(task)
        if not others:
            del self._named[shelved.name]

    def _job(self, task: bytes, job: Callable[..., object], *args: Any) -> None:
        self._disk.run(task, job, *args).addErrback(self._failed, task)

    def _failed(self, failure: Failure, task: bytes) -> None:
        failure.trap(StoreError)
        name = task.hex()[:12]
        self._log.warn("task {task}: {error}", task=name, error=failure.getErrorMessage())


def boot_id() -> str:
    """What names the time since this machine was started; empty where nothing does.

    What a process wrote outlives its death, but not a loss of power.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


# -- what runs on the disk pool ---------------------------------------------------------


def _shelved(file: TaskFile, last_used: float, *, in_use: bool = False) -> Shelved:
    return Shelved(
        file.task,
        file.fetch,
        file.piece_size,
        file.length,
        file.meta,
        file.recorded.copy(),
        last_used,
        in_use,
    )


def _index(store: PieceStore) -> list[Shelved]:
    found = []
    for task in store.tasks():
        try:
            file = _load(store, task)
        except StoreError as error:  # it costs this task, not the others
            _log.warn("cannot read a stored task: {error}", error=str(error))
            continue
        if file is not None:
            found.append(_shelved(file, file.last_used))
            file.close()
    return found


def _load(store: PieceStore, task: bytes) -> TaskFile | None:
    """Open a task; one that is damaged is removed."""
    try:
        file = store.load(task)
    except JournalCorrupt:
        file = None
    if file is not None and file.length is not None and _size(file) != file.length:
        file = None
    if file is None:
        store.remove(task)
    return file


def _size(file: TaskFile) -> int:
    try:
        return os.stat(file.path).st_size
    except OSError:
        return -1


def _take(store: PieceStore, wanted: Shelved, whole: Whole | None, reserve: bool) -> TaskFile:
    file = _open_or_make(store, wanted, reserve)
    if whole is not None:
        file.write(0, [whole.data])
        if not file.runs():
            for raw in whole.runs:
                file.append_run(raw)
        count = Layout(file.piece_size, len(whole.data)).piece_count or 0
        file.record(piece for piece in range(count) if piece not in file.recorded)
    return file


def _open_or_make(store: PieceStore, wanted: Shelved, reserve: bool) -> TaskFile:
    file = _load(store, wanted.task)
    if file is not None and (file.fetch, file.piece_size) == (wanted.fetch, wanted.piece_size):
        if file.length is None and wanted.length is not None:
            file.set_length(wanted.length)
        if file.length == wanted.length or wanted.length is None:
            return file
    return store.create(
        wanted.task,
        wanted.fetch,
        wanted.piece_size,
        wanted.length,
        meta=wanted.meta,
        reserve=reserve,
    )


def _put_away(file: TaskFile, now: float) -> None:
    file.touch(now)
    file.close()
