"""One content: what is here, what was learned, who is told, and what must not be believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from twisted.internet.task import Clock

from dragonfly.errors import BadRun, DiskFull, OriginChanged, StoreError
from dragonfly.peer.content.content import ORIGIN, kind_of
from dragonfly.peer.content.writebatch import BATCH_S
from dragonfly.signatures import SigningKey
from tests.doubles.tasklab import PIECE, TASK, TaskLab
from tests.doubles.watching import ContentLab, spoil


@attrs.define(eq=False)
class Neighbour:
    """A source of bytes."""

    seed: bool = False


@pytest.fixture
def scene(lab: TaskLab) -> Iterator[ContentLab]:
    """All digests are known, nothing is here."""
    scene = ContentLab(lab)
    yield scene
    scene.end()


# -- pieces come ------------------------------------------


def test_known_digests_make_pieces_askable(scene: ContentLab) -> None:
    """Once, however often a run is shown."""
    assert scene.watching.asked == [0, 1, 2]
    assert scene.content.add_run(scene.lab.run()) is False
    assert scene.watching.asked == [0, 1, 2]


def test_a_verified_piece_is_told_to_everybody_once(scene: ContentLab) -> None:
    """Neighbours may have it, and the user its bytes."""
    scene.feed(2)
    scene.feed(2)
    assert scene.watching.had == [2]
    assert scene.watching.told == [(2 * PIECE, 3 * PIECE - 1000, "peers")]
    assert scene.content.holds(2)
    assert not scene.content.holds(0)
    assert scene.content.ranges() == [(2 * PIECE, 3 * PIECE - 1000)]


def test_the_last_piece_finishes_it(scene: ContentLab) -> None:
    """Told once, after its range."""
    for piece in (1, 2, 0):
        assert scene.watching.finished == 0
        scene.feed(piece)
    scene.content.add_run(scene.lab.run(0, 2))
    assert scene.watching.finished == 1
    assert scene.content.complete
    assert scene.content.finished
    assert scene.content.remaining == 0
    assert scene.content.ranges() == [(0, len(scene.lab.body))]


def test_facts_on_the_way(scene: ContentLab) -> None:
    """What is missing, where the first gap is, how far it reads without one."""
    scene.feed(0)
    scene.feed(2)
    content = scene.content
    assert content.first_missing() == 1
    assert content.ready_to(0) == PIECE
    assert content.ready_to(5) == PIECE
    assert content.ready_to(PIECE) == PIECE
    assert content.ready_to(2 * PIECE + 1) == 3 * PIECE - 1000
    assert content.ready_to(10 * PIECE) == 10 * PIECE
    assert content.remaining == len(scene.lab.body) - 2 * PIECE
    assert content.ranges() == [(0, PIECE), (2 * PIECE, 3 * PIECE - 1000)]
    assert content.task == TASK


def test_sources_are_counted_by_kind() -> None:
    """The seed is the CDN; everybody else is a peer."""
    assert kind_of(ORIGIN) == "origin"
    assert kind_of(Neighbour(seed=True)) == "cdn"
    assert kind_of(Neighbour()) == "peers"


def test_who_sent_wrong_bytes_is_named(scene: ContentLab) -> None:
    """Nothing of it is used."""
    scene.feed(0, "liar", spoil(scene.lab.piece(0)))
    assert scene.watching.blamed == [(0, "liar")]
    assert scene.watching.told == []


def test_wrong_bytes_of_the_origin_are_remembered(scene: ContentLab) -> None:
    """Nobody can be dropped for it: it is another version."""
    scene.feed(0, ORIGIN, spoil(scene.lab.piece(0)))
    assert scene.content.wrong_from_origin
    assert scene.watching.blamed == []


# -- verified, and not on disk yet ------------------------------------------


def test_a_piece_in_memory_is_for_neighbours_and_not_for_the_user(scene: ContentLab) -> None:
    """The user reads the file, where it is not yet."""
    scene.content.intake.add("n", 2, 0, scene.lab.piece(2))
    assert scene.watching.had == [2]
    assert scene.content.holds(2)
    assert scene.file.peek(2, 100, 50) == scene.lab.piece(2)[100:150]
    assert scene.watching.told == []
    assert scene.content.ranges() == []
    assert scene.content.ready_to(2 * PIECE) == 2 * PIECE
    assert not scene.content.on_disk
    scene.run()
    assert scene.watching.told == [(2 * PIECE, 3 * PIECE - 1000, "peers")]
    assert scene.content.ready_to(2 * PIECE) == 3 * PIECE - 1000
    assert scene.content.on_disk == scene.content.have
    assert scene.watching.had == [2]


def test_it_is_complete_before_it_is_finished(scene: ContentLab) -> None:
    """Neighbours may have all of it while the disk still works; the user has to wait."""
    for piece in range(3):
        scene.content.intake.add("n", piece, 0, scene.lab.piece(piece))
    assert scene.content.complete
    assert not scene.content.finished
    assert scene.content.remaining == 1
    assert scene.watching.finished == 0
    scene.run()
    assert scene.content.finished
    assert scene.content.remaining == 0
    assert scene.watching.finished == 1


def test_the_last_piece_waits_for_no_others(lab: TaskLab) -> None:
    """There are none that could come."""
    lab.clock = clock = Clock()
    scene = ContentLab(lab)
    scene.feed(0)
    scene.feed(1)
    assert list(scene.content.on_disk) == [0], "the second has not waited"
    scene.feed(2)
    assert scene.watching.finished == 1
    assert clock.getDelayedCalls() == []
    scene.end()


def test_a_batch_is_told_by_kind_of_source(lab: TaskLab) -> None:
    """Bytes of the seed and of peers are counted apart, though they are written together."""
    lab.clock = clock = Clock()
    scene = ContentLab(lab)
    scene.feed(0)
    scene.feed(1, Neighbour(seed=True))
    assert scene.watching.told == [(0, PIECE, "peers")]
    clock.advance(BATCH_S)
    scene.run()
    assert scene.watching.told[1:] == [(PIECE, 2 * PIECE, "cdn")]
    scene.end()


def test_the_end_comes_after_all_bytes(lab: TaskLab) -> None:
    """Also when the last batch came from several kinds of sources."""
    lab.clock = Clock()
    scene = ContentLab(lab)
    scene.feed(0)
    scene.feed(1, Neighbour(seed=True))
    scene.feed(2)
    lab.clock.advance(BATCH_S)
    scene.run()
    assert scene.watching.at_the_end == [3]
    scene.end()


def test_what_waits_is_written_when_the_length_shows_that_it_is_all(lab: TaskLab) -> None:
    """No others come that it could wait for."""
    lab.clock = Clock()
    scene = ContentLab(lab, length=False)
    for piece in range(3):
        scene.feed(piece)
    if not scene.watching.at_the_end:
        scene.content.set_length(lab.layout.length or 0)
        scene.run()
    assert scene.watching.at_the_end == [3]
    assert lab.clock.getDelayedCalls() == []
    scene.end()


def test_who_sends_a_piece_that_waits_for_the_disk_changes_nothing(lab: TaskLab) -> None:
    """Right bytes are written early at most; wrong ones are blamed. It is told once, later."""
    lab.clock = clock = Clock()
    scene = ContentLab(lab)
    scene.feed(0)
    scene.feed(1, "first")
    scene.feed(1, "liar", spoil(lab.piece(1)))
    scene.feed(1, "second")
    assert scene.watching.had == [0, 1]
    assert scene.watching.blamed == [(1, "liar")]
    clock.advance(BATCH_S)
    scene.run()
    assert scene.watching.had == [0, 1]
    assert scene.watching.told == [(0, PIECE, "peers"), (PIECE, 2 * PIECE, "peers")]
    assert lab.on_disk(scene.file, 1) == lab.piece(1)
    scene.end()


def test_a_piece_that_cannot_be_written_stays_with_the_neighbours(
    scene: ContentLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were told of it. The download fails, and nothing says that the disk has it."""

    def full(offset: int, chunks: object) -> None:
        raise DiskFull("no space")

    monkeypatch.setattr(scene.file, "write", full)
    scene.feed(1)
    assert [type(error) for error in scene.watching.errors] == [DiskFull]
    assert scene.watching.told == []
    assert list(scene.content.have) == [1]
    assert scene.file.peek(1, 0, PIECE) == scene.lab.piece(1)
    assert not scene.content.on_disk
    assert scene.content.ranges() == []


