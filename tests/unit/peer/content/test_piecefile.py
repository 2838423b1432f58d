"""What a file holds piece by piece, and what bytes of another source may do to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.peer.content.assembly import Assembly
from dragonfly.peer.content.piecefile import PieceFile, Verdict
from dragonfly.peer.content.writebatch import Verified
from dragonfly.store.journal import recover
from dragonfly.store.piecestore import PieceWriter, TaskFile
from dragonfly.task.digest import piece_digest
from tests.doubles.tasklab import PIECE, TaskLab


@pytest.fixture
def file(lab: TaskLab) -> Iterator[TaskFile]:
    """Room for three pieces, none of them here."""
    file = lab.file()
    file.retain()
    yield file
    file.release()


def _assembly(lab: TaskLab, piece: int) -> Assembly:
    return Assembly(piece, piece * PIECE, len(lab.piece(piece)))


def _journal(file: TaskFile) -> list[int]:
    """The pieces that a restart would find."""
    raw = (Path(file.path).parent / "journal").read_bytes()
    return sorted(recover(raw, file.task).pieces)


def _in_parts(lab: TaskLab, file: TaskFile, piece: int) -> Assembly:
    assembly = _assembly(lab, piece)
    assembly.writer = PieceWriter(file, piece, 0)
    return assembly


def test_right_bytes_are_written_and_journalled(lab: TaskLab, file: TaskFile) -> None:
    """Once; the same piece from another source changes nothing."""
    pieces, good = PieceFile(file), lab.piece(1)
    digest = piece_digest(good)
    assert pieces.store_whole(_assembly(lab, 1), [good], digest) == (Verdict.VERIFIED, digest)
    assert lab.on_disk(file, 1) == good
    assert _journal(file) == [1]
    second = pieces.store_whole(_assembly(lab, 1), [bytes(PIECE)], digest)
    assert second == (Verdict.SECOND, b"")
    assert lab.on_disk(file, 1) == good


def test_wrong_bytes_are_not_written(lab: TaskLab, file: TaskFile) -> None:
    """Their digest tells who sent them what it was worth."""
    pieces, digest = PieceFile(file), piece_digest(b"other")
    verdict, found = pieces.store_whole(_assembly(lab, 0), [b"x" * PIECE], digest)
    assert (verdict, found) == (Verdict.WRONG, piece_digest(b"x" * PIECE))
    assert lab.on_disk(file, 0) == bytes(PIECE)
    assert _journal(file) == []


def test_a_piece_in_parts_is_judged_at_its_end(lab: TaskLab, file: TaskFile) -> None:
    """By what its source sent, unless others wrote there, too."""
    pieces, good = PieceFile(file), lab.piece(0)
    digest = piece_digest(good)
    ours, theirs = _in_parts(lab, file, 0), _in_parts(lab, file, 0)
    pieces.write_part(ours, [good[:1000]])
    pieces.write_part(theirs, [bytes(1000)])
    assert pieces.finish_parts(ours, [good[1000:]], digest) == (Verdict.SPOILT, digest)
    assert _journal(file) == []
    again = _in_parts(lab, file, 0)
    pieces.write_part(again, [good[:1000]])
    assert pieces.finish_parts(again, [good[1000:]], digest) == (Verdict.VERIFIED, digest)
    pieces.write_part(theirs, [bytes(1000)])  # too late to do harm
    assert lab.on_disk(file, 0) == good


def test_what_was_compared_may_be_written_over_what_was_not(lab: TaskLab, file: TaskFile) -> None:
    """A piece stored without a digest may be wrong; the journal names it once."""
    pieces = PieceFile(file)
    pieces.store_whole(_assembly(lab, 0), [bytes(PIECE)], None)
    pieces.store_verified([Verified(piece, "n", lab.piece(piece)) for piece in (0, 1)])
    assert lab.on_disk(file, 0) == lab.piece(0)
    assert _journal(file) == [0, 1]


def test_what_is_trusted_is_not_written_over_until_it_is_distrusted(
    lab: TaskLab, file: TaskFile
) -> None:
    """Whoever said so."""
    pieces, good = PieceFile(file), lab.piece(0)
    digest = piece_digest(good)
    pieces.trust([0])
    assert pieces.store_whole(_assembly(lab, 0), [good], digest)[0] is Verdict.SECOND
    pieces.distrust([0])
    assert pieces.store_whole(_assembly(lab, 0), [good], digest)[0] is Verdict.VERIFIED


def test_a_recheck_believes_the_file_only(lab: TaskLab, tmp_path: Path) -> None:
    """What is damaged counts no more, and may be written over."""
    file = lab.full_file()
    file.retain()
    file.write(PIECE, [b"damage"])
    pieces = PieceFile(file)
    pieces.trust([0, 1])
    expected = {piece: piece_digest(lab.piece(piece)) for piece in (0, 1)}
    assert pieces.recheck(expected) == [0]
    verdict, _ = pieces.store_whole(_assembly(lab, 1), [lab.piece(1)], expected[1])
    assert verdict is Verdict.VERIFIED
    assert lab.on_disk(file, 1) == lab.piece(1)
    file.release()
