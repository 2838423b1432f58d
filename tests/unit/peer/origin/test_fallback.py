"""When the origin is read, and by whose leave."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from dragonfly.control.messages import Validator
from dragonfly.errors import (
    DragonflyError,
    NoSources,
    OriginChanged,
    OriginRefused,
    OriginUnreachable,
    VersionUnknown,
)
from dragonfly.net.tasks import TaskSet
from dragonfly.peer.origin.fallback import (
    ALONE_S,
    GOES_ON_S,
    LOST_S,
    PATIENCE_S,
    RETRY_S,
    SPREAD_S,
    STUCK_S,
    TRIES,
    Fallback,
)
from dragonfly.peer.origin.hunger import QUIET_S, Hunger
from dragonfly.sched.picker import ALL
from dragonfly.task.bitfield import Bitfield
from tests.doubles.tasklab import TaskLab

TICK = 0.5


class FakeContent:
    """What the fallback looks at of a content."""

    def __init__(self) -> None:
        self.checking = False
        self.in_order = True
        self.remaining = 10_000_000
        self.wanted = ALL
        self.have = Bitfield()
        self.error: Exception | None = None
        self.manifest = self
        self.known = Bitfield.full(10)
        self.complete = True
        self.missing = 0
        self.all_here = False

    @property
    def lacking(self) -> int:
        """What is wanted and not here."""
        return self.wanted & ~self.have.mask

    def first_missing(self) -> int:
        """The first piece that is not here."""
        return self.missing

    first_lacking = first_missing

    def fail(self, error: Exception) -> None:
        """Keep it."""
        self.error = error


class FakeStream:
    """A reader of the origin that ends when a test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.versions: list[Any] = []
        self.enough: Any = None
        self.reading: Deferred[None] = Deferred()
        self.source = object()

    async def known(self, first: int, validator: Any, enough: Any) -> None:
        """Read pieces with digests."""
        self.calls.append(("known", first))
        self.versions.append(validator)
        self.enough = enough
        await self._end()

    async def rest(self, first: int, validator: Any) -> None:
        """Read everything."""
        self.calls.append(("rest", first))
        await self._end()

    async def _end(self) -> None:
        self.reading = Deferred()
        await self.reading


class Scene:
    """A download of which a test decides everything."""

    def __init__(
        self, *, notbs: bool = False, etag: str | None = '"v1"', content: Any = None
    ) -> None:
        self.clock = Clock()
        self.content = content or FakeContent()
        self.hunger = Hunger(0.0)
        self.stream = FakeStream()
        self.is_useful = False
        self.is_limited = False
        self.lost = False
        self.is_impatient = False
        self.asked = 0
        self.told: list[str] = []
        self.others = 0
        self.fallback = Fallback(
            self.content,
            self.hunger,
            self,
            clock=self.clock,
            rng=random.Random(3),
            tasks=TaskSet(Logger("test")),
            stream=lambda: None if notbs else self.stream,  # type: ignore[arg-type, return-value]
            validator=Validator(etag=etag),
        )

    def useful(self) -> bool:
        """Situation."""
        return self.is_useful

    def limited(self) -> bool:
        """Situation."""
        return self.is_limited

    def supernode_lost(self) -> bool:
        """Situation."""
        return self.lost

    def ask(self) -> None:
        """Situation."""
        self.asked += 1

    def impatient(self, expected_s: float | None, now: float) -> bool:
        """Situation."""
        return self.is_impatient

    def reading_origin(self, how: str) -> None:
        """Situation."""
        self.told.append(how)

    def another_source(self, refused: object) -> bool:
        """Situation."""
        assert refused is self.stream.source
        self.others -= 1
        return self.others >= 0

    def pass_time(self, seconds: float, *, fed: bool = False) -> None:
        """Let time pass, with or without bytes from the swarm."""
        for _ in range(round(seconds / TICK)):
            self.clock.advance(TICK)
            if fed:
                self.hunger.fed(10_000, self.clock.seconds())
                self.content.remaining -= 10_000
            self.fallback.tick()

    def ends(self, error: DragonflyError | None = None) -> None:
        """The reading is over."""
        if error is None:
            self.stream.reading.callback(None)
        else:
            self.stream.reading.errback(error)


