"""The store: tasks come, go and come again, and are never mixed up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.errors import JournalCorrupt, StoreError
from dragonfly.store.piecestore import PieceStore, PieceWriter, verify_pieces
from dragonfly.task.digest import piece_digest

TASK = bytes(range(32))
OTHER = bytes(range(1, 33))
SIZE = 32768


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PieceStore]:
    """An open store in a directory that was not there."""
    made = PieceStore(tmp_path / "home" / "store")
    made.open()
    yield made
    made.close()


def test_form_on_disk(store: PieceStore) -> None:
    """The layout that the documentation shows; names are hexadecimal ids only."""
    store.create(TASK, 1, SIZE, 10)
    directory = store.root / "tasks" / "00" / TASK.hex()
    assert (store.root / "format").read_text() == "dragonfly store 1\n"
    assert sorted(os.listdir(directory)) == ["data", "journal", "manifest", "meta.json"]
    assert (directory / "data").stat().st_size == 10


def test_tasks_are_found_again(store: PieceStore) -> None:
    """By the next run, in the order of their ids; what is no task is not one."""
    store.create(OTHER, 1, SIZE)
    store.create(TASK, 1, SIZE, 10, {"url": "u"})
    (store.root / "tasks" / "00" / "notes").mkdir()
    (store.root / "tasks" / "00" / "notes" / "meta.json").touch()
    store.close()
    again = PieceStore(store.root)
    again.open()
    assert again.tasks() == [TASK, OTHER]
    file = again.load(TASK)
    assert file is not None
    assert (file.length, file.meta) == (10, {"url": "u"})
    assert again.load(b"z" * 32) is None
    again.close()


@pytest.mark.parametrize("text", [b"dragonfly store 2\n", b"something else", b"\xff\xfe"])
def test_store_of_another_version(tmp_path: Path, text: bytes) -> None:
    """It is left alone, to the byte: an older program may still want it."""
    (tmp_path / "format").write_bytes(text)
    with pytest.raises(StoreError, match=r"has store format .*, this program has 1"):
        PieceStore(tmp_path).open()
    assert os.listdir(tmp_path) == ["format"]
    assert (tmp_path / "format").read_bytes() == text


def test_a_root_that_cannot_be(tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=f"{tmp_path}/file"):
        PieceStore(tmp_path / "file" / "store").open()


def test_what_a_crash_left_is_swept(store: PieceStore) -> None:
    """Half-made tasks and half-removed ones hold space that nobody would free."""
    store.create(TASK, 1, SIZE, 10)
    aside = store.root / "tasks" / "00"
    half_made = aside / ("00" * 32)
    half_gone = aside / f"{'01' * 32}.gone-abcd"
    for directory in (half_made, half_gone):
        directory.mkdir()
        (directory / "data").write_bytes(bytes(1000))
    (half_gone / "meta.json").touch()
    PieceStore(store.root).open()
    assert os.listdir(aside) == [TASK.hex()]


def test_an_interrupted_first_start(store: PieceStore) -> None:
    """An empty version mark, as a power loss leaves it, is written again."""
    (store.root / "format").write_bytes(b"")
    PieceStore(store.root).open()
    assert (store.root / "format").read_text() == "dragonfly store 1\n"


# -- removing -----------------------------------------------------------------------------


def test_removing(store: PieceStore) -> None:
    """Nothing is left, and removing what is not there is fine."""
    store.create(TASK, 1, SIZE, 10)
    store.remove(TASK)
    store.remove(TASK)
    assert store.tasks() == []
    assert os.listdir(store.root / "tasks" / "00") == []
    assert store.load(TASK) is None


def test_an_open_reader_reads_to_the_end(store: PieceStore) -> None:
    """Who opened the content by himself, as dfget does, has it until he closes it."""
    file = store.create(TASK, 1, SIZE, 4)
    file.write(0, [b"abcd"])
    with file.path.open("rb") as reader:
        store.remove(TASK)
        assert reader.read() == b"abcd"


def test_fetches_are_not_mixed(store: PieceStore) -> None:
    """Who still holds an earlier fetch can neither read nor write the one that replaced it."""
    old = store.create(TASK, 1, SIZE, 4, {"n": 1})
    old.retain()
    old.write(0, [b"old!"])
    old.record([0])
    new = store.create(TASK, 2, SIZE, 4, {"n": 2})
    new.write(0, [b"new!"])
    with pytest.raises(StoreError, match="removed from the store"):
        old.read(0, 4)
    with pytest.raises(StoreError, match="removed from the store"):
        old.save_meta({"n": 3})
    with pytest.raises(StoreError, match="removed from the store"):
        old.record([0])
    old.close()
    old.release()
    loaded = store.load(TASK)
    assert loaded is not None
    assert (loaded.fetch, loaded.meta, list(loaded.recorded)) == (2, {"n": 2}, [])
    assert new.read(0, 4) == loaded.read(0, 4) == b"new!"


def test_other_tasks_are_left_alone(store: PieceStore) -> None:
    """Removing one task does not touch another."""
    kept = store.create(OTHER, 1, SIZE, 4)
    kept.write(0, [b"kept"])
    store.create(TASK, 1, SIZE, 4)
    store.remove(TASK)
    assert kept.read(0, 4) == b"kept"


def test_a_task_that_cannot_be_made(store: PieceStore) -> None:
    """Nothing is left behind of it."""
    with pytest.raises(StoreError):
        store.create(TASK, 1, SIZE, 1 << 62)
    assert store.tasks() == []
    assert os.listdir(store.root / "tasks" / "00") == []


def test_a_damaged_task(store: PieceStore) -> None:
    """It is told as damage, and can be removed and made again."""
    store.create(TASK, 1, SIZE, 4)
    (store.root / "tasks" / "00" / TASK.hex() / "journal").write_bytes(b"")
    with pytest.raises(JournalCorrupt, match="a journal of 0 bytes"):
        store.load(TASK)
    store.remove(TASK)
    store.create(TASK, 2, SIZE, 4)
    assert store.tasks() == [TASK]


# -- pieces -------------------------------------------------------------------------------


def test_writing_a_piece_in_parts(store: PieceStore) -> None:
    """It lies at its place, and its digest is that of all parts."""
    file = store.create(TASK, 1, SIZE, 3 * SIZE)
    writer = PieceWriter(file, 1)
    writer.write([b"one", memoryview(b"two")])
    writer.write([b"three"])
    assert writer.digest() == piece_digest(b"onetwothree")
    assert file.read(SIZE, 11) == b"onetwothree"


def test_verifying(store: PieceStore) -> None:
    """Good pieces are named; changed, missing, short and unknown ones are not."""
    file = store.create(TASK, 1, SIZE, 4 * SIZE + 5)
    pieces = [bytes([n]) * file.piece_length(n) for n in range(5)]
    for number, piece in enumerate(pieces):
        file.write(number * SIZE, [piece])
    digests = dict(enumerate(map(piece_digest, pieces)))
    assert verify_pieces(file, digests.get, range(5)) == [0, 1, 2, 3, 4]
    file.write(SIZE + 9, [b"\xff"])
    del digests[3]
    assert verify_pieces(file, digests.get, range(7)) == [0, 2, 4]
    os.truncate(file.path, 4 * SIZE + 4)
    assert verify_pieces(file, digests.get, [4, 0]) == [0]


def test_verifying_a_large_piece(store: PieceStore) -> None:
    """It is read in slices, and the digest is that of the whole."""
    size = 1 << 20
    file = store.create(TASK, 1, size, size)
    content = bytes(range(256)) * 4096
    file.write(0, [content])
    assert verify_pieces(file, {0: piece_digest(content)}.get, [0]) == [0]
