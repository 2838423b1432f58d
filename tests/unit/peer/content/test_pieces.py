"""From slices to verified pieces, with the disk's jobs run by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from dragonfly.errors import DiskFull, StoreError
from dragonfly.peer.content.piecefile import PieceFile, Verdict
from dragonfly.peer.content.pieces import PART_BYTES, PieceIntake
from dragonfly.peer.content.writebatch import BATCH_S, READER_BATCH_S
from dragonfly.store.hot import HOT_PIECE_BYTES
from tests.doubles.tasklab import PIECE, TaskLab

MIB = 1024 * 1024


@attrs.define
class Told:
    """A listener that keeps what it hears."""

    done: list[tuple[int, Hashable, Verdict]] = attrs.field(factory=list)
    details: list[tuple[int, bytes]] = attrs.field(factory=list)
    errors: list[Exception] = attrs.field(factory=list)
    shared: list[int] = attrs.field(factory=list)

    def piece_done(
        self, piece: int, source: Hashable, verdict: Verdict, length: int, digest: bytes
    ) -> None:
        """Keep."""
        self.done.append((piece, source, verdict))
        self.details.append((length, digest))

    def piece_verified(self, piece: int, source: Hashable) -> bool:
        """Keep."""
        self.shared.append(piece)
        return False

    def pieces_written(self, pieces: list[tuple[int, Hashable]]) -> None:
        """Keep, as if each had been told of alone."""
        self.done += [(piece, source, Verdict.VERIFIED) for piece, source in pieces]

    def store_failed(self, error: Exception) -> None:
        """Keep."""
        self.errors.append(error)


class Scene:
    """An intake with all digests known, unless ``blind``."""

    def __init__(
        self, home: Path, *, blind: bool = False, clock: Clock | None = None, **lab: int
    ) -> None:
        self.lab = TaskLab(home, **lab)
        self.clock = self.lab.clock = clock or self.lab.clock
        self.file = self.lab.file()
        self.file.retain()
        self.told = Told()
        self.intake = PieceIntake(
            self.lab.disk,
            self.file,
            self.told,
            clock=self.lab.clock,
            digest_of=lambda piece: None if blind else self.lab.digest(piece),
            length_of=self.lab.layout.piece_length,
        )

    def feed(
        self, source: str, piece: int, data: bytes, *, step: int = 16 * 1024, begin: int = 0
    ) -> bool:
        """Give ``data`` from ``begin`` on in slices; whether the piece was full with the last."""
        last = False
        for at in range(0, len(data), step):
            last = self.intake.add(source, piece, begin + at, data[at : at + step])
        return last

    def run(self) -> None:
        """Let the disk work."""
        self.lab.threads.run()

    def journal(self) -> set[int]:
        """The pieces that a restart would find."""
        import dragonfly.store.journal as journal  # noqa: PLC0415

        raw = (self.file.path.parent / "journal").read_bytes()
        return set(journal.recover(raw, self.file.task).pieces)

    def end(self) -> None:
        """Whatever was retained must have been released."""
        self.run()
        assert self.file.in_use, "released more often than retained"
        self.file.release()
        assert not self.file.in_use
        assert self.lab.disk.queued_bytes == 0


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three small pieces, the last one short."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


@pytest.fixture
def batching(tmp_path: Path) -> Iterator[Scene]:
    """Four small pieces, and a clock that stands still until a test moves it."""
    scene = Scene(tmp_path, size=4 * PIECE, clock=Clock())
    yield scene
    scene.end()
    assert scene.clock.getDelayedCalls() == []


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Scene]:
    """Two pieces of 4 MiB, the second one short."""
    scene = Scene(tmp_path, size=7 * MIB, piece_size=4 * MIB)
    yield scene
    scene.end()


def wrong(data: bytes, at: int = 0) -> bytes:
    """The same with one byte changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# -- small pieces ------------------------------------------


