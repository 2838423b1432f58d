"""Where dfget and the peer of a home meet. Standard library only: dfget starts fast by it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SOCKET_PATH_BYTES", "socket_path"]

SOCKET_PATH_BYTES = 100
"""Longest path of a Unix socket that every platform takes (Linux: 108 with the final NUL)."""


def socket_path(home: str | Path) -> Path:
    """The socket of the home directory ``home``: inside it, or under /tmp if that is too long.

    Links are resolved first, so that every way to name a home leads to one socket. Nothing
    is made here.
    """
    root = os.path.realpath(home)
    inside = os.path.join(root, "sock")
    if len(os.fsencode(inside)) <= SOCKET_PATH_BYTES:
        return Path(inside)
    import hashlib  # noqa: PLC0415 - 5 ms that few homes need

    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
    # World-writable /tmp is safe here: who listens makes the directory and checks its owner.
    return Path(f"/tmp/dragonfly-{os.getuid()}") / name  # noqa: S108
