"""The front of a file that was given out already, to be hashed when that turns out to matter.

A download checks the digest of its whole file. Somebody who got the front from it and the
rest from elsewhere has to check both together, and seldom enough to read the front again.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from dragonfly.net.disk import DiskPool
from dragonfly.net.fanout import OneShot
from dragonfly.peer.content.wholecheck import STEP_BYTES, hash_part
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.digest import Hasher

__all__ = ["Prefix"]


class Prefix:
    """Keeps ``file`` readable, whatever becomes of its download, until :meth:`release`."""

    def __init__(self, file: TaskFile, disk: DiskPool) -> None:
        self._file = file
        self._disk = disk
        self._held = True
        file.retain()

    async def hash_into(self, hasher: Hasher, end: int) -> None:
        """Feed the bytes up to ``end`` to ``hasher``, on the disk pool.

        Cancelling stops after the step under way.

        :raises StoreError: they cannot be read.
        """
        for begin in range(0, end, STEP_BYTES):
            await self._step(hasher, begin, min(end, begin + STEP_BYTES))

    def release(self) -> None:
        """It is needed no more; a step under way still ends well."""
        if self._held:
            self._held = False
            self._file.release()

    async def _step(self, hasher: Hasher, begin: int, end: int) -> None:
        done: OneShot[None] = OneShot()  # a thread cannot be cancelled: only the waiting is
        job = self._disk.run(("prefix", self), hash_part, self._file, hasher, begin, end)
        self._file.retain()

        def stepped(result: Failure | None) -> None:
            self._file.release()
            if isinstance(result, Failure):
                done.fail(result)
            else:
                done.fire(None)

        job.addBoth(stepped)
        await done.wait()
