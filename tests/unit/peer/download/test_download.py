"""One client's download: which way it goes, what it tells, how it ends."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.control.messages import Announced
from dragonfly.errors import (
    DigestMismatch,
    NoSources,
    OriginChanged,
    OriginRefused,
    OriginTruncated,
    OriginUnreachable,
    StoreError,
    TaskError,
    TrackerError,
    TrackerUnreachable,
    TrustError,
    VersionUnknown,
)
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.net.trust import Trust
from dragonfly.peer.content.content import ORIGIN, Content
from dragonfly.peer.download.download import Download
from dragonfly.peer.download.patience import SLOW_AFTER_S
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.download.restarts import CHANGES_IN_SWARM, MAX_RESTARTS
from dragonfly.peer.download.ways import Reason
from dragonfly.peer.equipment import Equipment
from dragonfly.task.digest import Digest
from dragonfly.task.layout import Layout
from tests.doubles.consumer import Consumer
from tests.doubles.tasklab import PIECE, TASK, TaskLab

URL = "http://o/f"


@attrs.define(eq=False)
class Heard:
    """A listener that keeps what it hears, as words."""

    words: list[str] = attrs.field(factory=list)
    layouts: list[Layout] = attrs.field(factory=list)
    ranges: list[tuple[int, int]] = attrs.field(factory=list)
    notices: list[str] = attrs.field(factory=list)
    error: Exception | None = None

    def on_layout(self, layout: Layout) -> None:
        """Keep."""
        self.words.append("layout")
        self.layouts.append(layout)

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """Keep."""
        self.words.append("ranges")
        self.ranges += ranges

    def on_notice(self, text: str) -> None:
        """Keep."""
        self.notices.append(text)

    def on_restart(self) -> None:
        """Nothing before holds."""
        self.words.append("restart")
        self.ranges.clear()

    def on_done(self) -> None:
        """Keep."""
        self.words.append("done")

    def on_failed(self, error: Exception) -> None:
        """Keep."""
        self.words.append("failed")
        self.error = error


@attrs.define(eq=False)
class FakeJoin:
    """A content in the making."""

    content: Content
    left: int = 0
    reader_at: list[tuple[int | None, int, int | None]] = attrs.field(factory=list)

    def join(self, client: Download) -> None:
        """As a transfer does."""
        self.content.watchers.append(client)

    def leave(self, client: Any) -> None:
        """As a transfer does."""
        self.content.watchers.remove(client)
        self.left += 1

    def want_in_order(
        self, reader: object, position: int | None, ahead: int, end: int | None
    ) -> None:
        """Keep."""
        self.reader_at.append((position, ahead, end))

    def due_s(self, begin: int, end: int) -> float | None:
        """A number that is recognized."""
        return float(end - begin)


class Scene:
    """A download and the ways it may go; each way is taken from ``swarm`` or ``solo``: a
    join, a text, an error, or a Deferred of one."""

    def __init__(self, home: Path, **request: Any) -> None:
        self.clock = Clock()
        self.lab = TaskLab(home)
        self.swarm: list[Any] = []
        self.solo: list[Any] = []
        self.private: list[bool] = []
        self.here: FakeJoin | None = None
        self.tasks = TaskSet(Logger("test"))
        none: Any = None
        self.equipment = Equipment(
            reactor=self.clock,
            rng=random.Random(1),
            key=self.lab.key,
            disk=self.lab.disk,
            store=none,
            uploader=none,
            supernodes=none,
            origins=self,  # type: ignore[arg-type]
            tasks=self.tasks,
            dial=none,
            announced=lambda: Announced(port=1),
            total=Throttle(self.clock),
        )
        self.download = Download(FetchRequest(**{"url": URL, **request}), self.equipment, self)
        self.heard = Heard()
        self.download.add_listener(self.heard)
        self.result: list[Any] = []
        self.download.done.wait().addBoth(self.result.append)

    def get(self, trust: Any, loopback: bool, *, everywhere: bool) -> Any:
        """Origins: the client is told by the trust it was made for."""
        assert loopback is self.download.request.loopback
        assert everywhere is self.download.request.everywhere
        return trust

    # -- Ways -----------------------------------------------------------------------------

    async def at_hand(self, download: Download, name: Any) -> Any:
        """What ``here`` is."""
        if self.here is not None:
            self.here.join(download)
        return self.here

    async def through_swarm(self, download: Download, name: Any) -> Any:
        """The next thing of ``swarm``."""
        return await self._go(download, self.swarm.pop(0))

    async def alone(self, download: Download, name: Any, *, private: bool) -> Any:
        """The next thing of ``solo``."""
        self.private.append(private)
        return await self._go(download, self.solo.pop(0))

    async def _go(self, download: Download, way: Any) -> Any:
        if isinstance(way, Deferred):
            way = await way
        if isinstance(way, Exception):
            raise way
        if isinstance(way, FakeJoin):
            way.join(download)
        return way

    # -- moving ---------------------------------------------------------------------------

    def content(self, **options: Any) -> FakeJoin:
        """One more content, to be joined."""
        return FakeJoin(self.lab.content(**options))

    def start(self, *swarm: Any) -> FakeJoin:
        """Begin; what the swarm gives are ``swarm``, or one good content."""
        self.swarm = list(swarm) or [self.content()]
        first: Any = self.swarm[0]
        self.download.start()
        self.lab.threads.run()
        return first  # type: ignore[no-any-return]

    def come(self, join: FakeJoin, *pieces: int, source: str = "n") -> None:
        """Bytes come."""
        for piece in pieces or range(self.lab.count):
            join.content.intake.add(source, piece, 0, self.lab.piece(piece))
        self.lab.threads.run()

    @property
    def error(self) -> Any:
        """What it failed with, as everybody was told."""
        (result,) = self.result
        assert isinstance(result, Failure)
        assert result.value is self.download.error
        return result.value

    def end(self) -> None:
        """Nothing runs on, and no timer is left."""
        self.download.cancel()
        self.lab.threads.run()
        assert len(self.tasks) == 0
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A plain download."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


# -- the good end ------------------------------------------


def test_a_download_from_the_swarm(scene: Scene) -> None:
    """Layout, ranges, the end; bytes by source and no reason to have read the origin."""
    join = scene.start()
    scene.clock.advance(2.0)
    scene.come(join)
    scene.clock.advance(5.0)
    assert scene.heard.words == ["layout", "ranges", "ranges", "ranges", "done"]
    assert sum(end - begin for begin, end in scene.heard.ranges) == len(scene.lab.body)
    assert scene.result == [None]
    download = scene.download
    assert download.sources["peers"] == len(scene.lab.body)
    assert (download.reason, download.seconds, download.ended) == (Reason.NONE, 2.0, True)
    assert download.task == TASK
    assert download.path.read_bytes() == scene.lab.body
    assert not join.left


@pytest.mark.parametrize("admitted", [True, False])
def test_what_is_at_hand(tmp_path: Path, admitted: bool) -> None:
    """Who need not be admitted takes it; everybody else registers first."""
    digest = Digest("sha256", hashlib.sha256(TaskLab(tmp_path / "same").body).digest())
    scene = Scene(tmp_path, digest=digest, admitted=admitted)
    scene.here, swarm = scene.content(), scene.content()
    scene.start(swarm)
    scene.come(scene.here if admitted else swarm)
    assert scene.result == [None]
    assert len(scene.swarm) == admitted
    scene.end()


def test_a_name_without_a_digest_is_never_at_hand(tmp_path: Path) -> None:
    """The origin may have another version of it by now."""
    scene = Scene(tmp_path, admitted=True)
    scene.here = scene.content()
    scene.start()
    assert scene.swarm == []
    scene.end()


def test_its_front_can_be_hashed(scene: Scene) -> None:
    """For whoever goes on from elsewhere; the file stays until it was."""
    scene.come(scene.start())
    file, prefix = scene.download.file, scene.download.prefix()
    scene.download.cancel()
    scene.lab.threads.run()
    assert file.in_use
    prefix.release()


def test_before_it_has_begun_there_is_nothing(scene: Scene) -> None:
    """And it says so."""
    assert scene.download.task == b""
    assert scene.download.content is None
    assert scene.download.ready_to(5) == 5
    assert scene.download.due_s(5, 8) is None
    for what in ("layout", "file", "path"):
        with pytest.raises(TaskError):
            getattr(scene.download, what)


def test_what_is_here_already_counts_as_cache(scene: Scene) -> None:
    """Another client has brought it, or an earlier run."""
    join = scene.content()
    scene.come(join, 0, 1)
    scene.start(join)
    assert scene.heard.words == ["layout", "ranges"]
    assert scene.download.sources["cache"] == 2 * PIECE
    scene.come(join, 2)
    assert scene.result == [None]


def test_a_finished_content_is_done_at_once(scene: Scene) -> None:
    """Nothing more comes."""
    join = scene.content()
    scene.come(join)
    scene.start(join)
    assert scene.heard.words == ["layout", "ranges", "done"]


def test_a_late_listener_hears_what_there_is(scene: Scene) -> None:
    """In the same order."""
    join = scene.start()
    scene.download.notice("hello")
    scene.come(join, 0)
    late = Heard()
    scene.download.add_listener(late)
    assert (late.words, late.notices) == (["layout", "ranges"], ["hello"])
    scene.come(join, 1, 2)
    later = Heard()
    scene.download.add_listener(later)
    assert later.words == ["layout", "ranges", "done"]


def test_news_of_a_content_that_is_being_joined_waits(scene: Scene) -> None:
    """The length comes between joining and the registry's answer: no error, told afterwards."""
    join = scene.content(length_known=False, runs=False)
    waiting: Deferred[Any] = Deferred()
    scene.start(waiting)
    join.join(scene.download)
    join.content.add_run(scene.lab.run())
    scene.come(join, 0)
    join.content.watchers.clear()
    waiting.callback(join)
    assert scene.heard.words == ["layout", "ranges"]
    assert scene.heard.layouts == [scene.lab.layout]
    assert scene.download.sources["cache"] == PIECE


