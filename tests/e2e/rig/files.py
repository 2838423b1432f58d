"""Files to distribute: random bytes, made fast, with their digests."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

__all__ = ["MIB", "files_with", "random_file", "sha256"]

MIB = 1 << 20


def random_file(path: Path, size: int, *, seed: int | None = None) -> str:
    """Write ``size`` random bytes; give their SHA-256.

    :param seed: the same bytes each time; ``None``: other ones each time.
    """
    source = random.Random(seed) if seed is not None else None
    hasher = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for begin in range(0, size, MIB):
            count = min(MIB, size - begin)
            data = source.randbytes(count) if source is not None else os.urandom(count)
            hasher.update(data)
            out.write(data)
    return hasher.hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    hasher = hashlib.sha256()
    with path.open("rb") as source:
        while data := source.read(MIB):
            hasher.update(data)
    return hasher.hexdigest()


def files_with(root: Path, secret: bytes, *, but: tuple[str, ...] = ()) -> list[Path]:
    """All files under ``root`` that contain ``secret``, apart from those named ``but``."""
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in but and secret in path.read_bytes()
    ]