def test_what_comes_after_the_end_is_not_shown(scene: ContentLab) -> None:
    """Nobody would ever take it out of memory again."""
    scene.content.fail(StoreError("no"))
    scene.feed(0)
    assert scene.watching.had == []
    assert scene.file.peek(0, 0, PIECE) is None


# -- without digests ------------------------------------------


def test_bytes_of_the_origin_without_digest_are_for_the_user_only(lab: TaskLab) -> None:
    """They finish the content, and are never shown to neighbours."""
    scene = ContentLab(lab, runs=False)
    for piece in range(3):
        scene.feed(piece, ORIGIN)
    assert scene.watching.finished == 1
    assert scene.watching.had == []
    assert not scene.content.have
    assert not scene.content.complete
    assert scene.watching.told[0] == (0, PIECE, "origin")
    scene.end()


def test_bytes_of_a_neighbour_without_digest_are_not_used(lab: TaskLab) -> None:
    """Nobody vouches for them; they can come again when somebody does."""
    scene = ContentLab(lab, runs=False)
    scene.feed(0, Neighbour(seed=True), spoil(lab.piece(0)))
    assert scene.watching.told == []
    assert scene.watching.again_ == [0]
    scene.content.add_run(lab.run())
    scene.feed(0)
    assert scene.watching.told == [(0, PIECE, "peers")]
    scene.end()