# -- which way ------------------------------------------


def test_the_origin_can_be_asked_for(tmp_path: Path) -> None:
    """``-p source`` does not ask a supernode."""
    scene = Scene(tmp_path, pattern="source")
    join = scene.content()
    scene.solo = [join]
    scene.download.start()
    scene.come(join, source=ORIGIN)
    assert scene.result == [None]
    assert scene.private == [False]
    assert scene.download.reason == Reason.USER_ASKED
    scene.end()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrackerUnreachable("nobody"), Reason.NO_SUPERNODE),
        (TrustError("another certificate"), Reason.NO_SUPERNODE),
        (TrackerError("broken", 500), Reason.REGISTER_FAILED),
        (OriginUnreachable("the supernode cannot"), Reason.SOURCE_ERROR),
    ],
)
def test_without_a_swarm_the_origin_is_read_and_the_user_told(
    scene: Scene, error: Exception, reason: int
) -> None:
    """An impostor is named loudly."""
    join = scene.content()
    scene.solo = [join]
    scene.start(error)
    scene.come(join)
    assert scene.result == [None]
    assert scene.download.reason == reason
    assert str(error) in scene.heard.notices[-1]
    assert any("WARNING" in text for text in scene.heard.notices) == isinstance(error, TrustError)


def test_notbs_forbids_the_origin(tmp_path: Path) -> None:
    """The supernode's error is the result."""
    scene = Scene(tmp_path, notbs=True)
    error = TrackerUnreachable("nobody")
    scene.start(error)
    assert scene.error is error
    assert scene.download.origin_source() is None
    scene.end()


