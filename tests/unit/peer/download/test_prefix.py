"""The front of a file, hashed again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from dragonfly.errors import StoreError
from dragonfly.peer.content.wholecheck import STEP_BYTES
from dragonfly.peer.download.prefix import Prefix
from dragonfly.task.digest import new_hasher
from tests.doubles.tasklab import PIECE, TaskLab


class Scene:
    """A file that is whole, and its front."""

    def __init__(self, home: Path, *, size: int = 3 * PIECE) -> None:
        self.lab = TaskLab(home, size=size, piece_size=max(PIECE, size // 2))
        self.file = self.lab.full_file()
        self.prefix = Prefix(self.file, self.lab.disk)
        self.hasher = new_hasher("sha256")
        self.result: list[Any] = []

    def hash_up_to(self, end: int) -> Deferred[None]:
        """Begin."""
        hashing = Deferred.fromCoroutine(self.prefix.hash_into(self.hasher, end))
        hashing.addBoth(self.result.append)
        return hashing


@pytest.mark.parametrize("end", [0, 1, PIECE + 5, 3 * PIECE])
def test_exactly_so_much(tmp_path: Path, end: int) -> None:
    """To the byte."""
    scene = Scene(tmp_path)
    scene.hash_up_to(end)
    scene.lab.threads.run()
    assert scene.result == [None]
    assert scene.hasher.digest() == hashlib.sha256(scene.lab.body[:end]).digest()


def test_several_steps(tmp_path: Path) -> None:
    """Each is one job, so that a thread is never long away."""
    scene = Scene(tmp_path, size=STEP_BYTES + 1000)
    scene.hash_up_to(STEP_BYTES + 1000)
    scene.lab.threads.run()
    assert scene.result == [None]
    assert scene.hasher.digest() == hashlib.sha256(scene.lab.body).digest()


def test_it_stays_readable_until_it_is_released(tmp_path: Path) -> None:
    """Whoever closes the file meanwhile."""
    scene = Scene(tmp_path)
    scene.file.close()
    scene.hash_up_to(PIECE)
    scene.lab.threads.run()
    assert scene.result == [None]
    scene.prefix.release()
    scene.prefix.release()
    assert not scene.file.in_use


def test_cancelled_and_released_in_the_middle(tmp_path: Path) -> None:
    """The file is not closed under the thread that reads it."""
    scene = Scene(tmp_path)
    hashing = scene.hash_up_to(PIECE)
    hashing.cancel()
    assert scene.result[0].check(CancelledError)
    scene.prefix.release()
    scene.file.close()
    assert scene.file.in_use
    scene.lab.threads.run()
    assert not scene.file.in_use


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """Says the disk."""
    scene = Scene(tmp_path)
    Path(scene.file.path).write_bytes(b"short")
    scene.hash_up_to(PIECE)
    scene.lab.threads.run()
    assert scene.result[0].check(StoreError)
