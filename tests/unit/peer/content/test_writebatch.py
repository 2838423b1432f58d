"""When verified pieces go to the disk, and how many of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from dragonfly.peer.content.writebatch import (
    BATCH_BYTES,
    BATCH_S,
    READER_BATCH_S,
    Verified,
    WriteBatch,
)

SMALL = 1000


class Scene:
    """A batch whose writes are kept."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.written: list[list[int]] = []
        self.batch = WriteBatch(self.clock, self._write)

    def _write(self, pieces: list[Verified]) -> None:
        self.written.append([each.piece for each in pieces])

    def add(self, *pieces: int, size: int = SMALL) -> None:
        """These are verified."""
        for piece in pieces:
            self.batch.add(Verified(piece, "n", bytes(size)))


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Nothing waits; at the end no timer may be left."""
    scene = Scene()
    yield scene
    scene.batch.flush()
    assert scene.clock.getDelayedCalls() == []


def test_the_first_does_not_wait(scene: Scene) -> None:
    """Whoever comes after a pause is alone."""
    scene.add(0)
    assert scene.written == [[0]]
    assert scene.clock.getDelayedCalls() == []
    scene.clock.advance(BATCH_S)
    scene.add(1)
    assert scene.written == [[0], [1]]
    assert scene.clock.getDelayedCalls() == []


def test_the_next_ones_are_gathered(scene: Scene) -> None:
    """Until the time is over that began with the last write, in the order in which they came."""
    scene.add(0)
    scene.clock.advance(BATCH_S / 2)
    scene.add(2, 1)
    scene.clock.advance(BATCH_S / 4)
    scene.add(3)
    assert scene.written == [[0]]
    scene.clock.advance(BATCH_S / 4)
    assert scene.written == [[0], [2, 1, 3]]
    scene.clock.advance(10 * BATCH_S)
    assert scene.written == [[0], [2, 1, 3]]


def test_a_reader_waits_less(scene: Scene) -> None:
    """From the moment at which it is told on."""
    scene.batch.wait_s = READER_BATCH_S
    scene.add(0, 1)
    scene.clock.advance(READER_BATCH_S)
    assert scene.written == [[0], [1]]


def test_the_next_batch_begins_with_the_last_write(scene: Scene) -> None:
    """One that comes right after it waits, too."""
    scene.add(0, 1)
    scene.clock.advance(BATCH_S)
    scene.add(2)
    assert scene.written == [[0], [1]]
    scene.clock.advance(BATCH_S)
    assert scene.written == [[0], [1], [2]]


def test_many_bytes_do_not_wait(scene: Scene) -> None:
    """What is gathered is bounded; and is counted anew after each write."""
    half = BATCH_BYTES // 2
    scene.add(0)
    scene.add(1, size=half)
    assert scene.written == [[0]]
    scene.add(2, size=BATCH_BYTES - half)
    assert scene.written == [[0], [1, 2]]
    assert scene.clock.getDelayedCalls() == []
    scene.add(3, size=half)
    assert scene.written == [[0], [1, 2]]


def test_flushing_writes_what_waits(scene: Scene) -> None:
    """Once; its timer goes with it."""
    scene.add(0, 1, 2)
    scene.batch.flush()
    assert scene.written == [[0], [1, 2]]
    assert scene.clock.getDelayedCalls() == []
    scene.batch.flush()
    assert scene.written == [[0], [1, 2]]


def test_nothing_is_not_written(scene: Scene) -> None:
    """And does not count as a write: the first still does not wait."""
    scene.batch.flush()
    assert scene.written == []
    scene.add(0)
    assert scene.written == [[0]]


def test_what_comes_while_it_is_written_is_of_the_next_batch() -> None:
    """The writer may verify another one by that."""
    clock = Clock()
    written: list[list[int]] = []

    def write(pieces: list[Verified]) -> None:
        written.append([each.piece for each in pieces])
        if len(written) == 1:
            batch.add(Verified(1, "n", b"x"))

    batch = WriteBatch(clock, write)
    batch.add(Verified(0, "n", b"x"))
    assert written == [[0]]
    clock.advance(BATCH_S)
    assert written == [[0], [1]]
    assert clock.getDelayedCalls() == []