def test_what_must_not_be_shared_is_fetched_privately(scene: Scene) -> None:
    """And the user is told why."""
    join = scene.content()
    scene.solo = [join]
    scene.start("Cache-Control: private")
    scene.come(join)
    assert scene.private == [True]
    assert "private" in scene.heard.notices[0]


def test_what_must_not_be_shared_is_not_had_with_notbs(tmp_path: Path) -> None:
    """Nobody else gives it."""
    scene = Scene(tmp_path, notbs=True)
    scene.start("Cache-Control: private")
    assert isinstance(scene.error, NoSources)
    scene.end()


def test_the_origins_refusal_is_final(scene: Scene) -> None:
    """It would refuse us as well."""
    scene.start(OriginRefused("no", 403))
    assert scene.error.status == 403
    assert scene.heard.words == ["failed"]


def test_a_bug_fails_the_download_and_is_logged(
    scene: Scene, no_silent_failures: list[Any]
) -> None:
    """Nobody waits for ever."""
    scene.start(ZeroDivisionError())
    assert isinstance(scene.error, ZeroDivisionError)
    assert len(no_silent_failures) == 1
    no_silent_failures.clear()


def test_the_reason_of_falling_back_is_kept(scene: Scene) -> None:
    """The first one counts."""
    scene.start()
    scene.download.fell_back("by leave")
    assert scene.download.reason == Reason.DOWNLOAD_FAILED
    assert scene.heard.notices == ["reading from the origin by leave"]
    scene.download.reason = Reason.NO_SUPERNODE
    scene.download.fell_back("again")
    assert scene.download.reason == Reason.NO_SUPERNODE


