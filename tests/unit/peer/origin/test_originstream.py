"""The origin, read in order into a content: what is taken, when it stops, what it must not do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.control.messages import Validator
from dragonfly.errors import OriginChanged, OriginRefused, OriginTruncated, StoreError
from dragonfly.net.throttle import AHEAD_BYTES, Throttle
from dragonfly.peer.content.content import Content
from dragonfly.peer.origin.originstream import GAP_BYTES, STALL_S, OriginSource, OriginStream
from tests.doubles.reader import ScriptedReader
from tests.doubles.tasklab import PIECE, TaskLab

V1 = Validator(etag='"v1"')


class Scene:
    """A content that is read from a scripted origin."""

    def __init__(
        self,
        home: Path,
        *,
        size: int = 3 * PIECE - 1000,
        runs: bool = True,
        length_known: bool = True,
        **origin: Any,
    ) -> None:
        self.clock = Clock()
        self.lab = TaskLab(home, size=size)
        self.origin = ScriptedReader(body=self.lab.body, clock=self.clock, **origin)
        self.file = self.lab.file(length_known=length_known)
        self.file.retain()
        self.content: Content = self.lab.content(self.file, runs=runs, length_known=length_known)
        self.limit = Throttle(self.clock)
        source = OriginSource(self.origin, "http://o/f", (("X", "y"),))  # type: ignore[arg-type]
        self.stream = OriginStream(
            self.content,
            source,
            self.lab.disk,
            self.clock,
            flows=(self.limit.flow(self),),
        )
        self.ended: list[Any] = []

    def begin(self, coroutine: Any) -> Deferred[Any]:
        """Let it run until it waits; ``ended`` tells how it ended."""
        running = Deferred.fromCoroutine(coroutine)
        running.addBoth(self.ended.append)
        return running

    def read(self, coroutine: Any) -> None:
        """Let it run to its end, and the disk as well.

        :raises Exception: what it ended with.
        """
        self.begin(coroutine)
        self.lab.threads.run()
        (result,) = self.ended
        self.ended.clear()
        if isinstance(result, Failure):
            raise result.value

    def have(self, *pieces: int) -> None:
        """These are here from elsewhere."""
        for piece in pieces:
            self.content.intake.add("elsewhere", piece, 0, self.lab.piece(piece))
        self.lab.threads.run()

    def end(self) -> None:
        """Whatever was retained must have been released, and no timer is left."""
        self.lab.threads.run()
        assert self.file.in_use, "released more often than retained"
        self.file.release()
        assert not self.file.in_use
        assert self.clock.getDelayedCalls() == []
        assert not self.content.intake._open


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three pieces, all digests known, nothing here."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


@pytest.fixture
def blind(tmp_path: Path) -> Iterator[Scene]:
    """Neither digests nor the length are known."""
    scene = Scene(tmp_path, runs=False, length_known=False)
    yield scene
    scene.end()


def never() -> bool:
    """It is never enough."""
    return False


# -- pieces with digests ------------------------------------------


def test_known_pieces_are_fetched_and_verified(scene: Scene) -> None:
    """They count as everybody's, since their digests are signed."""
    scene.read(scene.stream.known(0, V1, never))
    assert scene.content.complete
    assert scene.file.read(0, len(scene.lab.body)) == scene.lab.body


def test_reading_begins_where_it_is_told_to(scene: Scene) -> None:
    """By a range, with the validator and the caller's headers."""
    scene.read(scene.stream.known(1, V1, never))
    asked = scene.origin.asked[0]
    assert (asked.start, asked.validator, asked.headers) == (PIECE, V1, (("X", "y"),))
    assert sorted(scene.content.have) == [1, 2]


def test_an_origin_without_ranges_is_read_from_the_front(tmp_path: Path) -> None:
    """What comes on the way and is missing is taken as well."""
    scene = Scene(tmp_path, ranges=False)
    scene.have(0)
    scene.read(scene.stream.known(1, V1, never))
    assert scene.content.complete
    scene.end()


def test_it_stops_when_it_is_enough(scene: Scene) -> None:
    """At a piece boundary: the ticket is over."""
    enough = iter([False, True])
    scene.read(scene.stream.known(0, V1, lambda: next(enough)))
    assert sorted(scene.content.have) == [0, 1]
    assert scene.origin.bodies[0].stopped


