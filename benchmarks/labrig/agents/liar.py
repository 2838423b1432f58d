"""A peer that gives others wrong bytes: the first of each slice is another one.

python liar.py [options of dfget server]
"""

from __future__ import annotations

import sys

from dragonfly.dfget import server
from dragonfly.peer.uploads import uploader
from dragonfly.store.piecestore import TaskFile

_read_slices = uploader.read_slices


def wrong_slices(file: TaskFile, offset: int, length: int) -> list[bytes]:
    """Read, and lie about it."""
    slices = _read_slices(file, offset, length)
    return [bytes([each[0] ^ 1]) + each[1:] for each in slices]


if __name__ == "__main__":
    uploader.read_slices = wrong_slices
    sys.exit(server.main(sys.argv[1:]))