def test_a_fed_download_never_asks() -> None:
    """Slow is no reason."""
    scene = Scene()
    scene.is_useful = True
    scene.pass_time(60, fed=True)
    assert (scene.asked, scene.stream.calls) == (0, [])


def test_who_limits_himself_does_not_starve() -> None:
    """The sources have more; the origin would be read for nothing."""
    scene = Scene()
    scene.is_useful = scene.is_limited = True
    scene.pass_time(PATIENCE_S - TICK)
    assert (scene.asked, scene.fallback.starving, scene.stream.calls) == (0, False, [])
    scene.is_limited = False
    scene.pass_time(TICK)
    assert scene.fallback.starving


def test_alone_it_asks_the_supernode_first_and_less_and_less_often() -> None:
    """While one answers, its leave is needed."""
    scene = Scene()
    scene.pass_time(ALONE_S)
    assert scene.asked == 1
    scene.pass_time(PATIENCE_S - ALONE_S - TICK)
    assert scene.asked == 5  # at 1, 2, 4, 8 and 16 s
    assert scene.stream.calls == []


def test_a_ticket_opens_the_origin_until_it_is_over() -> None:
    """It reads pieces with digests, and stops at a boundary when the time is up."""
    scene = Scene()
    scene.pass_time(4)
    assert scene.fallback.starving
    scene.fallback.ticket(5.0)
    assert scene.stream.calls == [("known", 0)]
    assert scene.told == ["by the supernode's leave"]
    scene.is_useful = True
    assert not scene.stream.enough()
    scene.clock.advance(5.0)
    assert scene.stream.enough()
    scene.ends()
    assert not scene.fallback.reading


def test_a_ticket_is_of_no_use_to_who_does_not_starve() -> None:
    """It keeps it, for when it does."""
    scene = Scene()
    scene.is_useful = True
    scene.pass_time(1, fed=True)
    scene.fallback.ticket(60.0)
    assert scene.stream.calls == []


def test_without_a_supernode_a_random_wait_spreads_the_crowd() -> None:
    """Between nothing and two seconds."""
    scene = Scene()
    scene.lost = True
    scene.pass_time(ALONE_S + SPREAD_S + TICK)
    assert scene.stream.calls == [("known", 0)]
    assert scene.told == ["because no supernode helps"]
    assert scene.asked == 0


@pytest.mark.parametrize("etag", ['"v1"', None], ids=["strong", "none"])
def test_what_only_waits_for_the_disk_is_not_read(tmp_path: Path, etag: str | None) -> None:
    """Everything is here: the origin has nothing behind its end, and nothing has changed."""
    lab = TaskLab(tmp_path)
    content = lab.content()
    for piece in range(lab.count):
        content.intake.add("n", piece, 0, lab.piece(piece))
    scene = Scene(etag=etag, content=content)
    scene.lost = True
    scene.pass_time(PATIENCE_S)
    assert scene.stream.calls == []
    lab.threads.run()
    assert content.finished
    assert content.error is None


def test_who_would_give_up_gets_his_bytes_regardless() -> None:
    """Nothing at all for long, and no ticket."""
    scene = Scene()
    scene.pass_time(PATIENCE_S)
    assert scene.stream.calls == [("known", 0)]


def test_the_users_own_limits_count() -> None:
    """A time limit that will not be met is hunger, too."""
    scene = Scene()
    scene.is_useful = scene.is_impatient = True
    scene.pass_time(TICK, fed=True)
    assert scene.stream.calls == [("known", 0)]


def test_notbs_never_reads() -> None:
    """Whatever happens."""
    scene = Scene(notbs=True)
    scene.lost = True
    scene.pass_time(120)
    assert scene.told == []
    assert not scene.fallback.reading


def test_nothing_is_done_while_old_pieces_are_hashed() -> None:
    """They may be all that is missing."""
    scene = Scene()
    scene.lost = scene.content.checking = True
    scene.pass_time(30)
    assert scene.stream.calls == []


def test_without_digests_the_rest_is_read_in_the_same_version_only() -> None:
    """The strong validator says which that is; without one the content begins again."""
    scene, other = Scene(), Scene(etag=None)
    for each in (scene, other):
        each.lost = True
        each.content.known, each.content.missing = Bitfield(), 3
        each.pass_time(ALONE_S + SPREAD_S + TICK)
    assert scene.stream.calls == [("rest", 3)]
    assert isinstance(other.content.error, OriginChanged)


