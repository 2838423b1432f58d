"""The digest of the whole, computed behind the download."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dragonfly.errors import DigestMismatch, StoreError
from dragonfly.peer.content.wholecheck import STEP_BYTES, WholeCheck
from dragonfly.task.digest import Digest, new_hasher
from tests.doubles.tasklab import PIECE, TaskLab


def digest_of(body: bytes, algorithm: str = "sha256") -> Digest:
    """The right digest of ``body``."""
    hasher = new_hasher(algorithm)
    hasher.update(body)
    return Digest(algorithm, hasher.digest())


class Scene:
    """A content whose bytes come piece by piece, and its check."""

    def __init__(self, home: Path, *, wrong: bool = False, size: int = 3 * PIECE - 1000) -> None:
        self.lab = TaskLab(home, size=size)
        self.file = self.lab.file()
        self.file.retain()
        self.content = self.lab.content(self.file)
        self.check = WholeCheck(
            self.content, digest_of(b"other" if wrong else self.lab.body), self.lab.disk
        )
        self.results: list[Any] = []
        self.wait()

    def wait(self) -> Deferred[Any]:
        """One more waiter."""
        return self.check.result().addBoth(self.results.append)

    def come(self, *pieces: int) -> None:
        """These are here; the check hears of it as from a download."""
        for piece in pieces:
            self.content.intake.add("n", piece, 0, self.lab.piece(piece))
            self.lab.threads.run()
            self.check.advance()
        self.lab.threads.run()

    def end(self) -> None:
        """Whatever was retained must have been released."""
        self.lab.threads.run()
        assert self.file.in_use, "released more often than retained"
        self.file.release()
        assert not self.file.in_use


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three pieces, nothing here."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


def test_the_right_content_passes_in_any_order_of_pieces(scene: Scene) -> None:
    """It is hashed from the front; the result comes with the last gap."""
    scene.come(2, 0)
    assert scene.results == []
    scene.come(1)
    assert scene.results == [None]


def test_hashing_goes_on_while_the_rest_comes(scene: Scene) -> None:
    """When the last piece is here only that one is left to hash."""
    scene.come(0, 1)
    assert scene.check._position == 2 * PIECE


def test_wrong_content_fails_with_both_digests(tmp_path: Path) -> None:
    """Every waiter hears it, early or late."""
    scene = Scene(tmp_path, wrong=True)
    scene.come(0, 1, 2)
    scene.wait()
    assert len(scene.results) == 2
    for result in scene.results:
        assert isinstance(result, Failure)
        assert result.check(DigestMismatch)
        assert str(scene.check.digest) in str(result.value)
    scene.end()


def test_an_empty_content_is_compared_without_a_byte(tmp_path: Path) -> None:
    """Its digest is that of nothing."""
    scene = Scene(tmp_path, size=0)
    scene.check.advance()
    assert scene.results == [None]
    scene.end()


def test_a_long_content_is_hashed_in_steps(tmp_path: Path) -> None:
    """One job is a few milliseconds, so that stopping is quick."""
    scene = Scene(tmp_path, size=2 * STEP_BYTES + 5)
    scene.content.adopt(range(scene.lab.count))
    scene.file.write(0, [scene.lab.body])
    scene.check.advance()
    hops = 0
    while not scene.results:
        scene.lab.threads.run(hops=1)
        hops += 1
    assert scene.results == [None]
    assert hops >= 3
    scene.end()


def test_a_stopped_check_hashes_no_more(tmp_path: Path) -> None:
    """What is under way ends; nothing follows."""
    scene = Scene(tmp_path, size=2 * STEP_BYTES)
    scene.content.adopt(range(scene.lab.count))
    scene.lab.threads.run()
    scene.check.advance()
    scene.check.stop()
    scene.check.advance()
    scene.lab.threads.run(hops=1)
    assert scene.lab.threads.waiting == 0
    assert scene.results == []
    scene.end()


def test_a_file_that_cannot_be_read_fails_the_check(scene: Scene) -> None:
    """It does not hang."""
    scene.content.adopt([0])
    scene.file.set_length(10)
    scene.check.advance()
    scene.lab.threads.run()
    (result,) = scene.results
    assert result.check(StoreError)


def test_one_waiter_that_gives_up_leaves_the_others(scene: Scene) -> None:
    """The check belongs to all."""
    scene.wait().cancel()
    scene.come(0, 1, 2)
    assert isinstance(scene.results[0], Failure)
    assert scene.results[1:] == [None]


def test_what_was_compared_is_not_hashed_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asks next for the same digest; another digest is another question."""
    scene.come(0, 1, 2)
    assert scene.results == [None]
    hashed: list[int] = []
    monkeypatch.setattr(
        "dragonfly.peer.content.wholecheck.hash_part", lambda *args: hashed.append(1)
    )
    again = WholeCheck(scene.content, scene.check.digest, scene.lab.disk)
    again.advance()
    again.result().addBoth(scene.results.append)
    scene.lab.threads.run()
    assert (scene.results, hashed) == ([None, None], [])
    other = WholeCheck(scene.content, digest_of(b"other"), scene.lab.disk)
    other.advance()
    other.result().addErrback(scene.results.append)
    scene.lab.threads.run()
    assert hashed == [1]
    assert scene.results[-1].check(DigestMismatch)


def test_a_file_that_was_written_to_is_hashed_again(scene: Scene) -> None:
    """A mark is for the file as it was."""
    scene.come(0, 1, 2)
    os.utime(scene.file.path, ns=(0, 0))
    scene.file.path.write_bytes(b"!" + scene.file.path.read_bytes()[1:])
    again = WholeCheck(scene.content, scene.check.digest, scene.lab.disk)
    again.advance()
    again.result().addErrback(scene.results.append)
    scene.lab.threads.run()
    assert scene.results[-1].check(DigestMismatch)


@pytest.mark.parametrize("wrong", [False, True])
def test_what_is_in_memory_is_hashed_at_once(tmp_path: Path, wrong: bool) -> None:
    """Without the disk; nothing is noted of a file that was not looked at."""
    scene = Scene(tmp_path, wrong=wrong)
    scene.content.memory = scene.lab.body
    scene.check.advance()
    (result,) = scene.results
    assert isinstance(result, Failure) is wrong
    assert scene.content.vouched == {}
    scene.end()
