"""What a store holds, task by task and by name, as far as this process knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from dragonfly.control.messages import Holding
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.layout import Layout

__all__ = ["Catalogue", "Shelved"]


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

    @classmethod
    def of(cls, file: TaskFile, last_used: float, *, in_use: bool = False) -> Shelved:
        """The entry of ``file`` as it was loaded or made."""
        return cls(
            file.task,
            file.fetch,
            file.piece_size,
            file.length,
            file.meta,
            file.recorded.copy(),
            last_used,
            in_use,
        )

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


class Catalogue:
    """Entries by task; and by name, which may have several versions."""

    def __init__(self) -> None:
        self._shelved: dict[bytes, Shelved] = {}
        self._named: dict[str, set[bytes]] = {}

    def __len__(self) -> int:
        return len(self._shelved)

    def __iter__(self) -> Iterator[Shelved]:
        return iter(list(self._shelved.values()))

    def __contains__(self, task: bytes) -> bool:
        return task in self._shelved

    def get(self, task: bytes) -> Shelved | None:
        """What is known of ``task``."""
        return self._shelved.get(task)

    def named(self, name: bytes) -> Shelved | None:
        """The version of ``name`` that was used last."""
        found = [self._shelved[task] for task in self._named.get(name.hex(), ())]
        return max(found, key=lambda each: each.last_used, default=None)

    def put(self, shelved: Shelved) -> None:
        """Note it, instead of what was known of its task."""
        self.drop(shelved.task)
        self._shelved[shelved.task] = shelved
        self._named.setdefault(shelved.name, set()).add(shelved.task)

    def drop(self, task: bytes) -> None:
        """Know nothing of ``task`` any more."""
        shelved = self._shelved.pop(task, None)
        if shelved is None:
            return
        others = self._named[shelved.name]
        others.discard(task)
        if not others:
            del self._named[shelved.name]