def test_readers_of_one_task_begin_at_different_places() -> None:
    """Unless somebody reads in order."""
    starts = set()
    for seed in range(20):
        scene = Scene()
        scene.content.in_order = False
        scene.fallback._rng = random.Random(seed)
        scene.lost = True
        scene.pass_time(ALONE_S + SPREAD_S + TICK)
        starts.add(scene.stream.calls[0][1])
    assert len(starts) > 3


def test_a_failing_origin_is_tried_again_later() -> None:
    """It may be overloaded."""
    scene = Scene()
    scene.lost = True
    scene.pass_time(ALONE_S + SPREAD_S + TICK)
    scene.ends(OriginUnreachable("no"))
    assert scene.content.error is None
    scene.pass_time(RETRY_S - TICK)
    assert len(scene.stream.calls) == 1
    scene.pass_time(2 * TICK)
    assert len(scene.stream.calls) == 2


@pytest.mark.parametrize("lost", [True, False])
def test_a_refusal_is_final_only_when_nobody_else_will_give_it(*, lost: bool) -> None:
    """The swarm may still have it for us."""
    scene = Scene()
    scene.lost = lost
    scene.pass_time(PATIENCE_S)
    scene.ends(OriginRefused("no", 403))
    assert isinstance(scene.content.error, OriginRefused) is lost


def test_a_swarm_that_failed_is_not_waited_for() -> None:
    """The supernode says that the CDN will not have it."""
    scene = Scene()
    scene.is_useful = True
    scene.fallback.swarm_failed(NoSources("the supernode cannot get it"))
    scene.pass_time(SPREAD_S + TICK, fed=True)
    assert scene.stream.calls == [("known", 0)]


def test_an_origin_that_brings_nothing_is_given_up_when_nobody_else_is_left() -> None:
    """Retryable or not: with nobody else to ask, a few attempts without a piece are enough."""
    scene = Scene()
    scene.lost = True
    for _ in range(TRIES):
        assert scene.content.error is None
        scene.pass_time(ALONE_S + SPREAD_S + RETRY_S + TICK)
        scene.ends(OriginUnreachable("cut"))
    assert isinstance(scene.content.error, OriginUnreachable)


def test_an_origin_that_brings_little_is_not_given_up() -> None:
    """Each attempt that came further counts anew."""
    scene = Scene()
    scene.lost = True
    for _ in range(2 * TRIES):
        scene.pass_time(ALONE_S + SPREAD_S + RETRY_S + TICK)
        scene.content.remaining -= 1
        scene.ends(OriginUnreachable("cut"))
    assert scene.content.error is None


def test_notbs_ends_with_the_swarms_error_when_the_cdn_failed() -> None:
    """There is nobody to wait for; while a neighbour has pieces there is."""
    scene = Scene(notbs=True)
    scene.is_useful = True
    scene.fallback.swarm_failed(NoSources("the supernode cannot get it"))
    scene.pass_time(STUCK_S)
    assert scene.content.error is None
    scene.is_useful = False
    scene.pass_time(TICK)
    assert str(scene.content.error) == "the supernode cannot get it"


@pytest.mark.parametrize(("lost", "patience_s"), [(True, LOST_S), (False, STUCK_S)])
def test_notbs_does_not_wait_for_ever(*, lost: bool, patience_s: float) -> None:
    """Nobody sends anything: that ends with an error, sooner if no supernode answers."""
    scene = Scene(notbs=True)
    scene.lost = lost
    scene.pass_time(patience_s - TICK)
    assert scene.content.error is None
    scene.pass_time(TICK)
    assert isinstance(scene.content.error, NoSources)


def test_what_the_swarm_gave_up_is_begun_again_without_it() -> None:
    """Nothing tells the version, and the CDN has failed: only reading it alone is left."""
    scene = Scene(etag=None)
    scene.content.have.update(range(10))
    scene.content.missing = 10
    scene.fallback.swarm_failed(NoSources("the supernode cannot get it"))
    scene.pass_time(ALONE_S + SPREAD_S + TICK)
    assert isinstance(scene.content.error, VersionUnknown)


