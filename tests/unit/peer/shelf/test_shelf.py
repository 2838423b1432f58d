"""What the store holds, as the peer sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.errors import StoreError
from dragonfly.peer.shelf.shelf import KEEP_UNFINISHED_S, Shelf
from dragonfly.store.hot import HotPieces
from dragonfly.store.piecestore import TaskFile
from tests.doubles.inline import InlineReactor, inline_disk, result_of
from tests.doubles.stores import open_store

TASK = b"t" * 32
NAME = b"n" * 32
SIZE = 32 * 1024
META = {"name": NAME.hex()}


class Cupboard:
    """A shelf over a real store, at a time that tests set."""

    def __init__(self, root: Path) -> None:
        self.now = 1_000_000.0
        self.store = open_store(root, HotPieces(0))
        disk = inline_disk(InlineReactor())
        self.shelf = Shelf(self.store, disk, wall=lambda: self.now)

    def take(self, *, fetch: int = 1, length: int | None = 3 * SIZE) -> TaskFile:
        """Open the task."""
        file: TaskFile = result_of(self.shelf.take(TASK, fetch, SIZE, length, META))
        return file

    def stored(self, pieces: int) -> None:
        """Have an earlier run that left so many pieces."""
        file = self.take()
        for piece in range(pieces):
            file.write(piece * SIZE, [bytes(SIZE)])
            file.record([piece])
            file.recorded.add(piece)
        self.shelf.give_back(file, file.recorded)


@pytest.fixture
def cupboard(tmp_path: Path) -> Cupboard:
    """An empty one."""
    return Cupboard(tmp_path)


def test_a_registration_tells_what_is_here(cupboard: Cupboard) -> None:
    """The holding names the version, and its pieces as the wire does."""
    cupboard.stored(2)
    shelved = cupboard.shelf.named(NAME)
    assert shelved is not None
    holding = shelved.holding()
    assert holding is not None
    assert (holding.task, holding.fetch, holding.piece_size, holding.count) == (TASK, 1, SIZE, 3)
    assert holding.bits == b"\xc0"


def test_nothing_is_told_of_nothing(cupboard: Cupboard) -> None:
    """Neither of names that were never here, nor of tasks without a piece."""
    assert cupboard.shelf.named(NAME) is None
    cupboard.stored(0)
    shelved = cupboard.shelf.named(NAME)
    assert shelved is not None
    assert shelved.holding() is None


def test_another_process_finds_it(cupboard: Cupboard, tmp_path: Path) -> None:
    """The index is read from the disk."""
    cupboard.stored(2)
    other = Cupboard(tmp_path)
    assert result_of(other.shelf.index()) == 1
    shelved = other.shelf.named(NAME)
    assert shelved is not None
    assert len(shelved.have) == 2
    assert other.take().recorded == shelved.have


def test_another_fetch_begins_from_nothing(cupboard: Cupboard) -> None:
    """Its pieces may be cut elsewhere."""
    cupboard.stored(2)
    assert not cupboard.take(fetch=2).recorded


def test_a_length_that_became_known_is_taken_up(cupboard: Cupboard) -> None:
    """What came while nobody knew it stays."""
    cupboard.shelf.give_back(file := cupboard.take(length=None), file.recorded)
    again = cupboard.take(length=5)
    assert again.length == 5
    assert again.path.stat().st_size == 5


def test_a_damaged_task_is_made_anew(cupboard: Cupboard) -> None:
    """Whatever happened to it, the download works."""
    cupboard.stored(3)
    (cupboard.store.root / "tasks" / "74" / TASK.hex() / "journal").write_bytes(b"garbage")
    assert not cupboard.take().recorded


def test_a_file_of_another_size_is_made_anew(cupboard: Cupboard) -> None:
    """Somebody cut it; the journal does not know."""
    cupboard.stored(3)
    (cupboard.store.root / "tasks" / "74" / TASK.hex() / "data").write_bytes(b"short")
    file = cupboard.take()
    assert not file.recorded
    assert file.path.stat().st_size == 3 * SIZE


def test_finished_tasks_expire_when_idle(cupboard: Cupboard) -> None:
    """Not before, and not while somebody uses them."""
    cupboard.stored(3)
    cupboard.now += 59
    assert cupboard.shelf.expire(60) == []
    file = cupboard.take()
    cupboard.now += 60
    assert cupboard.shelf.expire(60) == []
    cupboard.shelf.give_back(file, file.recorded)
    cupboard.now += 60
    assert cupboard.shelf.expire(60) == [TASK]
    assert not file.path.exists()
    assert cupboard.shelf.named(NAME) is None


def test_interrupted_tasks_wait_a_day(cupboard: Cupboard) -> None:
    """Somebody may come back to them."""
    cupboard.stored(2)
    cupboard.now += KEEP_UNFINISHED_S - 1
    assert cupboard.shelf.expire(60) == []
    cupboard.now += 1
    assert cupboard.shelf.expire(60) == [TASK]


def test_what_nobody_uses_makes_room(cupboard: Cupboard) -> None:
    """Finished or not; what somebody uses stays."""
    cupboard.stored(2)
    file = cupboard.take()
    assert cupboard.shelf.make_room(1) == 0
    cupboard.shelf.give_back(file, file.recorded)
    assert cupboard.shelf.make_room(0) == 0
    assert cupboard.shelf.make_room(1) == 3 * SIZE
    assert not file.path.exists()


def test_what_is_not_to_be_kept_goes_at_once(cupboard: Cupboard) -> None:
    """A private content leaves nothing."""
    file = cupboard.take()
    cupboard.shelf.give_back(file, file.recorded, keep=False)
    assert not file.path.exists()
    assert len(cupboard.shelf) == 0


def test_one_unreadable_task_costs_only_itself(cupboard: Cupboard, tmp_path: Path) -> None:
    """The index has the others."""
    cupboard.stored(2)
    other = Cupboard(tmp_path)
    load, other.store.tasks = other.store.load, lambda: [b"u" * 32, TASK]  # type: ignore[method-assign]

    def broken(task: bytes) -> TaskFile | None:
        if task != TASK:
            raise StoreError("Input/output error")
        return load(task)

    other.store.load = broken  # type: ignore[method-assign]
    assert result_of(other.shelf.index()) == 1
    assert other.shelf.get(TASK) is not None


def test_downloads_begin_though_the_index_cannot_be_read(tmp_path: Path) -> None:
    """An unreadable past is no reason to hang."""
    cupboard = Cupboard(tmp_path)
    ready: list[None] = []
    cupboard.shelf.ready().addCallback(ready.append)
    cupboard.store.tasks = _broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="Input/output"):
        result_of(cupboard.shelf.index())
    assert ready == [None]


def _broken() -> list[bytes]:
    raise OSError(5, "Input/output error")
