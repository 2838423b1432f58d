"""In order, while it comes: what a reader pushes, when it waits, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from dragonfly.errors import StoreError
from dragonfly.peer.download.reader import OrderedReader
from dragonfly.peer.uploads.upload import READ_BYTES
from dragonfly.store.piecestore import TaskFile
from tests.doubles.consumer import Consumer
from tests.doubles.tasklab import PIECE, TaskLab

MIB = 1024 * 1024


class Scene:
    """A file that is there up to ``upto``, and a reader of it."""

    def __init__(self, home: Path, *, size: int = 3 * PIECE, **consumer: int) -> None:
        self.lab = TaskLab(home, size=size)
        self._file = self.lab.full_file()
        self._file.retain()
        self.upto = 0
        self.memory: bytes | None = None
        self.positions: list[int | None] = []
        self.consumer = Consumer(**consumer)
        self.ended: list[Any] = []
        self.unread: list[StoreError] = []

    # -- Ready ----------------------------------------------------------------------------

    @property
    def file(self) -> TaskFile:
        """Where the bytes are."""
        return self._file

    def ready_to(self, begin: int) -> int:
        """All before ``upto``."""
        return max(begin, self.upto)

    def reader_at(self, reader: OrderedReader, position: int | None) -> None:
        """Keep."""
        self.positions.append(position)

    def unreadable(self, error: StoreError) -> None:
        """Keep."""
        self.unread.append(error)

    # -- moving ---------------------------------------------------------------------------

    def read(self, begin: int = 0, end: int | None = None) -> OrderedReader:
        """Begin."""
        reader = OrderedReader(self, self.lab.disk, self.consumer, begin, end)
        reader.done.addBoth(self.ended.append)
        reader.advance()
        self.lab.threads.run()
        return reader

    def come(self, reader: OrderedReader, upto: int) -> None:
        """More of it is there."""
        self.upto = upto
        reader.advance()
        self.lab.threads.run()

    @property
    def error(self) -> Any:
        """What it failed with."""
        assert isinstance(self.ended[0], Failure)
        return self.ended[0].value

    def end(self) -> None:
        """Whatever was retained must have been released."""
        self.lab.threads.run()
        assert self._file.in_use, "released more often than retained"
        self._file.release()
        assert not self._file.in_use


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three pieces, none ready."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


def test_bytes_are_pushed_as_they_become_ready(scene: Scene) -> None:
    """In order, never more than what is ready, and the count at the end."""
    reader = scene.read(end=3 * PIECE)
    assert scene.consumer.taken == b""
    for upto in (PIECE, PIECE, PIECE + 10, 3 * PIECE):
        scene.come(reader, upto)
        assert scene.consumer.taken == scene.lab.body[:upto]
    assert scene.ended == [3 * PIECE]
    assert scene.consumer.producer is None


def test_a_range_is_given_to_the_byte(scene: Scene) -> None:
    """Whatever else is ready."""
    scene.upto = 3 * PIECE
    scene.read(5, PIECE + 7)
    assert scene.consumer.taken == scene.lab.body[5 : PIECE + 7]
    assert scene.ended == [PIECE + 2]


def test_an_empty_range_ends_at_once(scene: Scene) -> None:
    """Nothing has to be ready for it."""
    scene.read(10, 10)
    assert scene.ended == [0]


def test_the_end_may_become_known_later(scene: Scene) -> None:
    """The length of the content was not known when it began."""
    reader = scene.read()
    scene.come(reader, PIECE)
    assert not scene.ended
    reader.advance(PIECE)
    assert scene.ended == [PIECE]


def test_a_wanted_end_behind_the_content_is_the_contents(scene: Scene) -> None:
    """Otherwise it would wait for ever for bytes that do not exist."""
    reader = scene.read(0, 10 * PIECE)
    scene.come(reader, 3 * PIECE)
    assert not scene.ended
    reader.advance(3 * PIECE)
    assert scene.ended == [3 * PIECE]


def test_the_download_is_told_where_the_reader_is(scene: Scene) -> None:
    """First and last thing, so that what comes next can be asked for first."""
    reader = scene.read(100, 3 * PIECE)
    assert scene.positions[0] == 100
    scene.come(reader, PIECE)
    assert scene.positions[-1] == PIECE
    scene.come(reader, 3 * PIECE)
    assert scene.positions[-1] is None
    assert None not in scene.positions[:-1]


# -- back-pressure ------------------------------------------


def test_a_paused_consumer_gets_nothing_and_one_block_is_kept(tmp_path: Path) -> None:
    """Memory is bounded whatever is ready."""
    scene = Scene(tmp_path, size=4 * MIB, room=1)
    scene.upto = 4 * MIB
    reader = scene.read(end=4 * MIB)
    first = len(scene.consumer.taken)
    for _ in range(5):
        reader.advance()
        scene.lab.threads.run()
    assert len(scene.consumer.taken) == first
    assert sum(map(len, reader._slices)) + first <= READ_BYTES
    scene.consumer.room = 1 << 40
    reader.resumeProducing()
    scene.lab.threads.run()
    assert scene.consumer.taken == scene.lab.body
    scene.end()


def test_a_consumer_that_resumes_inside_a_write_gets_every_byte_once(tmp_path: Path) -> None:
    """Real transports do that."""
    scene = Scene(tmp_path, size=4 * MIB)
    scene.consumer.eager = True
    scene.upto = 4 * MIB
    scene.read(end=4 * MIB)
    assert scene.consumer.taken == scene.lab.body
    assert scene.ended == [4 * MIB]
    scene.end()


# -- the ends ------------------------------------------


def test_a_consumer_that_goes_away_ends_it(scene: Scene) -> None:
    """Also with a read under way, whose bytes go nowhere."""
    scene.upto = 3 * PIECE
    reader = OrderedReader(scene, scene.lab.disk, scene.consumer, 0, 3 * PIECE)
    reader.done.addBoth(scene.ended.append)
    reader.advance()
    reader.stopProducing()
    scene.lab.threads.run()
    assert isinstance(scene.error, ConnectionAbortedError)
    assert scene.consumer.taken == b""
    assert scene.positions[-1] is None


def test_a_consumer_that_is_gone_already_ends_it(scene: Scene) -> None:
    """It says so while the producer is registered; nobody reads in order then."""

    def gone(producer: Any, streaming: bool) -> None:
        Consumer.registerProducer(scene.consumer, producer, streaming)
        producer.stopProducing()

    scene.consumer.registerProducer = gone  # type: ignore[method-assign]
    scene.upto = PIECE
    scene.read(end=PIECE)
    assert isinstance(scene.error, ConnectionAbortedError)
    assert scene.positions[-1] is None


def test_a_failed_download_fails_its_reader_once(scene: Scene) -> None:
    """With the download's error; a second one changes nothing."""
    reader = scene.read(end=PIECE)
    why = StoreError("no")
    reader.fail(why)
    reader.fail(StoreError("again"))
    scene.come(reader, PIECE)
    assert scene.error is why
    assert scene.consumer.taken == b""


