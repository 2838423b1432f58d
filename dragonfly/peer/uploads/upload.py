"""One answer to one request: which bytes it has still to send, and what of them was read."""

from __future__ import annotations

from collections import deque

import attrs

from dragonfly.net.throttle import Claim
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.store.piecestore import TaskFile
from dragonfly.wire.constants import SLICE_BYTES

__all__ = ["READ_BYTES", "Upload", "read_slices"]

READ_BYTES = 4 * SLICE_BYTES
"""Bytes read in one hop to a thread (a hop costs some 94 us; 1 MiB makes that 4 % at 1 GiB/s)."""


@attrs.define(eq=False)
class Upload:
    """One answer on its way from the disk to the connection.

    :ivar cursor: everything before it is with the connection.
    :ivar blocks: read, and not written yet.
    :ivar claim: the turn at the rate limit that it waits for.
    :ivar paid: bytes that the limit has let through, and that are not written yet.
    :ivar said: how much the connection had said when the last slice was written.
    :ivar over: it is at its end, sent or given up.
    """

    peer: PeerProtocol
    file: TaskFile
    piece: int
    cursor: int
    end: int
    begin: int
    blocks: deque[bytes] = attrs.field(factory=deque)
    claim: Claim | None = None
    paid: int = 0
    reading: bool = False
    started: bool = False
    over: bool = False
    since: float = 0.0
    said: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """What names this request on its connection."""
        return (self.piece, self.begin)

    @property
    def unread(self) -> int:
        """Bytes that are neither sent nor in :attr:`blocks`."""
        return self.end - self.cursor - sum(map(len, self.blocks))

    def cut(self, most: int) -> int:
        """Make the next slice no longer than ``most``; give its length."""
        data = self.blocks[0]
        if len(data) > most:
            self.blocks[0] = data[most:]
            self.blocks.appendleft(data[:most])
        return len(self.blocks[0])


def read_slices(file: TaskFile, offset: int, length: int) -> list[bytes]:
    """Read ``length`` bytes at ``offset`` as slices; runs on the disk pool.

    :raises StoreError: the file is shorter, or cannot be read.
    """
    return [
        file.read(offset + at, min(SLICE_BYTES, length - at))
        for at in range(0, length, SLICE_BYTES)
    ]