def test_stop_ends_the_reading() -> None:
    """The transfer is over."""
    scene = Scene()
    scene.lost = True
    scene.pass_time(ALONE_S + SPREAD_S + TICK)
    assert scene.fallback.reading
    scene.fallback.stop()
    assert not scene.fallback.reading


def test_who_is_refused_makes_room_for_the_next_caller() -> None:
    """At once, and that is no failure; only when all were refused it is."""
    scene = Scene()
    scene.lost, scene.others = True, 1
    scene.pass_time(ALONE_S + SPREAD_S + TICK)
    scene.ends(OriginRefused("no", 401))
    assert scene.content.error is None
    scene.pass_time(TICK)
    assert len(scene.stream.calls) == 2
    scene.ends(OriginRefused("no", 401))
    assert isinstance(scene.content.error, OriginRefused)


@pytest.mark.parametrize(
    ("etag", "lost", "how"),
    [('"v1"', True, "rest"), ('"v1"', False, "known"), (None, True, "known")],
)
def test_all_comes_in_one_transfer_where_it_can(etag: str | None, lost: bool, how: str) -> None:
    """Digests are known of some, and nobody is there who could tell more."""
    scene = Scene(etag=etag)
    scene.lost, scene.content.complete = lost, False
    scene.pass_time(ALONE_S + SPREAD_S + TICK if lost else PATIENCE_S)
    assert scene.stream.calls[0] == (how, 0)


# -- parts ------------------------------------------


def test_who_wants_nothing_does_not_starve() -> None:
    """Nor does he when he wants something again, before it had its time to come."""
    scene = Scene()
    scene.is_useful, scene.content.wanted = True, 0
    scene.pass_time(10 * PATIENCE_S)
    scene.content.wanted = 0b1
    scene.pass_time(QUIET_S - TICK)
    assert not scene.fallback.starving
    scene.pass_time(2 * TICK)
    assert scene.fallback.starving
    assert scene.asked
    scene.content.wanted = 0
    scene.pass_time(TICK)
    assert not scene.fallback.starving


def test_a_reader_that_goes_on_and_on_does_not_starve() -> None:
    """Its end moves away at its own pace."""
    scene = Scene()
    scene.is_useful, scene.content.wanted = True, 0b1111
    for _ in range(60):
        scene.pass_time(1.0, fed=True)
        scene.content.remaining = 10_000_000
        assert not scene.fallback.starving
    assert scene.asked == 0


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_of_a_part_only_its_pieces_are_read(etag: str | None) -> None:
    """From the first that is wanted; the origin may begin there without a strong tag, too,
    since digests tell what comes."""
    scene = Scene(etag=etag)
    scene.content.wanted = 0b1100
    scene.pass_time(PATIENCE_S)
    assert scene.stream.calls == [("known", 2)]
    assert scene.stream.versions == [Validator(etag=etag) if etag else None]


def test_reading_goes_on_where_it_stopped() -> None:
    """For a while, as the reader does, without a word to the user; not without leave."""
    scene = Scene()
    scene.content.wanted = 0b0001
    scene.fallback.ticket(100.0)
    scene.pass_time(PATIENCE_S)
    scene.content.have.add(0)
    scene.stream.reading.callback(None)
    scene.pass_time(TICK)
    scene.is_useful, scene.content.wanted = True, 0b0010
    scene.pass_time(TICK)
    assert scene.stream.calls == [("known", 0), ("known", 1)]
    assert len(scene.told) == 1
    scene.content.have.add(1)
    scene.stream.reading.callback(None)
    scene.pass_time(GOES_ON_S + TICK)
    scene.content.wanted = 0b0100
    scene.pass_time(TICK)
    assert len(scene.stream.calls) == 2


def test_digests_that_are_still_to_come_are_waited_for() -> None:
    """With a ticket, too; nobody is told of reading until there is something to read."""
    scene = Scene()
    scene.content.wanted, scene.content.known = 0b10000, Bitfield()
    scene.fallback.ticket(100.0)
    scene.pass_time(PATIENCE_S - TICK)
    assert scene.fallback.starving
    assert (scene.told, scene.stream.calls) == ([], [])
    scene.pass_time(TICK)
    assert (len(scene.told), len(scene.stream.calls)) == (1, 1)