def test_how_the_origin_is_read(tmp_path: Path) -> None:
    """With the user's trust and headers."""
    scene = Scene(tmp_path, headers=(("A", "b"),), trust=Trust(insecure=True))
    source = scene.download.source()
    assert (source.url, source.headers) == (URL, (("A", "b"),))
    client: Any = source.client
    assert client.insecure
    scene.end()


# -- beginning again ------------------------------------------


def test_a_content_that_changed_is_begun_again(scene: Scene) -> None:
    """Bytes told of are taken back, and counted anew."""
    second = scene.content()
    join = scene.start(scene.content(), second)
    scene.come(join, 0)
    join.content.fail(OriginChanged("other bytes"))
    scene.come(second)
    assert scene.heard.words[:4] == ["layout", "ranges", "restart", "layout"]
    assert scene.heard.words[-1] == "done"
    assert join.left == 1
    assert sum(scene.download.sources.values()) == len(scene.lab.body)


def test_a_content_that_changes_all_the_time_is_given_up(tmp_path: Path) -> None:
    """After so many attempts."""
    scene = Scene(tmp_path, notbs=True)
    scene.start(*[OriginChanged("again") for _ in range(MAX_RESTARTS + 1)])
    assert isinstance(scene.error, OriginChanged)
    assert scene.swarm == []
    scene.end()


def test_what_the_swarm_finds_changed_each_time_is_read_alone(scene: Scene) -> None:
    """An origin that tells each request another version can be read in one go."""
    join = scene.content()
    scene.solo = [join]
    scene.start(*[OriginChanged("again") for _ in range(CHANGES_IN_SWARM)])
    scene.come(join)
    assert scene.result == [None]
    assert scene.swarm == []


def test_a_cut_that_cannot_be_continued_is_begun_again_once(scene: Scene) -> None:
    """Not more often."""
    scene.start(OriginTruncated("cut"), OriginTruncated("cut"))
    assert isinstance(scene.error, OriginTruncated)


def test_a_version_that_nobody_can_tell_is_read_alone_then(scene: Scene) -> None:
    """The swarm has failed at it."""
    join = scene.content()
    scene.solo = [join]
    scene.start(VersionUnknown("no validator"))
    scene.come(join)
    assert scene.result == [None]


def test_a_content_that_failed_while_it_was_joined_fails(scene: Scene) -> None:
    """It is not waited for."""
    join = scene.content()
    error = StoreError("full")
    join.content.fail(error)
    scene.start(join)
    assert scene.error is error


# -- the digest of the whole ------------------------------------------


def _digest(body: bytes) -> Digest:
    import hashlib  # noqa: PLC0415

    return Digest("sha256", hashlib.sha256(body).digest())


def test_a_digest_of_the_whole_is_compared_before_the_end(tmp_path: Path) -> None:
    """It is hashed meanwhile."""
    lab = TaskLab(tmp_path / "other")
    scene = Scene(tmp_path, digest=_digest(lab.body))
    scene.come(scene.start())
    assert scene.result == [None]
    scene.end()


def test_a_wrong_whole_fails_the_download(tmp_path: Path) -> None:
    """Though every piece was right."""
    scene = Scene(tmp_path, digest=_digest(b"other"))
    scene.come(scene.start())
    assert isinstance(scene.error, DigestMismatch)
    assert "done" not in scene.heard.words
    scene.end()


@pytest.mark.parametrize(("algorithm", "spoilt"), [("", True), ("sha256", True), ("md5", False)])
def test_a_whole_that_is_not_what_its_name_says_is_spoilt(
    tmp_path: Path, algorithm: str, *, spoilt: bool
) -> None:
    """Nobody is to have it; what only the caller says of it may be his mistake."""
    named = _digest(b"other")
    digest = named if algorithm == "sha256" else Digest("md5", b"0" * 16) if algorithm else None
    scene = Scene(tmp_path, url=f"http://o/v2/a/blobs/{named}", digest=digest)
    join = scene.start()
    scene.come(join)
    assert isinstance(scene.error, DigestMismatch)
    assert join.content.spoilt is spoilt
    scene.end()


