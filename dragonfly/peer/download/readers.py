"""Those who read one download while it comes."""

from __future__ import annotations

from collections.abc import Iterator

from dragonfly.peer.download.reader import OrderedReader

__all__ = ["Readers"]


class Readers:
    """The readers of one download that have not ended."""

    def __init__(self) -> None:
        self._readers: list[OrderedReader] = []

    def __len__(self) -> int:
        return len(self._readers)

    def __iter__(self) -> Iterator[OrderedReader]:
        return iter(list(self._readers))

    def add(self, reader: OrderedReader) -> None:
        """One more."""
        self._readers.append(reader)

    def discard(self, reader: OrderedReader) -> None:
        """It has ended; unknown ones are no error."""
        if reader in self._readers:
            self._readers.remove(reader)

    def advance(self, length: int | None = None) -> None:
        """More bytes may be ready, and the length be known."""
        for reader in self:
            reader.advance(length)

    def fail(self, error: Exception) -> None:
        """There is nothing more for any of them."""
        for reader in self:
            reader.fail(error)