def test_a_digest_that_comes_meanwhile_judges_what_was_stored(lab: TaskLab) -> None:
    """The piece was taken without one; right and wrong bytes fare as usual."""
    scene = ContentLab(lab, runs=False)
    for piece, data in ((0, lab.piece(0)), (1, spoil(lab.piece(1)))):
        scene.content.intake.add(ORIGIN, piece, 0, data)
    scene.content.add_run(lab.run())
    scene.run()
    assert scene.watching.had == [0]
    assert scene.content.wrong_from_origin
    scene.feed(1)
    assert scene.watching.had == [0, 1]
    scene.end()


def test_right_bytes_go_over_wrong_ones_that_had_no_digest(lab: TaskLab) -> None:
    """They are shared at once, and written though the others were not taken back yet."""
    scene = ContentLab(lab, runs=False)
    scene.content.intake.add(ORIGIN, 1, 0, spoil(lab.piece(1)))
    scene.content.add_run(lab.run())
    scene.content.intake.add("n", 1, 0, lab.piece(1))
    assert scene.watching.had == [1]
    scene.run()
    assert scene.content.wrong_from_origin
    assert scene.watching.told == [(PIECE, 2 * PIECE, "peers")]
    assert lab.on_disk(scene.file, 1) == lab.piece(1)
    scene.feed(1, "late")
    assert scene.watching.had == [1]
    assert scene.watching.told == [(PIECE, 2 * PIECE, "peers")]
    scene.end()


def test_a_second_source_of_a_piece_that_turns_out_wrong_is_asked_again(tmp_path: Path) -> None:
    """The piece is too large to be verified at once, and met bytes that were not taken back
    yet: without this it would be forgotten."""
    lab = TaskLab(tmp_path, size=1024 * 1024, piece_size=512 * 1024)
    scene = ContentLab(lab, runs=False)
    scene.content.intake.add(ORIGIN, 1, 0, spoil(lab.piece(1)))
    scene.content.add_run(lab.run())
    scene.content.intake.add("n", 1, 0, lab.piece(1))
    scene.run()
    assert scene.watching.again_ == [1]
    scene.feed(1)
    assert scene.watching.had == [1]
    scene.end()


def test_right_bytes_do_not_hide_that_the_user_was_given_others(lab: TaskLab) -> None:
    """They come from a neighbour before the disk has looked at the origin's: the user has a
    mix of two versions all the same."""
    scene = ContentLab(lab, runs=False)
    scene.feed(0, ORIGIN, spoil(lab.piece(0)))
    scene.content.add_run(lab.run())
    scene.feed(0, Neighbour(seed=True))
    assert [type(error) for error in scene.watching.errors] == [OriginChanged]
    scene.end()


# -- what was adopted ------------------------------------------


def test_adopted_pieces_are_the_users_and_are_not_written_over(lab: TaskLab) -> None:
    """An earlier run of this boot wrote them, without digests."""
    scene = ContentLab(lab, lab.full_file(), runs=False)
    scene.content.adopt([0, 2])
    assert scene.content.ranges() == [(0, PIECE), (2 * PIECE, 3 * PIECE - 1000)]
    scene.feed(0, ORIGIN, spoil(lab.piece(0)))
    assert scene.lab.on_disk(scene.file, 0) == lab.piece(0)
    scene.end()


# -- runs and length ------------------------------------------


def test_runs_survive_on_disk(scene: ContentLab) -> None:
    """The next process begins with them."""
    assert scene.file.runs() == [scene.lab.run()]