def test_a_piece_is_verified_written_and_journalled(scene: Scene) -> None:
    """The listener is told at once that it may be shared, and once, when it is safe on disk."""
    assert scene.feed("a", 2, scene.lab.piece(2))
    assert scene.told.shared == [2]
    assert scene.told.done == []
    assert scene.file.peek(2, 0, PIECE - 1000) == scene.lab.piece(2)
    assert scene.journal() == set()
    scene.run()
    assert scene.told.shared == [2]
    assert scene.told.done == [(2, "a", Verdict.VERIFIED)]
    assert scene.told.details == []
    assert scene.lab.on_disk(scene.file, 2) == scene.lab.piece(2)
    assert scene.journal() == {2}


def test_wrong_bytes_of_a_small_piece_never_reach_the_file(scene: Scene) -> None:
    """They are judged in memory."""
    scene.feed("a", 0, wrong(scene.lab.piece(0)))
    scene.run()
    assert scene.told.done == [(0, "a", Verdict.WRONG)]
    assert scene.lab.on_disk(scene.file, 0) == bytes(PIECE)
    assert scene.journal() == set()


def test_the_second_of_two_sources_changes_nothing(scene: Scene) -> None:
    """Whatever it sends: the piece is there."""
    scene.feed("a", 0, scene.lab.piece(0))
    scene.feed("b", 0, wrong(scene.lab.piece(0)))
    scene.run()
    assert scene.told.done == [(0, "a", Verdict.VERIFIED), (0, "b", Verdict.SECOND)]
    assert scene.lab.on_disk(scene.file, 0) == scene.lab.piece(0)


def test_pieces_of_several_sources_may_be_interleaved(scene: Scene) -> None:
    """Each source's slices belong together."""
    half = PIECE // 2
    for source, piece in (("a", 0), ("b", 1)):
        assert not scene.feed(source, piece, scene.lab.piece(piece)[:half])
    for source, piece in (("b", 1), ("a", 0)):
        assert scene.feed(source, piece, scene.lab.piece(piece)[half:], begin=half)
    scene.run()
    assert {each[2] for each in scene.told.done} == {Verdict.VERIFIED}
    assert len(scene.told.done) == 2


def test_without_a_digest_everything_is_stored_and_its_digest_told(tmp_path: Path) -> None:
    """That is how the origin is read before anybody has signed."""
    scene = Scene(tmp_path, blind=True)
    scene.feed("origin", 1, scene.lab.piece(1))
    scene.run()
    assert scene.told.done == [(1, "origin", Verdict.VERIFIED)]
    assert scene.told.details == [(PIECE, scene.lab.digest(1))]
    scene.end()


@pytest.mark.parametrize(
    ("piece", "begin", "length"),
    [(0, 5, 10), (0, 0, PIECE + 1), (2, 0, PIECE - 999), (3, 0, 1), (0, -1, 10)],
)
def test_slices_that_do_not_fit_are_refused(
    scene: Scene, piece: int, begin: int, length: int
) -> None:
    """A gap, or more than the piece has: nothing of it is taken."""
    with pytest.raises(ValueError, match=f"piece {piece}"):
        scene.intake.add("a", piece, begin, bytes(length))
    scene.run()
    assert scene.told.done == []


def test_a_slice_that_comes_twice_is_refused(scene: Scene) -> None:
    """It does not continue what came before."""
    scene.intake.add("a", 0, 0, bytes(100))
    scene.intake.add("a", 0, 100, bytes(100))
    with pytest.raises(ValueError, match="do not continue"):
        scene.intake.add("a", 0, 100, bytes(100))


