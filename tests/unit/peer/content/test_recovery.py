"""What an earlier run left counts after it was checked, and not before."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from dragonfly.errors import OriginChanged, StoreError
from dragonfly.peer.content.content import ORIGIN
from dragonfly.peer.content.recovery import RECHECK_BYTES, RUNS_AT_ONCE
from dragonfly.signatures import SigningKey
from tests.doubles.tasklab import PIECE, TaskLab
from tests.doubles.watching import ContentLab, spoil


@attrs.define(eq=False)
class Neighbour:
    """A source of bytes."""

    seed: bool = False


def test_a_digest_confirms_what_the_origin_brought(lab: TaskLab) -> None:
    """From then on it may be given to others; the user was told already."""
    scene = ContentLab(lab, runs=False)
    scene.feed(0, ORIGIN)
    scene.content.add_run(lab.run())
    scene.run()
    assert scene.watching.had == [0]
    assert scene.watching.told == [(0, PIECE, "origin")]
    assert scene.watching.asked == [1, 2]
    assert not scene.content.extra
    scene.end()


def test_a_digest_that_refutes_what_the_user_was_given_ends_it(lab: TaskLab) -> None:
    """Part of it is copied by now: only beginning again avoids a mix of two versions."""
    scene = ContentLab(lab, runs=False)
    scene.feed(0, ORIGIN, spoil(lab.piece(0)))
    scene.content.add_run(lab.run())
    scene.run()
    assert [type(error) for error in scene.watching.errors] == [OriginChanged]
    scene.end()


def test_old_pieces_are_hashed_before_they_count(lab: TaskLab) -> None:
    """A journal is a claim: the damaged piece is asked for, the good one is from the cache."""
    file = lab.full_file()
    file.write(PIECE, [b"damage"])
    file.recorded.update([0, 1])
    file.append_run(lab.run())
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    assert scene.content.checking
    lab.threads.run(hops=1)
    assert scene.content.checking
    assert scene.watching.asked == [2]
    assert not scene.content.have
    scene.run()
    assert not scene.content.checking
    assert scene.watching.had == [0]
    assert scene.watching.told == [(0, PIECE, "cache")]
    assert scene.watching.asked == [2, 1]
    scene.end()


def test_old_pieces_wait_for_their_digests(lab: TaskLab) -> None:
    """They are not asked for meanwhile, nor when the digests come."""
    file = lab.full_file()
    file.recorded.update([0, 1, 2])
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.run()
    assert scene.watching.told == []
    scene.content.add_run(lab.run())
    scene.run()
    assert scene.watching.asked == []
    assert scene.watching.finished == 1
    scene.end()


@pytest.mark.parametrize("hashed", [True, False], ids=["hashed", "waiting"])
def test_an_old_piece_that_comes_once_more_is_told_once(lab: TaskLab, hashed: bool) -> None:
    """A seed chooses what it sends, and may not know that it is here."""
    file = lab.full_file()
    file.recorded.update([0])
    file.append_run(lab.run())
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    if hashed:
        scene.run()
    scene.feed(0, Neighbour(seed=True))
    assert scene.watching.had == [0]
    assert [each[:2] for each in scene.watching.told] == [(0, PIECE)]
    scene.end()


def test_a_damaged_old_piece_that_comes_meanwhile_is_not_asked_for_then(lab: TaskLab) -> None:
    """It may be here by the time the disk says that it was not."""
    file = lab.full_file()
    file.write(0, [b"damage"])
    file.recorded.update([0])
    file.append_run(lab.run())
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.feed(0, Neighbour(seed=True))
    assert scene.watching.had == [0]
    assert scene.watching.told == [(0, PIECE, "cdn")]
    assert lab.on_disk(file, 0) == lab.piece(0)
    scene.end()


def test_old_pieces_are_hashed_in_portions(tmp_path: Path) -> None:
    """One job does not keep a thread for a whole file."""
    size = 3 * 1024 * 1024
    lab = TaskLab(tmp_path, size=4 * size, piece_size=4 * 1024 * 1024)
    file = lab.full_file()
    file.recorded.update(range(lab.count))
    file.append_run(lab.run())
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    lab.threads.run(hops=2)
    assert len(scene.content.have) == RECHECK_BYTES // lab.layout.piece_size == 2
    scene.run()
    assert scene.content.complete
    scene.end()


def test_a_stored_run_of_another_supernode_is_left_aside(lab: TaskLab) -> None:
    """The runs before it count."""
    file = lab.file()
    file.append_run(lab.run(0, 2))
    file.append_run(lab.run(2, 3, key=SigningKey.generate()))
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.run()
    assert scene.watching.asked == [0, 1]
    assert not scene.content.checking
    scene.end()


def test_what_lies_behind_a_bad_stored_run_is_learned_from_others(lab: TaskLab) -> None:
    """It is not believed, and not taken for known either."""
    file = lab.file()
    file.append_run(lab.run(0, 1, key=SigningKey.generate()))
    file.append_run(lab.run(1, 3))
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.run()
    assert scene.watching.asked == []
    assert scene.content.add_run(lab.run(1, 3))
    assert scene.watching.asked == [1, 2]
    scene.run()
    scene.end()


def test_a_stored_run_that_contradicts_another_is_left_aside(lab: TaskLab) -> None:
    """Well signed as it is: the first one counts."""
    file = lab.file()
    file.append_run(lab.run(0, 2))
    file.append_run(lab.run(1, 3, wrong=(1,)))
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.run()
    assert scene.watching.asked == [0, 1]
    assert scene.content.manifest.digest(1) == lab.digest(1)
    scene.end()


def test_stored_runs_are_checked_in_portions(tmp_path: Path) -> None:
    """A signature takes its time, and a large content has many."""
    lab = TaskLab(tmp_path, size=(RUNS_AT_ONCE + 2) * PIECE, piece_size=PIECE)
    file = lab.file()
    for piece in range(lab.count):
        file.append_run(lab.run(piece, piece + 1))
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    assert not scene.content.add_run(lab.run(3, 4))  # it is here, though not learned yet
    lab.threads.run(hops=1)
    assert scene.watching.asked == list(range(RUNS_AT_ONCE))
    assert scene.content.checking
    lab.threads.run(hops=1)
    assert scene.watching.asked == list(range(lab.count))
    assert not scene.content.checking
    assert file.runs() == [lab.run(piece, piece + 1) for piece in range(lab.count)]
    scene.end()


def test_stored_runs_are_of_no_use_to_a_content_that_failed(lab: TaskLab) -> None:
    """What the pool found comes too late."""
    file = lab.file()
    file.append_run(lab.run())
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.content.fail(StoreError("no"))
    scene.run()
    assert not scene.content.manifest.known
    assert not scene.content.checking
    scene.end()


def test_a_failure_during_a_recheck_tells_nothing_more(lab: TaskLab) -> None:
    """Its result comes into a content that has failed."""
    file = lab.full_file()
    file.recorded.update([0])
    file.append_run(lab.run())
    scene = ContentLab(lab, file, runs=False)
    scene.content.begin()
    scene.content.fail(StoreError("no"))
    scene.run()
    assert scene.watching.had == []
    scene.end()
