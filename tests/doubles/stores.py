"""Stores on disk for one test: what it opens is closed when it ends, whatever became of it.

::

    store = open_store(tmp_path)
"""

from __future__ import annotations

from pathlib import Path

from dragonfly.store.hot import HotPieces
from dragonfly.store.piecestore import PieceStore

__all__ = ["close_stores", "open_store"]

_opened: list[PieceStore] = []


def open_store(root: Path, hot: HotPieces | None = None) -> PieceStore:
    """A store at ``root`` that is open until the test ends."""
    store = PieceStore(root, hot)
    store.open()
    _opened.append(store)
    return store


def close_stores() -> None:
    """Close their files; ``conftest.py`` does after each test."""
    while _opened:
        _opened.pop().close()
