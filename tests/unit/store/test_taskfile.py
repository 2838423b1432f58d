"""One task on disk: what survives, and what happens to what is damaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dragonfly.errors import JournalCorrupt, StoreError
from dragonfly.store.descriptors import Descriptors
from dragonfly.store.hot import HotPieces
from dragonfly.store.taskfile import TaskFile

TASK = b"t" * 32
SIZE = 32768


@pytest.fixture
def descriptors() -> Iterator[Descriptors]:
    """Closed afterwards."""
    made = Descriptors()
    yield made
    made.close_all()


def make(
    directory: Path, descriptors: Descriptors, length: int | None = 3 * SIZE, **meta: Any
) -> TaskFile:
    """A new task in ``directory``."""
    file = TaskFile(
        directory,
        descriptors,
        task=TASK,
        fetch=7,
        piece_size=SIZE,
        length=length,
        meta=meta,
        hot=HotPieces(0),
    )
    file.create()
    return file


def load(directory: Path, descriptors: Descriptors) -> TaskFile:
    """The task as the next run finds it."""
    file = TaskFile.load(directory, descriptors, TASK, HotPieces(0))
    assert file is not None
    return file


def test_everything_survives(tmp_path: Path, descriptors: Descriptors) -> None:
    """What was written, recorded, signed and noted is there in the next run."""
    file = make(tmp_path / "t", descriptors, url="u")
    file.write(SIZE, [b"ab", memoryview(b"cd")])
    file.record([1])
    file.record([])
    file.append_run(b"run one")
    file.append_run(b"")
    file.save_meta({"url": "v"})
    again = load(tmp_path / "t", descriptors)
    assert (again.fetch, again.piece_size, again.length) == (7, SIZE, 3 * SIZE)
    assert again.meta == file.meta == {"url": "v"}
    assert list(again.recorded) == [1]
    assert again.runs() == file.runs() == [b"run one", b""]
    assert again.read(SIZE - 1, 6) == b"\0abcd\0"
    assert sorted(os.listdir(tmp_path / "t")) == ["data", "journal", "manifest", "meta.json"]


def test_a_new_task_claims_nothing(tmp_path: Path, descriptors: Descriptors) -> None:
    """It has its length on disk and no piece."""
    file = make(tmp_path / "t", descriptors)
    assert file.path.stat().st_size == 3 * SIZE
    assert not load(tmp_path / "t", descriptors).recorded


def test_records_go_on_behind_a_torn_tail(tmp_path: Path, descriptors: Descriptors) -> None:
    """A crash in the middle of an append costs that append and nothing after it."""
    file = make(tmp_path / "t", descriptors)
    file.record([0])
    file.append_run(b"one")
    for name in ("journal", "manifest"):
        with (tmp_path / "t" / name).open("ab") as torn:
            torn.write(b"\0\0\1")
    again = load(tmp_path / "t", descriptors)
    assert again.runs() == [b"one"]
    again.record([2])
    again.append_run(b"two")
    last = load(tmp_path / "t", descriptors)
    assert list(last.recorded) == [0, 2]
    assert last.runs() == [b"one", b"two"]


def test_pieces(tmp_path: Path, descriptors: Descriptors) -> None:
    """The last is shorter once the length is known, and there is none beyond."""
    file = make(tmp_path / "t", descriptors, length=None)
    assert file.piece_length(5) == SIZE
    file.set_length(SIZE + 5)
    assert [file.piece_length(piece) for piece in range(3)] == [SIZE, 5, 0]
    assert file.path.stat().st_size == SIZE + 5
    assert load(tmp_path / "t", descriptors).length == SIZE + 5


def test_reading_beyond_the_end(tmp_path: Path, descriptors: Descriptors) -> None:
    """An error with path and both numbers, never fewer bytes."""
    file = make(tmp_path / "t", descriptors, length=10)
    with pytest.raises(StoreError, match=r"t/data: 4 of 5 bytes at 6"):
        file.read(6, 5)


def test_nothing_there(tmp_path: Path, descriptors: Descriptors) -> None:
    """Without its metadata, which comes last, a task never was."""
    assert TaskFile.load(tmp_path / "t", descriptors, TASK, HotPieces(0)) is None
    make(tmp_path / "t", descriptors)
    (tmp_path / "t" / "meta.json").unlink()
    assert TaskFile.load(tmp_path / "t", descriptors, TASK, HotPieces(0)) is None


def test_damaged_metadata(tmp_path: Path, descriptors: Descriptors) -> None:
    """Whatever a power loss or an editor made of it: told as damage, with its path."""
    make(tmp_path / "t", descriptors)
    (tmp_path / "t" / "meta.json").write_bytes(b"{")
    with pytest.raises(JournalCorrupt, match=r"t/meta\.json"):
        load(tmp_path / "t", descriptors)


@pytest.mark.parametrize("name", ["journal", "manifest"])
def test_a_missing_part(tmp_path: Path, descriptors: Descriptors, name: str) -> None:
    """A task whose journal somebody removed is damaged, not absent."""
    make(tmp_path / "t", descriptors)
    (tmp_path / "t" / name).unlink()
    with pytest.raises(JournalCorrupt, match=f"{name} is missing"):
        TaskFile.load(tmp_path / "t", descriptors, TASK, HotPieces(0))


def test_the_journal_of_another_task(tmp_path: Path, descriptors: Descriptors) -> None:
    """A directory under a wrong name is not believed."""
    make(tmp_path / "t", descriptors)
    with pytest.raises(JournalCorrupt, match="not of"):
        TaskFile.load(tmp_path / "t", descriptors, b"u" * 32, HotPieces(0))


def test_when_it_was_used(tmp_path: Path, descriptors: Descriptors) -> None:
    """The time survives; of what is gone it is the beginning of time."""
    file = make(tmp_path / "t", descriptors)
    file.touch(12345.0)
    assert load(tmp_path / "t", descriptors).last_used == 12345.0
    (tmp_path / "t" / "meta.json").unlink()
    assert file.last_used == 0.0


def test_it_stays_open_while_retained(tmp_path: Path, descriptors: Descriptors) -> None:
    """Closing waits for the last user; a later use opens it again."""
    file = make(tmp_path / "t", descriptors)
    file.read(0, 1)
    file.retain()
    file.retain()
    file.close()
    file.release()
    assert (file.in_use, len(descriptors)) == (True, 1)
    file.release()
    assert (file.in_use, len(descriptors)) == (False, 0)
    assert file.read(0, 1) == b"\0"


def test_removed(tmp_path: Path, descriptors: Descriptors) -> None:
    """Nothing reaches the files of that name any more, whoever's they are."""
    file = make(tmp_path / "t", descriptors, length=5)
    file.forget()
    uses = (
        lambda: file.read(0, 1),
        lambda: file.write(0, [b"x"]),
        lambda: file.record([0]),
        lambda: file.append_run(b"x"),
        lambda: file.set_length(4),
        lambda: file.save_meta({"a": 1}),
        lambda: file.touch(1.0),
    )
    for use in uses:
        with pytest.raises(StoreError, match="removed from the store"):
            use()
    again = load(tmp_path / "t", descriptors)
    assert (again.read(0, 5), again.meta, again.runs()) == (bytes(5), {}, [])
