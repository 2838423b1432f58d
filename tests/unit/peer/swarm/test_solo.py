"""One content from the origin alone: what is tried again, and what is not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from dragonfly.control.messages import Announced, Validator
from dragonfly.errors import OriginChanged, OriginRefused, OriginTruncated, OriginUnreachable
from dragonfly.net.disk import DiskPool
from dragonfly.net.reply import OriginReply
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.origin.originstream import OriginSource
from dragonfly.peer.swarm.solo import FIRST_PAUSE_S, TRIES, Solo
from dragonfly.peer.swarm.solodesk import local_id
from dragonfly.signatures import SigningKey
from dragonfly.store.hot import HotPieces
from dragonfly.task.identity import name_of
from tests.doubles.inline import InlineReactor, inline_disk
from tests.doubles.stores import open_store
from tests.doubles.threads import HandThreads

SIZE = 32 * 1024
BODY = random.Random(1).randbytes(3 * SIZE + 100)
URL = "http://host/file"
KEY = SigningKey.from_bytes(b"\1" * 32)


@attrs.define(eq=False)
class FakeBody:
    """A body from ``start`` on that is cut at ``end``, if that is not its end."""

    start: int
    end: int | None = None

    @property
    def reply(self) -> OriginReply:
        """What the origin says of it."""
        return OriginReply(status=200, headers=(), url=URL, length=len(BODY), start=self.start)

    def deliver(self, sink: Any) -> Any:
        """Let it flow at once."""
        sink.expected = len(BODY) - self.start
        for at in range(self.start, self.end or len(BODY), 10_000):
            sink.dataReceived(BODY[at : min(at + 10_000, self.end or len(BODY))])
        reason = ResponseDone() if self.end is None else ConnectionLost()
        sink.connectionLost(Failure(reason))
        return sink.done


class FakeClient:
    """Gives what a test has prepared."""

    def __init__(self) -> None:
        self.replies: list[FakeBody | Exception] = []
        self.starts: list[int] = []

    async def get(self, url: str, headers: Any, *, start: int = 0, validator: Any = None) -> Any:
        """The next reply."""
        assert (url, headers, validator.length) == (URL, (), len(BODY))
        self.starts.append(start)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def _disk(threads: HandThreads) -> DiskPool:
    disk = DiskPool(threads, threads=threads)  # type: ignore[arg-type]
    disk.start()
    return disk


class Scene:
    """A solo of a store of its own."""

    def __init__(
        self, root: Path, *, etag: str | None = '"v1"', threads: HandThreads | None = None
    ) -> None:
        self.reactor = InlineReactor()
        self.client = FakeClient()
        self.errors: list[Exception] = []
        self.finished = 0
        self.unused: list[Solo] = []
        self.local_limit = None
        self.tasks = TaskSet(Logger("test"))
        store = open_store(root, HotPieces(0))
        none: Any = None
        equipment = Equipment(
            reactor=self.reactor,
            rng=random.Random(1),
            key=KEY,
            disk=_disk(threads) if threads is not None else inline_disk(self.reactor),
            store=store,
            uploader=none,
            supernodes=none,
            origins=none,
            tasks=self.tasks,
            dial=none,
            announced=lambda: Announced(port=1),
            total=Throttle(self.reactor),
        )
        file = store.create(b"t" * 32, 0, SIZE, len(BODY))
        source = OriginSource(self.client, URL, ())  # type: ignore[arg-type]
        validator = Validator(etag=etag, length=len(BODY))
        self.solo = Solo(equipment, file, source, validator, self.unused.append)
        self.client_of: Any = self
        self.solo.join(self.client_of)

    def content_layout(self) -> None:
        """Of no interest."""

    def content_ranges(self, ranges: Any, kind: str) -> None:
        """Of no interest."""

    def content_finished(self) -> None:
        """Count."""
        self.finished += 1

    def content_failed(self, error: Exception) -> None:
        """Keep it."""
        self.errors.append(error)

    def start(self, body: FakeBody) -> None:
        """Begin with that body."""
        begin: Any = body
        self.solo.start(begin)

    def later(self, tries: int = TRIES) -> None:
        """Let all pauses pass."""
        for _ in range(tries):
            self.reactor.advance(FIRST_PAUSE_S * 2**TRIES)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Of a version that a strong ETag names."""
    made = Scene(tmp_path)
    yield made
    made.solo.stop()