def test_it_stops_when_nothing_is_missing_further_on(scene: Scene) -> None:
    """The rest came from neighbours."""
    scene.have(1, 2)
    scene.read(scene.stream.known(0, V1, never))
    assert scene.content.complete
    assert scene.origin.sent < 2 * PIECE


def test_wrong_bytes_are_a_changed_origin(scene: Scene) -> None:
    """Found as soon as a piece was hashed; nothing of it is used."""
    scene.origin.body = bytes(len(scene.lab.body))
    scene.origin.silent = True
    scene.begin(scene.stream.known(0, V1, never))
    scene.origin.give(PIECE)
    scene.lab.threads.run()
    scene.origin.give(2 * PIECE)
    assert isinstance(scene.ended[0].value, OriginChanged)
    assert not scene.content.have


def test_the_origins_refusal_is_passed_on(scene: Scene) -> None:
    """Nothing was read."""
    scene.origin.errors.append(OriginRefused("no", 403))
    with pytest.raises(OriginRefused):
        scene.read(scene.stream.known(0, V1, never))


def test_a_cut_leaves_what_was_whole(scene: Scene) -> None:
    """Half a piece is forgotten."""
    scene.origin.cut_after = PIECE + 100
    with pytest.raises(OriginTruncated):
        scene.read(scene.stream.known(0, V1, never))
    assert sorted(scene.content.have) == [0]


# -- everything, with digests or without ------------------------------------------


def test_the_length_is_known_at_the_end(blind: Scene) -> None:
    """And the short last piece is part of it."""
    blind.origin.announce = False
    blind.read(blind.stream.rest(0, None))
    assert blind.content.finished
    assert blind.content.layout.length == len(blind.lab.body)
    assert blind.file.length == len(blind.lab.body)
    assert blind.file.read(0, len(blind.lab.body)) == blind.lab.body


@pytest.mark.parametrize("size", [0, 1, 2 * PIECE])
def test_unknown_lengths_of_all_kinds(tmp_path: Path, size: int) -> None:
    """Empty, less than a piece, no short piece at all."""
    scene = Scene(tmp_path, size=size, runs=False, length_known=False, announce=False)
    scene.read(scene.stream.rest(0, None))
    assert scene.content.finished
    assert scene.content.layout.length == size
    scene.end()


def test_continuing_behind_the_last_byte_finds_the_length(tmp_path: Path) -> None:
    """A body without a length was cut at its very end: the origin answers 416."""
    scene = Scene(tmp_path, size=2 * PIECE, runs=False, length_known=False, announce=False)
    scene.content.adopt([0, 1])
    scene.origin.etag = '"v1"'
    scene.read(scene.stream.rest(2, V1))
    assert scene.content.layout.length == 2 * PIECE
    assert scene.content.finished
    scene.end()


def test_what_is_here_is_not_written_again(blind: Scene) -> None:
    """The origin cannot begin in the middle, so it comes once more."""
    blind.content.adopt([0])
    blind.origin.ranges = False
    blind.read(blind.stream.rest(1, V1))
    assert blind.file.read(0, PIECE) == bytes(PIECE)
    assert blind.content.finished


def test_more_than_the_known_length_is_a_changed_origin(tmp_path: Path) -> None:
    """Not a byte of it goes behind the end."""
    scene = Scene(tmp_path, runs=False, announce=False)
    scene.origin.body += b"x"
    with pytest.raises(OriginChanged):
        scene.read(scene.stream.rest(0, None))
    scene.end()


def test_less_than_the_known_length_is_a_changed_origin(tmp_path: Path) -> None:
    """The body ended well, so this is not a cut."""
    scene = Scene(tmp_path, runs=False, announce=False)
    scene.origin.body = scene.origin.body[:-10]
    with pytest.raises(OriginChanged):
        scene.read(scene.stream.rest(0, None))
    assert not scene.content.finished
    scene.end()


def test_a_content_that_failed_is_not_read_on(blind: Scene) -> None:
    """Nor does it get a length from where the reading stopped."""
    blind.origin.silent = True
    blind.begin(blind.stream.rest(0, None))
    blind.origin.give(PIECE)
    blind.content.fail(StoreError("full"))
    blind.origin.give(PIECE)
    assert blind.ended == [None]
    assert blind.origin.bodies[0].stopped
    assert blind.content.layout.length is None


