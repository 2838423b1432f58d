"""From a stream to pieces: hashed and written in order, whatever the chunks are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dragonfly.errors import StoreError
from dragonfly.store.piecestore import TaskFile
from dragonfly.supernode.intake import Intake
from dragonfly.task.digest import Digest, piece_digest
from tests.doubles.cdn import PIECE, content_of
from tests.doubles.stores import open_store

BODY = content_of(3 * PIECE + 50)
DIGESTS = [piece_digest(BODY[at : at + PIECE]) for at in range(0, len(BODY), PIECE)]


@pytest.fixture
def file(tmp_path: Path) -> TaskFile:
    """An empty task file with room for the body."""
    return open_store(tmp_path).create(b"T" * 32, 1, PIECE, len(BODY))


@pytest.mark.parametrize("step", [1000, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, len(BODY)])
def test_any_chunks(file: TaskFile, step: int) -> None:
    """Pieces come out the same however the stream is cut."""
    intake = Intake(file, algorithm="sha256")
    digests = []
    for at in range(0, len(BODY), step):
        digests += intake.absorb([BODY[at : at + step]])
        assert intake.position == min(at + step, len(BODY))
    last, whole = intake.finish()
    assert [*digests, last] == DIGESTS
    assert whole == Digest("sha256", hashlib.sha256(BODY).digest())
    assert file.read(0, len(BODY)) == BODY


def test_many_chunks_at_once(file: TaskFile) -> None:
    """One job takes what was gathered; it may end several pieces."""
    intake = Intake(file)
    assert intake.absorb([BODY[: PIECE + 7], b"", BODY[PIECE + 7 : 3 * PIECE]]) == DIGESTS[:3]
    assert intake.finish() == (None, None)


@pytest.mark.parametrize("held", [PIECE, 2 * PIECE])
@pytest.mark.parametrize("step", [999, len(BODY)])
def test_what_is_given_out_is_not_written_again(file: TaskFile, held: int, step: int) -> None:
    """Held bytes are hashed, so that they can be compared, and stay as they are on disk."""
    file.write(0, [BODY[:held]])
    other = content_of(len(BODY), seed=2)
    intake = Intake(file, held=held)
    for at in range(0, len(other), step):
        intake.absorb([other[at : at + step]])
    assert file.read(0, len(BODY)) == BODY[:held] + other[held:]


def test_reread(file: TaskFile) -> None:
    """What is on disk is hashed like a stream, and a stream may follow."""
    file.write(0, [BODY])
    intake = Intake(file, algorithm="blake3")
    assert intake.reread(PIECE + 10) == DIGESTS[:1]
    assert intake.reread(2 * PIECE) == DIGESTS[1:2]
    assert intake.absorb([BODY[2 * PIECE :]]) == DIGESTS[2:3]
    assert intake.finish() == (DIGESTS[3], Digest("blake3", piece_digest(BODY)))


def test_nothing(file: TaskFile) -> None:
    """An empty stream has no piece, and the digest of nothing."""
    intake = Intake(file, algorithm="md5")
    assert intake.finish() == (None, Digest("md5", hashlib.md5(b"").digest()))


def test_short_file(file: TaskFile) -> None:
    """A file that lost its end is an error, not a short piece."""
    file.path.write_bytes(BODY[:100])
    with pytest.raises(StoreError, match="100 of"):
        Intake(file).reread(PIECE)