def test_one_body_is_enough(scene: Scene) -> None:
    """It comes, and that is it."""
    scene.start(FakeBody(0))
    assert scene.finished == 1
    assert scene.solo.content.file.path.read_bytes() == BODY
    assert scene.client.starts == []
    assert not scene.solo.joinable


def test_it_is_not_over_before_the_disk_has_it(tmp_path: Path) -> None:
    """Who comes meanwhile may share it; to begin anew would take it from those who wait."""
    threads = HandThreads()
    scene = Scene(tmp_path, threads=threads)
    scene.start(FakeBody(0))
    assert scene.finished == 0
    assert scene.solo.joinable
    threads.run()
    assert scene.finished == 1
    assert not scene.solo.joinable


def test_a_cut_is_continued_at_the_first_missing_piece(scene: Scene) -> None:
    """After a moment, with what had come kept."""
    scene.client.replies.append(FakeBody(SIZE))
    scene.start(FakeBody(0, SIZE + 5000))
    assert scene.client.starts == []
    assert scene.solo.joinable
    scene.later(1)
    assert scene.client.starts == [SIZE]
    assert scene.solo.content.file.path.read_bytes() == BODY


def test_an_origin_that_ignores_the_range_is_no_harm(scene: Scene) -> None:
    """It sends all of the same version; what is here is not written again."""
    scene.client.replies.append(FakeBody(0))
    scene.start(FakeBody(0, SIZE + 5000))
    scene.later(1)
    assert scene.finished == 1
    assert scene.solo.content.file.path.read_bytes() == BODY


def test_it_gives_up_after_some_attempts_that_bring_nothing(scene: Scene) -> None:
    """The pauses grow; the last error is the one that counts."""
    scene.client.replies += [OriginUnreachable(str(n)) for n in range(TRIES)]
    scene.start(FakeBody(0, SIZE))
    scene.later()
    (error,) = scene.errors
    assert str(error) == str(TRIES - 1)
    assert len(scene.client.starts) == TRIES


def test_progress_starts_the_count_anew(scene: Scene) -> None:
    """A bad line is slow, not hopeless."""
    down = [OriginUnreachable("down") for _ in range(TRIES - 1)]
    scene.client.replies += [*down, FakeBody(SIZE, 2 * SIZE), *down, FakeBody(2 * SIZE)]
    scene.start(FakeBody(0, SIZE))
    scene.later(2 * TRIES)
    assert scene.errors == []
    assert scene.finished == 1


@pytest.mark.parametrize("error", [OriginRefused("no", 403), OriginChanged("other")])
def test_a_final_answer_is_final(scene: Scene, error: Exception) -> None:
    """No use in asking again."""
    scene.client.replies.append(error)
    scene.start(FakeBody(0, SIZE))
    scene.later()
    assert scene.errors == [error]
    assert len(scene.client.starts) == 1


def test_without_a_strong_validator_nothing_is_continued(tmp_path: Path) -> None:
    """Bytes of two versions are never mixed."""
    scene = Scene(tmp_path, etag='W/"weak"')
    scene.start(FakeBody(0, SIZE))
    (error,) = scene.errors
    assert isinstance(error, OriginTruncated)
    assert scene.client.starts == []


def test_the_last_client_ends_it(scene: Scene) -> None:
    """Nobody waits for the next attempt."""
    scene.start(FakeBody(0, SIZE))
    scene.solo.leave(scene.client_of)
    assert scene.unused == [scene.solo]
    scene.later()
    assert scene.client.starts == []
    assert not scene.solo.joinable


def test_ids_tell_callers_apart_and_betray_nothing() -> None:
    """Other credentials, other trust, another home: another id, though the URL is one."""

    def make(*headers: tuple[str, str], key: SigningKey = KEY, trust: str = "") -> bytes:
        source = OriginSource(FakeClient(), URL, headers)  # type: ignore[arg-type]
        return local_id(key, name_of(URL), source, trust=trust)

    other = SigningKey.from_bytes(b"\2" * 32)
    ids = [make(), make(("A", "b")), make(("Ab", "")), make(trust="x"), make(key=other)]
    assert len(set(ids)) == len(ids)
    assert make() == make()
