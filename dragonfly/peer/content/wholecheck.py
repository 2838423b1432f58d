"""The digest of a whole file, computed behind the download as far as it is without a gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dragonfly.errors import DigestMismatch
from dragonfly.net.disk import DiskPool
from dragonfly.net.fanout import OneShot
from dragonfly.peer.content.content import Content
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.digest import Digest, Hasher, new_hasher
from dragonfly.wire.constants import SLICE_BYTES

__all__ = ["STEP_BYTES", "WholeCheck", "hash_part"]

STEP_BYTES = 8 * 1024 * 1024
"""Hashed in one job: 5 ms of a thread for SHA-256, 10 for MD5, and a stop is not far."""


def hash_part(file: TaskFile, hasher: Hasher, begin: int, end: int) -> None:
    """Feed bytes of the file to ``hasher``; runs on the disk pool."""
    for at in range(begin, end, SLICE_BYTES):
        hasher.update(file.read(at, min(SLICE_BYTES, end - at)))


def _hash_step(file: TaskFile, hasher: Hasher, begin: int, end: int) -> tuple[int, int, int]:
    hash_part(file, hasher, begin, end)
    return file.stamp()


class WholeCheck:
    """Compares one content with a digest of the whole.

    Call :meth:`advance` when more bytes are ready: what is without a gap from the front is
    hashed meanwhile, so that little is left when the last byte comes.

    What was compared once is not hashed again while its file is as it was: half of what a
    layer costs that a host has already.
    """

    def __init__(self, content: Content, digest: Digest, disk: DiskPool) -> None:
        self.digest = digest
        self._content = content
        self._disk = disk
        self._hasher = new_hasher(digest.algorithm)
        self._mark = content.vouched.get(digest)
        self._stamp = (0, 0, 0)
        self._position = 0
        self._busy = False
        self._stopped = False
        self._result: OneShot[None] = OneShot()

    def advance(self) -> None:
        """More bytes may be ready."""
        if self._busy or self._stopped or self._result.fired:
            return
        memory = self._content.memory
        if memory is not None and self._position == 0:  # a few KiB: no thread is worth it
            self._hasher.update(memory)
            self._position = len(memory)
            self._compare(mark=False)
            return
        if self._mark is not None:
            self._look_at_mark(self._mark)
            return
        begin = self._position
        end = min(self._content.ready_to(begin), begin + STEP_BYTES)
        if end > begin:
            self._busy = True
            self._hash(begin, end)
        elif self._position == self._content.layout.length:
            self._compare()

    def result(self) -> Deferred[None]:
        """Fires when the whole was compared.

        It fails with :class:`~dragonfly.errors.DigestMismatch`, or with what the disk said.
        Cancelling removes this waiter only.
        """
        return self._result.wait()

    def stop(self) -> None:
        """Hash no more."""
        self._stopped = True

    def _hash(self, begin: int, end: int) -> None:
        def done(stamp: tuple[int, int, int]) -> None:
            self._stamp = stamp
            self._position = end

        self._job(done, _hash_step, self._content.file, self._hasher, begin, end)

    def _look_at_mark(self, mark: tuple[int, int, int]) -> None:
        """Whether the file is still what was compared; if not, hash it."""

        def done(stamp: tuple[int, int, int]) -> None:
            self._mark = None
            if stamp == mark:
                self._result.fire(None)

        self._busy = True
        self._job(done, self._content.file.stamp)

    def _job(self, then: Callable[[Any], None], fn: Callable[..., Any], *args: Any) -> None:
        """Let ``fn`` touch the file, give what it returns to ``then``, and go on."""
        file = self._content.file
        file.retain()

        def done(result: Any) -> None:
            file.release()
            self._busy = False
            error = getattr(result, "value", None)
            if isinstance(error, Exception):
                self._result.fail(error)
                return
            then(result)
            self.advance()

        self._disk.run(("whole", self), fn, *args).addBoth(done)

    def _compare(self, *, mark: bool = True) -> None:
        found = Digest(self.digest.algorithm, self._hasher.digest())
        if found == self.digest:
            if mark:
                self._content.vouched[self.digest] = self._stamp
            self._result.fire(None)
        else:
            self._result.fail(DigestMismatch(f"the content has {found}, expected {self.digest}"))