def test_a_piece_that_begins_again_forgets_what_came_before(scene: Scene) -> None:
    """It was asked for a second time."""
    scene.feed("a", 0, wrong(scene.lab.piece(0))[: PIECE // 2])
    assert scene.feed("a", 0, scene.lab.piece(0))
    scene.run()
    assert scene.told.done == [(0, "a", Verdict.VERIFIED)]


def test_what_is_forgotten_must_begin_again(scene: Scene) -> None:
    """One piece of a source, or all of them; other sources keep theirs."""
    for source in ("a", "b"):
        for piece in (0, 1):
            scene.intake.add(source, piece, 0, bytes(10))
    scene.intake.forget("a", 0)
    with pytest.raises(ValueError, match="piece 0"):
        scene.intake.add("a", 0, 10, b"x")
    scene.intake.add("a", 1, 10, b"x")
    scene.intake.forget("b")
    for piece in (0, 1):
        with pytest.raises(ValueError, match=f"piece {piece}"):
            scene.intake.add("b", piece, 10, b"x")


def test_content_of_unknown_length_may_end_inside_a_piece(tmp_path: Path) -> None:
    """What came is all of it; nothing came is no piece."""
    scene = Scene(tmp_path, blind=True)
    scene.feed("origin", 0, scene.lab.piece(0)[:1000])
    scene.intake.end_short("origin", 0)
    scene.intake.end_short("origin", 1)
    scene.run()
    assert scene.told.done == [(0, "origin", Verdict.VERIFIED)]
    assert scene.told.details[0][0] == 1000
    scene.end()


@pytest.mark.parametrize(
    ("size", "at_once"), [(HOT_PIECE_BYTES, [0]), (2 * HOT_PIECE_BYTES, [])], ids=["small", "large"]
)
def test_only_small_pieces_are_verified_at_once(
    tmp_path: Path, size: int, at_once: list[int]
) -> None:
    """Others would keep the reactor for long: the disk's thread hashes them."""
    scene = Scene(tmp_path, size=size, piece_size=size)
    assert scene.feed("a", 0, scene.lab.piece(0))
    assert scene.told.shared == at_once
    scene.run()
    assert scene.told.shared == at_once
    assert scene.told.done == [(0, "a", Verdict.VERIFIED)]
    assert scene.journal() == {0}
    scene.end()


# -- batches ------------------------------------------


def test_pieces_are_written_together(batching: Scene) -> None:
    """The first does not wait; those after it do, and are one job of the disk."""
    batching.feed("a", 0, batching.lab.piece(0))
    batching.run()
    assert batching.told.done == [(0, "a", Verdict.VERIFIED)]
    for source, piece in (("a", 2), ("b", 1)):
        batching.feed(source, piece, batching.lab.piece(piece))
    assert batching.lab.threads.waiting == 0
    assert batching.told.shared == [0, 2, 1]
    batching.clock.advance(BATCH_S)
    assert batching.lab.threads.waiting == 1
    batching.run()
    assert batching.told.done[1:] == [(2, "a", Verdict.VERIFIED), (1, "b", Verdict.VERIFIED)]
    assert batching.journal() == {0, 1, 2}
    for piece in range(3):
        assert batching.lab.on_disk(batching.file, piece) == batching.lab.piece(piece)


def test_flushing_waits_for_nobody(batching: Scene) -> None:
    """And leaves nothing to do."""
    for piece in (0, 1):
        batching.feed("a", piece, batching.lab.piece(piece))
    batching.intake.flush()
    assert batching.clock.getDelayedCalls() == []
    batching.run()
    assert batching.journal() == {0, 1}


def test_closing_writes_what_is_verified(batching: Scene) -> None:
    """Neighbours were told of it; the next run is to find it. The listener hears nothing."""
    for piece in (0, 1):
        batching.feed("a", piece, batching.lab.piece(piece))
    batching.intake.close()
    assert batching.clock.getDelayedCalls() == []
    batching.run()
    assert batching.told.done == []
    assert batching.journal() == {0, 1}
    assert batching.lab.on_disk(batching.file, 1) == batching.lab.piece(1)


def test_wrong_bytes_of_a_piece_that_waits_to_be_written(batching: Scene) -> None:
    """Judged by themselves; what is right stays."""
    for piece in (0, 1):
        batching.feed("a", piece, batching.lab.piece(piece))
    batching.feed("b", 1, wrong(batching.lab.piece(1)))
    batching.run()
    assert (1, "b", Verdict.WRONG) in batching.told.done
    batching.clock.advance(BATCH_S)
    batching.run()
    assert batching.journal() == {0, 1}
    assert batching.lab.on_disk(batching.file, 1) == batching.lab.piece(1)


def test_what_is_written_is_no_longer_kept_for_the_disk(batching: Scene) -> None:
    """This store's memory has no room for more than that."""
    batching.feed("a", 0, batching.lab.piece(0))
    assert batching.file.peek(0, 0, PIECE) == batching.lab.piece(0)
    batching.run()
    assert batching.file.peek(0, 0, PIECE) is None


# -- large pieces ------------------------------------------


def test_a_large_piece_is_written_while_it_comes(large: Scene) -> None:
    """No more than a part of it waits in memory."""
    data = large.lab.piece(0)
    assert not large.feed("a", 0, data[: PART_BYTES + 100])
    assert large.lab.disk.queued_bytes >= PART_BYTES
    large.run()
    assert large.file.read(0, PART_BYTES) == data[:PART_BYTES]
    assert large.told.done == []
    assert large.feed("a", 0, data[PART_BYTES + 100 :], begin=PART_BYTES + 100)
    large.run()
    assert large.told.done == [(0, "a", Verdict.VERIFIED)]
    assert large.journal() == {0}


def test_wrong_bytes_of_a_large_piece_are_written_over(large: Scene) -> None:
    """They are never journalled, and what comes then is compared as it lies on the disk."""
    large.feed("a", 0, wrong(large.lab.piece(0), 3 * MIB))
    large.run()
    assert large.told.done == [(0, "a", Verdict.WRONG)]
    assert large.journal() == set()
    large.feed("b", 0, large.lab.piece(0))
    large.run()
    assert large.told.done[1:] == [(0, "b", Verdict.VERIFIED)]
    assert large.lab.on_disk(large.file, 0) == large.lab.piece(0)


def test_right_bytes_under_wrong_ones_are_asked_for_again(large: Scene) -> None:
    """Two sources at once: the wrong one wrote last, and the right one is not to blame."""
    good, bad = large.lab.piece(0), wrong(large.lab.piece(0), 10)
    large.feed("good", 0, good[: 2 * MIB])
    large.feed("bad", 0, bad[: 2 * MIB])
    large.feed("good", 0, good[2 * MIB :], begin=2 * MIB)
    large.run()
    assert large.told.done == [(0, "good", Verdict.SPOILT)]
    large.feed("bad", 0, bad[2 * MIB :], begin=2 * MIB)
    large.feed("third", 0, good)
    large.run()
    assert large.told.done[1:] == [(0, "bad", Verdict.WRONG), (0, "third", Verdict.VERIFIED)]
    assert large.lab.on_disk(large.file, 0) == good


def test_nobody_writes_over_a_large_piece_that_is_verified(large: Scene) -> None:
    """A slow second source goes on to its end, and touches nothing."""
    good, bad = large.lab.piece(0), wrong(large.lab.piece(0), 2 * MIB + 10)
    large.feed("bad", 0, bad[: 2 * MIB])
    large.feed("good", 0, good)
    large.run()
    assert large.told.done == [(0, "good", Verdict.VERIFIED)]
    large.feed("bad", 0, bad[2 * MIB :], begin=2 * MIB)
    large.run()
    assert large.told.done[1:] == [(0, "bad", Verdict.SECOND)]
    assert large.lab.on_disk(large.file, 0) == good


def test_a_source_that_gave_up_does_not_count_as_nobody(large: Scene) -> None:
    """Its wrong bytes came after the right ones of another: the file is looked at."""
    good = large.lab.piece(0)
    large.feed("good", 0, good[: 3 * MIB])
    large.feed("gone", 0, wrong(good, 5)[: 2 * MIB])
    large.intake.forget("gone")
    large.run()
    large.feed("good", 0, good[3 * MIB :], begin=3 * MIB)
    large.run()
    assert large.told.done == [(0, "good", Verdict.SPOILT)]


# -- the end, and what goes wrong ------------------------------------------


def test_a_closed_intake_tells_nothing_more(scene: Scene) -> None:
    """Jobs under way end by themselves, and release the file."""
    scene.feed("a", 0, scene.lab.piece(0))
    scene.feed("a", 1, scene.lab.piece(1)[:100])
    scene.intake.close()
    scene.run()
    assert scene.told.done == []
    with pytest.raises(ValueError, match="piece 1"):
        scene.intake.add("a", 1, 100, b"x")


def test_a_closed_intake_takes_nothing_more(scene: Scene) -> None:
    """Memory that the store was told to forget would be kept for ever."""
    scene.intake.close()
    scene.feed("a", 0, scene.lab.piece(0))
    scene.run()
    assert scene.told.shared == []
    assert scene.told.done == []
    assert scene.file.peek(0, 0, PIECE) is None


class FullFile:
    """A file whose writes fail; everything else is the real one's."""

    def __init__(self, file: Any, error: Exception) -> None:
        self._file = file
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, offset: int, chunks: Any) -> None:
        """No."""
        raise self._error


def _fill_disk(scene: Scene, error: Exception) -> None:
    full: Any = FullFile(scene.file, error)
    scene.intake._file, scene.intake._pieces = full, PieceFile(full)


@pytest.mark.parametrize("size", [PIECE, 4 * MIB])
def test_a_full_disk_is_told(tmp_path: Path, size: int) -> None:
    """Small pieces and large ones; and nothing stays retained."""
    scene = Scene(tmp_path, size=size, piece_size=size)
    error = DiskFull("no space")
    _fill_disk(scene, error)
    scene.feed("a", 0, scene.lab.piece(0))
    scene.run()
    assert scene.told.errors
    assert set(scene.told.errors) == {error}
    assert scene.told.done == []
    scene.end()


def test_a_failure_after_the_end_is_told_to_nobody(scene: Scene) -> None:
    """The listener has gone."""
    _fill_disk(scene, StoreError("no"))
    scene.feed("a", 0, scene.lab.piece(0))
    scene.intake.close()
    scene.run()
    assert scene.told.errors == []


# -- what was on disk ------------------------------------------


def test_rechecking_gives_the_good_pieces_and_protects_them(scene: Scene) -> None:
    """The others may be written."""
    scene.file.write(0, [scene.lab.piece(0)])
    good: list[list[int]] = []
    scene.intake.recheck([0, 1]).addCallback(good.append)
    scene.feed("a", 0, wrong(scene.lab.piece(0)))
    scene.feed("a", 1, scene.lab.piece(1))
    scene.run()
    assert good == [[0]]
    assert scene.told.done == [(0, "a", Verdict.SECOND), (1, "a", Verdict.VERIFIED)]


def test_a_recheck_whose_answer_nobody_wants_still_releases(scene: Scene) -> None:
    """Cancelling drops the answer only."""
    waiting = scene.intake.recheck([0])
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    scene.run()


def test_a_recheck_takes_back_what_is_wrong_on_disk(scene: Scene) -> None:
    """Somebody else wrote there since."""
    scene.feed("a", 0, scene.lab.piece(0))
    scene.run()
    scene.file.write(0, [b"damaged"])
    scene.intake.recheck([0])
    scene.feed("b", 0, scene.lab.piece(0))
    scene.run()
    assert scene.told.done[1:] == [(0, "b", Verdict.VERIFIED)]


def test_trusted_pieces_are_not_written_until_they_are_distrusted(tmp_path: Path) -> None:
    """In the order in which it was said."""
    scene = Scene(tmp_path, blind=True)
    scene.intake.trust([0])
    scene.feed("a", 0, scene.lab.piece(0))
    scene.intake.distrust([0])
    scene.feed("b", 0, scene.lab.piece(0))
    scene.run()
    assert [each[2] for each in scene.told.done] == [Verdict.SECOND, Verdict.VERIFIED]
    scene.end()


def test_a_reader_has_what_waits_written_at_once(batching: Scene) -> None:
    """And what comes later sooner, for as long as somebody reads in order."""
    for piece in (0, 1):
        batching.feed("a", piece, batching.lab.piece(piece))
    batching.intake.in_order(True)
    batching.run()
    assert batching.journal() == {0, 1}
    batching.feed("a", 2, batching.lab.piece(2))
    batching.clock.advance(READER_BATCH_S)
    batching.run()
    assert batching.journal() == {0, 1, 2}
    batching.intake.in_order(False)
    assert batching.clock.getDelayedCalls() == []