@pytest.mark.parametrize("bad", ["forged", "contradiction"])
def test_a_bad_run_is_refused_and_changes_nothing(scene: ContentLab, bad: str) -> None:
    """Whoever showed it is to blame."""
    raw = scene.lab.run(key=SigningKey.generate()) if bad == "forged" else scene.lab.run(wrong=(1,))
    with pytest.raises(BadRun):
        scene.content.add_run(raw)
    scene.run()
    assert scene.file.runs() == [scene.lab.run()]


def test_the_length_may_come_with_the_last_run(lab: TaskLab) -> None:
    """Watchers hear of it, and the file gets that long."""
    scene = ContentLab(lab, runs=False, length=False)
    assert scene.content.remaining == 1
    scene.content.add_run(lab.run(0, 2, length_known=False))
    assert scene.watching.layouts == []
    scene.content.add_run(lab.run(2, 3))
    scene.run()
    assert scene.watching.layouts == [lab.layout]
    assert scene.file.length == lab.layout.length
    scene.end()


def test_an_empty_content_is_finished_when_that_is_known(tmp_path: Path) -> None:
    """Nobody sends a byte of it."""
    lab = TaskLab(tmp_path, size=0)
    scene = ContentLab(lab, runs=False, length=False)
    scene.content.set_length(0)
    scene.content.set_length(0)
    assert scene.watching.finished == 1
    scene.end()


# -- failing ------------------------------------------


def test_only_the_first_failure_counts(scene: ContentLab) -> None:
    """What comes then is dropped."""
    first = StoreError("one")
    scene.content.fail(first)
    scene.content.fail(StoreError("two"))
    scene.feed(0)
    assert scene.watching.errors == [first]
    assert scene.watching.told == []


def test_what_is_finished_cannot_fail(scene: ContentLab) -> None:
    """It is all there."""
    for piece in range(3):
        scene.feed(piece)
    scene.content.fail(StoreError("late"))
    assert scene.watching.errors == []


@pytest.mark.parametrize("error", [DiskFull("full"), OSError("what")])
def test_a_disk_that_fails_ends_it(scene: ContentLab, error: Exception) -> None:
    """With an error of ours, whatever it was."""
    scene.content.store_failed(error)
    assert isinstance(scene.watching.errors[0], StoreError)


def test_a_run_that_cannot_be_kept_ends_it(lab: TaskLab) -> None:
    """The disk is full; the file is released all the same."""
    scene = ContentLab(lab, runs=False)

    def full(raw: bytes) -> None:
        raise DiskFull("no space")

    scene.file.append_run = full  # type: ignore[method-assign]
    scene.content.add_run(lab.run())
    scene.run()
    assert [type(error) for error in scene.watching.errors] == [DiskFull]
    scene.end()


def test_a_late_copy_of_what_came_inside_an_answer_changes_nothing(lab: TaskLab) -> None:
    """A finished content stays finished: who joins it then waits for nothing."""
    content = lab.content(lab.full_file())
    content.bring()
    assert content.finished
    content.intake.add("late", 0, 0, lab.piece(0))
    assert content.finished
    lab.threads.run()
    assert content.finished
    content.intake.close()


def test_what_is_lacking_is_wanted_and_not_here(lab: TaskLab) -> None:
    """And all of it as long as everything is wanted."""
    content = lab.content()
    assert content.lacking == 0b111
    content.wanted = 0b110
    content.intake.add("n", 2, 0, lab.piece(2))
    lab.threads.run()
    assert (content.lacking, content.remaining, content.first_lacking()) == (0b010, PIECE, 1)
    content.wanted = 0b100
    assert (content.lacking, content.remaining, content.first_lacking()) == (0, 0, 0)


def test_without_a_length_everything_is_lacking_without_an_end(lab: TaskLab) -> None:
    """Of a part not."""
    content = lab.content(length_known=False, runs=False)
    assert content.lacking < 0
    assert (content.remaining, content.first_lacking()) == (1, 0)
    content.wanted = 0b1100
    assert (content.lacking, content.first_lacking()) == (0b1100, 2)


def test_the_last_piece_of_a_part_waits_for_no_others_to_be_written(tmp_path: Path) -> None:
    """Its reader waits for it."""
    lab = TaskLab(tmp_path)
    lab.clock = Clock()
    content = lab.content()
    content.wanted = 0b011
    lab.clock.advance(10.0)
    for piece in (0, 1):
        content.intake.add("n", piece, 0, lab.piece(piece))
    lab.threads.run()
    assert content.on_disk.mask == 0b011
    content.intake.close()