# -- readers ------------------------------------------


def _reader(scene: Scene, *args: int) -> tuple[Consumer, list[Any]]:
    consumer, ended = Consumer(), []
    scene.download.reader(consumer, *args).done.addBoth(ended.append)
    return consumer, ended


def test_a_reader_gets_the_bytes_in_order(scene: Scene) -> None:
    """While they come in another one; the content hears where it is."""
    join = scene.start()
    consumer, ended = _reader(scene)
    scene.come(join, 2, 0)
    assert consumer.taken == scene.lab.body[:PIECE]
    assert join.reader_at[-1] == (PIECE, 0, len(scene.lab.body))
    scene.come(join, 1)
    assert consumer.taken == scene.lab.body
    assert ended == [len(scene.lab.body)]


@pytest.mark.parametrize("busy", [False, True])
def test_a_file_that_cannot_be_read(scene: Scene, busy: bool) -> None:
    """Who comes later has it fetched anew, unless that is for want of something else."""
    join = scene.start()
    scene.come(join)
    if busy:
        error = StoreError("no descriptor is left")
        error.__cause__ = OSError(errno.EMFILE, "too many open files")
        scene.download.unreadable(error)
    else:
        join.content.file.set_length(100)
        _, ended = _reader(scene)
        scene.lab.threads.run()
        assert ended[0].check(StoreError)
    assert join.content.spoilt is not busy


def test_a_reader_of_a_range_behind_the_end_ends_there(scene: Scene) -> None:
    """It does not wait for what never comes."""
    join = scene.start()
    consumer, ended = _reader(scene, 2 * PIECE, 100 * PIECE)
    scene.come(join)
    assert consumer.taken == scene.lab.body[2 * PIECE :]
    assert ended == [len(scene.lab.body) - 2 * PIECE]


def test_when_bytes_are_due_the_content_knows(scene: Scene) -> None:
    """It sees the neighbours."""
    scene.start()
    assert scene.download.due_s(5, 8) == 3.0


def test_a_reader_learns_the_length_with_the_content(scene: Scene) -> None:
    """It ends with it."""
    join = scene.start(scene.content(length_known=False, runs=False))
    _, ended = _reader(scene)
    join.content.add_run(scene.lab.run())
    scene.come(join)
    assert ended == [len(scene.lab.body)]


def test_a_length_that_tells_a_reader_that_it_has_all(scene: Scene) -> None:
    """Whose end is that of the download: nothing more is said, and whoever told it goes on."""
    join = scene.start(scene.content(length_known=False, runs=False))
    consumer = Consumer()
    reader = scene.download.reader(consumer, len(scene.lab.body))
    reader.done.addCallback(lambda _: scene.download.cancel())
    words = list(scene.heard.words)
    join.content.add_run(scene.lab.run())
    assert join.left == 1
    assert scene.heard.words == words


@pytest.mark.parametrize("how", ["changed", "failed", "cancelled", "late"])
def test_readers_end_when_the_download_does_not_go_on(scene: Scene, how: str) -> None:
    """Nobody waits for ever, no two versions are mixed, and nobody reads in order then."""
    join = scene.start(scene.content(), scene.content())
    consumer, ended = _reader(scene)
    consumer.room = 0
    scene.come(join, 0)
    taken = consumer.taken
    if how == "changed":
        join.content.fail(OriginChanged("other bytes"))
    elif how == "failed":
        join.content.fail(StoreError("full"))
    elif how == "cancelled":
        scene.download.cancel()
    else:
        scene.come(join, 1, 2)
        scene.download.content_failed(NoSources("gone"))
    scene.lab.threads.run()
    assert isinstance(ended[0], Failure)
    assert consumer.taken == taken
    assert join.reader_at[-1] == (None, 0, None)


# -- time and the end ------------------------------------------


def test_a_time_limit_ends_it(tmp_path: Path) -> None:
    """Whatever it waits for."""
    scene = Scene(tmp_path, timeout_s=10.0)
    join = scene.start()
    scene.clock.advance(9.9)
    assert not scene.result
    scene.clock.advance(0.1)
    assert isinstance(scene.error, NoSources)
    assert "10 s" in str(scene.error)
    assert join.left == 1
    scene.end()


