"""The front of a blob that went out from the swarm, in case the registry brings the rest."""

from __future__ import annotations

from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.peer.download.prefix import Prefix
from dragonfly.task.digest import Digest, Hasher, new_hasher

__all__ = ["SentFront"]


class SentFront:
    """Keeps what was read last readable, so that the digest of all that went out can be known."""

    def __init__(self) -> None:
        self._prefix: Prefix | None = None

    def keep(self, download: Transferring) -> None:
        """That is what is read from now on; what was kept before is let go."""
        self.release()
        self._prefix = download.prefix()

    async def hasher(self, digest: Digest, end: int) -> Hasher:
        """Give one that has taken the bytes up to ``end``.

        Cancelling stops after the step of hashing under way.

        :raises StoreError: they cannot be read.
        """
        hasher = new_hasher(digest.algorithm)
        if end and self._prefix is not None:
            await self._prefix.hash_into(hasher, end)
        return hasher

    def release(self) -> None:
        """It is needed no more."""
        prefix, self._prefix = self._prefix, None
        if prefix is not None:
            prefix.release()