# -- back-pressure and ends ------------------------------------------


def test_a_slow_disk_pauses_the_origin(tmp_path: Path) -> None:
    """No more waits than the disk pool's mark."""
    scene = Scene(tmp_path, size=20 * PIECE)
    scene.lab.disk._key_high = 4 * PIECE
    scene.begin(scene.stream.known(0, V1, never))
    assert scene.origin.bodies[0].paused
    assert scene.lab.disk.queued_bytes <= 5 * PIECE
    scene.lab.threads.run()
    assert scene.ended == [None]
    assert scene.content.complete
    scene.end()


def test_a_rate_limit_pauses_the_origin(scene: Scene) -> None:
    """Until its time is over; then it goes on by itself."""
    scene.limit.set(AHEAD_BYTES)
    scene.begin(scene.stream.known(0, V1, never))
    first = scene.origin.sent
    assert scene.origin.bodies[0].paused
    scene.clock.advance(first / AHEAD_BYTES - 0.1)
    assert scene.origin.sent == first
    for _ in range(10):
        scene.clock.advance(1)
    assert scene.ended == [None]


def test_a_disk_that_drains_during_a_rate_limit_does_not_end_the_wait(tmp_path: Path) -> None:
    """Both must be content."""
    scene = Scene(tmp_path, size=20 * PIECE)
    scene.lab.disk._key_high = PIECE
    scene.origin.silent = True
    scene.limit.set(PIECE)
    scene.begin(scene.stream.known(0, V1, never))
    scene.origin.give(2 * PIECE)
    scene.lab.threads.run()
    assert scene.origin.bodies[0].paused
    scene.limit.set(None)
    assert not scene.origin.bodies[0].paused
    scene.origin.give(18 * PIECE)
    assert scene.ended == [None]
    scene.end()


def test_a_silent_origin_is_given_up(scene: Scene) -> None:
    """Not before the stall limit."""
    scene.origin.silent = True
    scene.begin(scene.stream.known(0, V1, never))
    scene.origin.give(PIECE + 5)
    scene.clock.advance(STALL_S - 1)
    assert scene.ended == []
    scene.clock.advance(1)
    assert isinstance(scene.ended[0].value, OriginTruncated)


def test_cancelling_stops_the_transfer(scene: Scene) -> None:
    """Also while it waits for a rate limit; what was begun is forgotten."""
    scene.origin.silent = True
    scene.limit.set(1000)
    running = scene.begin(scene.stream.known(0, V1, never))
    scene.origin.give(AHEAD_BYTES)
    assert scene.origin.bodies[0].paused
    running.cancel()
    assert isinstance(scene.ended[0].value, CancelledError)
    assert scene.origin.bodies[0].stopped


# -- parts ------------------------------------------


@pytest.mark.parametrize("runs", [True, False])
def test_of_a_part_no_more_is_read(tmp_path: Path, *, runs: bool) -> None:
    """With digests or without; what it does not hold is not asked for once more."""
    scene = Scene(tmp_path, size=100 * PIECE, runs=runs)
    scene.content.wanted = 0b111000
    scene.have(4) if runs else None
    way = scene.stream.known(3, V1, lambda: False) if runs else scene.stream.rest(3, V1)
    scene.read(way)
    assert scene.content.have.mask | scene.content.extra.mask == 0b111000
    assert [each.start for each in scene.origin.asked] == [3 * PIECE]
    scene.end()


def test_a_part_says_nothing_of_the_length(tmp_path: Path) -> None:
    """Reading stopped before the end."""
    scene = Scene(tmp_path, size=10 * PIECE, runs=False, length_known=False)
    scene.content.wanted = 0b11
    scene.read(scene.stream.rest(0, V1))
    assert scene.content.extra.mask == 0b11
    assert scene.content.layout.length is None
    scene.end()


def test_what_is_far_behind_is_another_request(tmp_path: Path) -> None:
    """A little that nobody wants is read, and kept; much is not."""
    near, far = 2, 3 + GAP_BYTES // PIECE
    scene = Scene(tmp_path, size=(far + 2) * PIECE)
    scene.content.wanted = 1 | 1 << near | 1 << far
    scene.read(scene.stream.known(0, V1, lambda: False))
    assert scene.content.have.mask == 0b111
    scene.end()