def test_a_time_limit_that_was_kept_leaves_no_timer(tmp_path: Path) -> None:
    """Nor does a download that failed."""
    scene = Scene(tmp_path, timeout_s=10.0)
    scene.come(scene.start())
    assert scene.clock.getDelayedCalls() == []
    scene.end()


def test_impatience_is_about_the_users_limits(tmp_path: Path) -> None:
    """A rate after a while, a finish that will come too late; neither without a limit."""
    plain = Scene(tmp_path / "a")
    assert not plain.download.impatient(None, 0.0, 1e6)
    slow = Scene(tmp_path / "b", min_rate=1000)
    assert not slow.download.impatient(None, 1.0, SLOW_AFTER_S)
    assert slow.download.impatient(None, 999.0, SLOW_AFTER_S + 0.1)
    assert not slow.download.impatient(None, 1000.0, SLOW_AFTER_S + 0.1)
    late = Scene(tmp_path / "c", timeout_s=40.0)
    assert not late.download.impatient(None, 1.0, 9.0)
    assert late.download.impatient(None, 1.0, 10.0)
    assert late.download.impatient(31.0, 1.0, 10.0)
    assert not late.download.impatient(29.0, 1.0, 10.0)


@pytest.mark.parametrize("when", ["before", "asking", "coming", "done"])
def test_cancelling_lets_everything_go(scene: Scene, when: str) -> None:
    """Listeners hear nothing more; the content is left once, what waits is cancelled."""
    join: Any = scene.content()
    asking: Deferred[Any] = Deferred()
    if when == "asking":
        scene.start(asking)
    elif when != "before":
        scene.start(join)
    if when == "done":
        scene.come(join)
    words = list(scene.heard.words)
    scene.download.cancel()
    scene.download.cancel()
    if when == "coming":
        scene.come(join, 0)
    assert scene.heard.words == words
    assert join.left == (when in {"coming", "done"})
    if when == "done":
        assert scene.result == [None]
    else:
        assert isinstance(scene.result[0].value, CancelledError)
    assert asking.called == (when == "asking")