def test_cancelling_stops_it(scene: Scene) -> None:
    """Not a byte more reaches the consumer."""
    reader = scene.read(end=3 * PIECE)
    scene.come(reader, PIECE)
    reader.done.cancel()
    scene.come(reader, 3 * PIECE)
    assert isinstance(scene.error, CancelledError)
    assert scene.consumer.taken == scene.lab.body[:PIECE]
    assert scene.consumer.producer is None


def test_bytes_that_cannot_be_read_fail_it(scene: Scene) -> None:
    """The file is shorter than what is said to be ready."""
    scene.file.set_length(100)
    reader = scene.read(end=PIECE)
    scene.come(reader, PIECE)
    assert isinstance(scene.error, StoreError)
    assert scene.unread == [scene.error]


def test_a_consumer_that_raises_fails_it(scene: Scene) -> None:
    """Whoever waits for the end must not wait for ever."""
    scene.consumer.broken = AttributeError("channel is None")
    reader = scene.read(end=PIECE)
    scene.come(reader, PIECE)
    assert scene.error is scene.consumer.broken
    assert scene.unread == []


def test_what_is_in_memory_needs_no_disk(scene: Scene) -> None:
    """All that is ready is written at once, from where it is to where it ends."""
    scene.upto = len(scene.lab.body)
    scene.memory = scene.lab.body
    scene.file.forget()
    scene.read(5, 1000)
    assert scene.ended == [995]
    assert scene.consumer.taken == scene.lab.body[5:1000]
