"""What waits to be written, in order, and the HAVEs that ride on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from dragonfly.wire.codec import encode
from dragonfly.wire.constants import HAVES_PER_FRAME, MAX_RIDING_HAVES
from dragonfly.wire.messages import Data, Have, Message

__all__ = ["Outbound"]


class Outbound:
    """Encodes messages as they are said; slices stay chunks of their own, not copied.

    Pieces that are to be shown wait for a message that has room for them.
    """

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._haves: deque[int] = deque()

    @property
    def size_bytes(self) -> int:
        """What the next :meth:`take` will give."""
        return sum(map(len, self._chunks))

    @property
    def haves(self) -> int:
        """Pieces that wait to be shown."""
        return len(self._haves)

    def say(self, message: Message) -> None:
        """Have it written behind the others."""
        self._chunks.append(encode(message))

    def say_slice(self, head: Data, payload: bytes) -> None:
        """The same of a slice."""
        self._chunks += encode(head), payload

    def take(self) -> list[bytes]:
        """Hand over all of it."""
        chunks, self._chunks = self._chunks, []
        return chunks

    # -- HAVEs ------------------------------------------------------------------------

    def show(self, pieces: Iterable[int]) -> None:
        """Let these ride on what is said next."""
        self._haves.extend(pieces)

    def ride(self, most: int = MAX_RIDING_HAVES) -> tuple[int, ...]:
        """Take up to so many pieces that wait to be shown, those that wait longest first."""
        haves = self._haves
        if not haves:
            return ()
        if len(haves) > most:
            return tuple([haves.popleft() for _ in range(most)])
        taken = tuple(haves)
        haves.clear()
        return taken

    def flush_haves(self) -> None:
        """Say all of them now."""
        while self._haves:
            self.say(Have(self.ride(HAVES_PER_FRAME)))

    def drop_haves(self) -> None:
        """They are shown by other means."""
        self._haves.clear()