@pytest.mark.parametrize("told", ["on_layout", "on_ranges"])
@pytest.mark.parametrize("end", ["cancel", "give_up"])
def test_who_is_told_may_have_enough(
    scene: Scene, told: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a content that is here already; nothing of the download runs on."""
    join = scene.content()
    scene.come(join)
    args = (NoSources("enough"),) if end == "give_up" else ()
    monkeypatch.setattr(Heard, told, lambda *_: getattr(scene.download, end)(*args))
    scene.start(join)
    assert join.left == 1
    assert len(scene.tasks) == 0


def test_a_download_that_ends_stays_with_its_content(scene: Scene) -> None:
    """Its client copies the file still; cancelling lets it go."""
    join = scene.start()
    scene.come(join)
    assert scene.download.file is join.content.file
    scene.download.cancel()
    with pytest.raises(TaskError):
        scene.download.file  # noqa: B018


# -- parts ------------------------------------------


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Scene]:
    """A download that wants only what its readers ask for, of a content with a right digest."""
    size = 3 * PIECE - 1000
    body = random.Random(size).randbytes(size)
    digest = Digest.parse("sha256:" + hashlib.sha256(body).hexdigest())
    scene = Scene(tmp_path, whole=False, digest=digest)
    assert scene.lab.body == body
    yield scene
    scene.end()


def test_a_part_is_done_when_its_readers_are(part: Scene) -> None:
    """The content need not be finished; the digest of the whole is nobody's business."""
    join = part.start()
    one, ended = _reader(part, 0, 100)
    two, also = _reader(part, PIECE, PIECE + 5)
    assert join.reader_at[:2] == [(0, 0, 100), (0, 0, 100)]
    part.come(join, 0)
    assert (ended, also, part.result) == ([100], [], [])
    part.come(join, 1)
    assert (also, part.result) == ([5], [None])
    assert part.heard.words[-1] == "done"
    assert (one.taken, two.taken) == (part.lab.body[:100], part.lab.body[PIECE : PIECE + 5])
    three, again = _reader(part, 2 * PIECE, 2 * PIECE + 7)
    assert join.reader_at[-1] == (2 * PIECE, 0, 2 * PIECE + 7)
    part.come(join, 2)
    assert again == [7]
    assert three.taken == part.lab.body[2 * PIECE : 2 * PIECE + 7]


def test_a_content_that_is_here_does_not_end_a_part(part: Scene) -> None:
    """Its reader is still to come, and need not wait for anything."""
    join = part.content()
    part.come(join)
    part.start(join)
    assert part.result == []
    _, ended = _reader(part, 5, 10)
    part.lab.threads.run()
    assert (ended, part.result) == ([5], [None])


def test_a_reader_that_goes_away_is_an_end_like_others(part: Scene) -> None:
    """Whoever hangs up has had what he wanted."""
    part.start()
    consumer, ended = _reader(part, 0)
    consumer.producer.stopProducing()
    assert isinstance(ended[0], Failure)
    assert part.result == [None]


@pytest.mark.parametrize("right", [True, False])
def test_who_reads_all_in_parts_has_it_compared(tmp_path: Path, *, right: bool) -> None:
    """Before the download is done, as one for the whole."""
    size = 3 * PIECE - 1000
    body = random.Random(size).randbytes(size) if right else b"other"
    digest = Digest.parse("sha256:" + hashlib.sha256(body).hexdigest())
    part = Scene(tmp_path, whole=False, digest=digest)
    join = part.start()
    _, ended = _reader(part, 0, size)
    part.come(join)
    assert ended == [size]
    if right:
        assert part.result == [None]
    else:
        assert isinstance(part.error, DigestMismatch)
    part.end()


@pytest.mark.parametrize("right", [True, False])
def test_a_verdict_is_about_later_readers_too(tmp_path: Path, *, right: bool) -> None:
    """One who asks for several ranges reads them one after another; all may be among them."""
    size = 3 * PIECE - 1000
    body = random.Random(size).randbytes(size) if right else b"other"
    digest = Digest.parse("sha256:" + hashlib.sha256(body).hexdigest())
    part = Scene(tmp_path, whole=False, digest=digest)
    join = part.start()
    verdicts: list[Any] = []
    part.come(join)
    _reader(part, 0, 5)
    part.lab.threads.run()
    assert part.result == [None]
    Deferred.fromCoroutine(part.download.verdict()).addBoth(verdicts.append)
    assert verdicts == [None]
    _reader(part, 0, size)
    Deferred.fromCoroutine(part.download.verdict()).addBoth(verdicts.append)
    assert len(verdicts) == 1
    part.lab.threads.run()
    if right:
        assert verdicts == [None, None]
    else:
        assert isinstance(verdicts[1].value, DigestMismatch)
    assert join.content.spoilt is not right
    part.end()


def test_the_verdict_on_a_whole_is_its_end(scene: Scene) -> None:
    """For whom it does not matter how it was asked for."""
    join = scene.start()
    verdicts: list[Any] = []
    Deferred.fromCoroutine(scene.download.verdict()).addBoth(verdicts.append)
    assert verdicts == []
    scene.come(join)
    assert verdicts == [None]


def test_a_part_whose_time_is_over_has_failed(tmp_path: Path) -> None:
    """Though its readers end then."""
    part = Scene(tmp_path, whole=False, timeout_s=10.0)
    part.start()
    _, ended = _reader(part, 0, 5)
    part.clock.advance(10.0)
    assert isinstance(part.error, NoSources)
    assert isinstance(ended[0], Failure)
    part.end()


@pytest.mark.parametrize("why", [TrackerUnreachable("no"), "private", OriginUnreachable("gone")])
def test_a_part_is_not_read_alone(tmp_path: Path, why: Any) -> None:
    """All before it would have to come first; its caller can read it himself."""
    part = Scene(tmp_path, whole=False)
    part.start(why)
    assert part.error is why if why != "private" else isinstance(part.error, NoSources)
    assert part.private == []
    if isinstance(why, TrackerUnreachable):
        assert part.download.reason == Reason.NO_SUPERNODE
    part.end()


def test_a_part_that_the_swarm_gave_up_has_failed(part: Scene) -> None:
    """It is not begun again at the origin."""
    join = part.start()
    join.content.fail(VersionUnknown("who knows"))
    part.lab.threads.run()
    assert isinstance(part.error, NoSources)
