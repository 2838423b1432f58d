"""Whether the content that one download got is what was asked for."""

from __future__ import annotations

from dragonfly.errors import DigestMismatch
from dragonfly.net.disk import DiskPool
from dragonfly.peer.content.content import Content
from dragonfly.peer.content.wholecheck import WholeCheck
from dragonfly.task.digest import Digest

__all__ = ["Verification"]


class Verification:
    """Compares a content with the digest that its caller asked for, once all of it is wanted.

    :param digest: of the whole; ``None``: there is nothing to compare with.
    :param named: the one that the content's name holds, if it does.
    """

    def __init__(
        self, content: Content, digest: Digest | None, named: Digest | None, disk: DiskPool
    ) -> None:
        self._content = content
        self._digest = digest
        self._named = named
        self._disk = disk
        self._check: WholeCheck | None = None

    def begin(self) -> None:
        """All of it is wanted: compare it, if there is something to compare with."""
        if self._digest is not None and self._check is None:
            self._check = WholeCheck(self._content, self._digest, self._disk)
            self._check.advance()

    def advance(self) -> None:
        """More bytes may be ready."""
        if self._check is not None:
            self._check.advance()

    async def result(self) -> None:
        """Wait until all was compared; at once if nothing is.

        :raises DigestMismatch: it is something else. If the name held the digest the content is
            ``spoilt``; one that is not in the name may be this caller's mistake.
        """
        check = self._check
        if check is None:
            return
        check.advance()
        try:
            await check.result()
        except DigestMismatch:
            self._content.spoilt = self._content.spoilt or check.digest == self._named
            raise

    def stop(self) -> None:
        """Nobody wants to know any more."""
        if self._check is not None:
            self._check.stop()
