"""The digest of a whole file, computed behind the download as far as it is without a gap."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dragonfly.errors import DigestMismatch
from dragonfly.net.disk import DiskPool
from dragonfly.net.fanout import OneShot
from dragonfly.peer.content import Content
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


class WholeCheck:
    """Compares one content with a digest of the whole.

    Call :meth:`advance` when more bytes are ready: what is without a gap from the front is
    hashed meanwhile, so that little is left when the last byte comes.
    """

    def __init__(self, content: Content, digest: Digest, disk: DiskPool) -> None:
        self.digest = digest
        self._content = content
        self._disk = disk
        self._hasher = new_hasher(digest.algorithm)
        self._position = 0
        self._busy = False
        self._stopped = False
        self._result: OneShot[None] = OneShot()

    def advance(self) -> None:
        """More bytes may be ready."""
        if self._busy or self._stopped or self._result.fired:
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
        file = self._content.file
        file.retain()

        def done(result: Any) -> None:
            file.release()
            self._busy = False
            error = getattr(result, "value", None)
            if isinstance(error, Exception):
                self._result.fail(error)
                return
            self._position = end
            self.advance()

        job = self._disk.run(("whole", self), hash_part, file, self._hasher, begin, end)
        job.addBoth(done)

    def _compare(self) -> None:
        found = Digest(self.digest.algorithm, self._hasher.digest())
        if found == self.digest:
            self._result.fire(None)
        else:
            self._result.fail(DigestMismatch(f"the content has {found}, expected {self.digest}"))
