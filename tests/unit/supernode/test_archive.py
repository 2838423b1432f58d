"""What of the CDN's contents outlives its process, and what is not believed after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.control.messages import Validator
from dragonfly.errors import DigestMismatch, NoSources, OriginChanged
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.store.piecestore import PieceStore
from dragonfly.supernode.archive import Archive, has_ended
from dragonfly.supernode.content import Content, State
from dragonfly.task.digest import piece_digest
from dragonfly.task.manifest import Manifest
from tests.doubles.cdn import PIECE
from tests.doubles.stores import open_store

KEY = SigningKey.from_bytes(b"\1" * 32)


@pytest.fixture
def store(tmp_path: Path) -> PieceStore:
    """An empty store."""
    return open_store(tmp_path)


def _content(task: bytes = b"T" * 32, created: float = 1.0) -> Content:
    return Content(
        id=task,
        name=b"n" * 32,
        url="http://origin.example/f",
        fetch=7,
        manifest=Manifest(task, 7, PIECE, 10),
        validator=Validator(etag='"v1"'),
        created=created,
    )


def _stored(archive: Archive, content: Content) -> None:
    """All of it is signed and on disk, and its fetch has ended well."""
    file = content.file = archive.create(content)
    file.write(0, [b"0123456789"])
    content.add_digest(piece_digest(b"0123456789"))
    for raw in content.sign(KEY, end=10):
        file.append_run(raw)
    file.record([0])
    archive.write_end(content, None)
    file.close()


def test_what_was_stored_is_there_again(store: PieceStore) -> None:
    """With its manifest, and failed until somebody asks for it."""
    archive = Archive(store, KeyRing([KEY.public]))
    _stored(archive, _content())
    found = archive.load(b"T" * 32)
    assert found is not None
    assert found.manifest.complete
    assert (found.url, found.fetch, found.validator.etag) == ("http://origin.example/f", 7, '"v1"')
    assert found.state is State.FAILED
    assert isinstance(found.error, NoSources)


def test_the_runs_of_another_supernode_are_not_believed(store: PieceStore) -> None:
    """The task is removed: it can be fetched again."""
    _stored(Archive(store, KeyRing([KEY.public])), _content())
    stranger = Archive(store, KeyRing([SigningKey.from_bytes(b"\2" * 32).public]))
    assert stranger.load(b"T" * 32) is None
    assert list(store.tasks()) == []


def test_names_are_read_from_the_oldest_on(store: PieceStore) -> None:
    """So that the newest of one name is noted last."""
    archive = Archive(store, KeyRing([KEY.public]))
    for task, created in ((b"b" * 32, 3.0), (b"a" * 32, 5.0), (b"c" * 32, 1.0)):
        _stored(archive, _content(task, created))
    assert [task[:1] for task, _ in archive.scan()] == [b"c", b"b", b"a"]
    assert all(meta["complete"] for _, meta in archive.scan())


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (None, False),
        (NoSources("no"), False),
        (OriginChanged("other"), True),
        (DigestMismatch("other"), True),
    ],
)
def test_a_version_that_ended_leaves_nothing(
    store: PieceStore, error: NoSources | None, *, ended: bool
) -> None:
    """One whose fetch failed is gone on with later."""
    archive = Archive(store, KeyRing([KEY.public]))
    content = _content()
    content.file = archive.create(content)
    archive.write_end(content, error)
    assert has_ended(error) is ended
    assert list(store.tasks()) == ([] if ended else [content.id])
