"""What a task tells the supernode, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from dragonfly.control.messages import (
    PREFIX_BYTES,
    AnnounceAnswer,
    Announced,
    Complaint,
    DirectAnswer,
    ErrorBody,
    Neighbour,
    RegisterAnswer,
    RegisterRequest,
    prefix_of,
)
from dragonfly.errors import BadControlMessage, NoSources, OriginChanged, OriginRefused
from dragonfly.peer.connections.membership import Membership
from dragonfly.peer.content.content import Content
from dragonfly.peer.origin.hunger import Hunger
from dragonfly.peer.swarm.reports import OUTDATED_S, Reports, Tally
from dragonfly.signatures import SigningKey
from dragonfly.task.bitfield import Bitfield
from tests.doubles.inline import result_of
from tests.doubles.tasklab import FETCH, PIECE, TASK, TaskLab

ME = b"m" * 32
OTHER = Neighbour(key=b"o" * 32, address="192.0.2.9", port=9)
REQUEST = RegisterRequest(url="http://o/f", key=ME, peer=Announced(port=1))


@attrs.define(eq=False)
class FakeLink:
    """A neighbour."""

    key: bytes


@attrs.define(eq=False)
class FakeLinks:
    """Keeps what it is told."""

    keys: list[bytes] = attrs.field(factory=list)
    dead: list[bytes] = attrs.field(factory=list)
    dropped: list[bytes] = attrs.field(factory=list)
    dialled: list[Neighbour] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[FakeLink]:
        return iter([FakeLink(key) for key in self.keys])

    def take_dead(self) -> list[bytes]:
        """Once."""
        dead, self.dead = self.dead, []
        return dead

    def drop(self, key: bytes, code: int, text: str) -> None:
        """Keep."""
        self.dropped.append(key)
        self.keys.remove(key)

    def connect(self, neighbours: list[Neighbour]) -> None:
        """Keep."""
        self.dialled += neighbours


@attrs.define(eq=False)
class FakeFallback:
    """Keeps what it is told."""

    starving: bool = False
    tickets: list[float] = attrs.field(factory=list)
    failed_with: Exception | None = None

    def ticket(self, seconds: float) -> None:
        """Keep."""
        self.tickets.append(seconds)

    def swarm_failed(self, error: Exception) -> None:
        """Keep."""
        self.failed_with = error


@attrs.define(eq=False)
class FakeSupernode:
    """Answers registrations."""

    answer: Any = None
    requests: list[RegisterRequest] = attrs.field(factory=list)

    async def register(self, request: RegisterRequest) -> Any:
        """With what was put there."""
        self.requests.append(request)
        return self.answer


class Scene:
    """The reports of one task with a real content."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.lab = TaskLab(home)
        self.content: Content = self.lab.content()
        self.links = FakeLinks()
        self.fallback = FakeFallback()
        self.supernode = FakeSupernode()
        self.hunger = Hunger(0.0)
        self.tally = Tally()
        self.membership = Membership(self.answer(), 0.0)
        self.outdated = 0
        parts: Any = (self.content, self.links, self.membership, self.fallback, self.hunger)
        supernode: Any = self.supernode
        self.reports = Reports(
            *parts,
            self.tally,
            me=ME,
            clock=self.clock,
            supernode=supernode,
            request=REQUEST,
            on_outdated=self._on_outdated,
        )

    def _on_outdated(self) -> None:
        self.outdated += 1

    def answer(self, **changes: Any) -> RegisterAnswer:
        """What a registration is answered with."""
        answer = RegisterAnswer(
            task=TASK,
            fetch=FETCH,
            piece_size=PIECE,
            grant=b"grant",
            grant_expires=100,
            now=1000.0,
            keys=[self.lab.key.public],
            announce_after=12.0,
            state="ready",
        )
        return attrs.evolve(answer, **changes)

    def announced(self, **changes: Any) -> None:
        """An announce was answered."""
        given = AnnounceAnswer(now=1000.0, announce_after=5.0, state="ready")
        self.reports.answered(attrs.evolve(given, **changes))

    def have(self, *pieces: int) -> None:
        """These are here, and on disk."""
        for piece in pieces:
            self.content.intake.add("n", piece, 0, self.lab.piece(piece))
        self.lab.threads.run()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Three pieces, nothing here."""
    return Scene(tmp_path)


# -- what is told ------------------------------------------


def test_a_report_says_how_far_it_is(scene: Scene) -> None:
    """Version, pieces, neighbours."""
    scene.have(0, 2)
    scene.links.keys = [OTHER.key]
    report = scene.reports.report()
    assert (report.task, report.key, report.fetch) == (TASK, ME, FETCH)
    assert (report.have_count, report.complete) == (2, False)
    assert report.neighbours == prefix_of(OTHER.key)
    scene.have(1)
    assert scene.reports.report().complete


def test_rates_are_those_since_the_last_report(scene: Scene) -> None:
    """Served bytes are counted once; a finished download comes at no rate."""
    scene.tally.served = 1000
    scene.hunger.fed(5000, 1.0)
    scene.clock.advance(2.0)
    first = scene.reports.report().rates
    assert first.up == pytest.approx(500.0)
    assert first.down > 0
    scene.have(0, 1, 2)
    scene.clock.advance(1.0)
    second = scene.reports.report().rates
    assert (second.up, second.down) == (0.0, 0.0)


def test_bytes_are_told_by_source(scene: Scene) -> None:
    """What the tally says."""
    for kind, length in (("cdn", 1), ("peers", 20), ("peers", 30), ("origin", 400), ("cache", 9)):
        scene.tally.add(kind, length)
    rates = scene.reports.report().rates
    assert (rates.from_cdn, rates.from_peers, rates.from_origin) == (1, 50, 400)


def test_complaints_are_told_until_somebody_heard_them(scene: Scene) -> None:
    """An announce may get no answer; one that comes meanwhile waits for the next."""
    first, second = (Complaint(key=OTHER.key, piece=n, why="wrong bytes") for n in (1, 2))
    scene.reports.complaints.append(first)
    assert scene.reports.report().complaints == [first]
    assert scene.reports.report().complaints == [first]
    scene.reports.complaints.append(second)
    scene.announced()
    assert scene.reports.report().complaints == [second]
    scene.announced()
    assert scene.reports.report().complaints == []


def test_only_an_unfinished_download_starves(scene: Scene) -> None:
    """Whatever the fallback last thought."""
    scene.fallback.starving = True
    assert scene.reports.report().starving
    scene.have(0, 1, 2)
    assert not scene.reports.report().starving


def test_what_is_held_has_the_form_of_a_bitfield(scene: Scene) -> None:
    """For registrations."""
    scene.have(0, 2)
    holding = scene.reports.holding()
    assert (holding.task, holding.fetch, holding.piece_size) == (TASK, FETCH, PIECE)
    assert Bitfield.from_bytes(holding.bits, holding.count) == Bitfield(0b101)


# -- what is answered ------------------------------------------


def test_an_answer_is_obeyed(scene: Scene) -> None:
    """Grant, time, neighbours to drop and to dial, the ticket."""
    scene.clock.advance(5.0)
    scene.links.keys = [b"d" * 32, b"e" * 32]
    scene.announced(grant=b"fresh", drop=b"d" * PREFIX_BYTES, neighbours=[OTHER], ticket=3.0)
    assert scene.membership.grant == b"fresh"
    assert scene.membership.supernode_time(5.0) == 1000.0
    assert scene.links.dropped == [b"d" * 32]
    assert scene.links.dialled == [OTHER]
    assert scene.fallback.tickets == [3.0]


def test_what_is_news(scene: Scene) -> None:
    """What the supernode acts on; the first report always is."""
    assert scene.reports.news()
    scene.links.keys = [b"d" * 32, b"e" * 32]
    scene.reports.report()
    assert not scene.reports.news()
    scene.links.keys.append(b"f" * 32)
    assert not scene.reports.news()
    scene.links.keys.remove(b"d" * 32)
    assert scene.reports.news()
    scene.reports.report()
    scene.announced(drop=b"e" * PREFIX_BYTES)
    assert scene.links.keys == [b"f" * 32]
    assert not scene.reports.news()
    scene.links.dead = [b"g" * 32]
    assert scene.reports.news()
    scene.reports.report()
    scene.fallback.starving = True
    assert scene.reports.news()
    scene.reports.report()
    assert not scene.reports.news()


def test_that_everything_is_here_is_news_and_what_is_lost_then_is_none(scene: Scene) -> None:
    """Others may have the places; who needs nothing needs no neighbours."""
    scene.links.keys = [b"d" * 32]
    scene.reports.report()
    scene.have(0, 1, 2)
    assert scene.reports.news()
    scene.reports.report()
    scene.links.keys.clear()
    assert not scene.reports.news()


def test_neighbours_that_cannot_be_read_are_an_error(scene: Scene) -> None:
    """Nothing of such an answer is believed."""
    with pytest.raises(BadControlMessage, match="cannot have 7"):
        scene.announced(drop=b"1234567", neighbours=[OTHER])
    assert scene.links.dialled == []


def test_a_finished_content_needs_no_ticket_and_cannot_fail(scene: Scene) -> None:
    """It goes on being served."""
    scene.have(0, 1, 2)
    scene.announced(state="failed", ticket=3.0, neighbours=[OTHER])
    assert scene.links.dialled == [OTHER]
    assert scene.fallback.tickets == []
    assert scene.fallback.failed_with is None


def test_who_has_everything_dials_no_seed(scene: Scene) -> None:
    """It has nothing for us then, and its places are for others."""
    seed = attrs.evolve(OTHER, key=b"s" * 32, seed=True)
    scene.announced(neighbours=[seed])
    assert scene.links.dialled == [seed]
    scene.have(0, 1, 2)
    scene.announced(neighbours=[seed, OTHER])
    assert scene.links.dialled == [seed, OTHER]


def test_the_origins_final_no_ends_it(scene: Scene) -> None:
    """Asking it ourselves would bring the same."""
    scene.announced(state="failed", error=ErrorBody(code=502, message="gone", origin_status=404))
    assert isinstance(scene.content.error, OriginRefused)
    assert scene.content.error.status == 404


@pytest.mark.parametrize(
    "error",
    [
        None,
        ErrorBody(code=502, message="busy", origin_status=503),
        ErrorBody(code=502, message="later", origin_status=403, retryable=True),
    ],
    ids=["none", "status", "retryable"],
)
def test_another_failure_of_the_cdn_leaves_it_to_the_fallback(
    scene: Scene, error: ErrorBody | None
) -> None:
    """There may be a way that the supernode does not have."""
    scene.announced(state="failed", error=error)
    assert scene.content.error is None
    assert isinstance(scene.fallback.failed_with, NoSources)


# -- registering again ------------------------------------------


def test_who_was_forgotten_says_what_is_here(scene: Scene) -> None:
    """And goes on with the answer: grant, runs, neighbours."""
    scene.have(1)
    scene.supernode.answer = scene.answer(grant=b"new", neighbours=[OTHER])
    assert result_of(scene.reports.register_again()) == 12.0
    (request,) = scene.supernode.requests
    assert request.have == scene.reports.holding()
    assert scene.membership.grant == b"new"
    assert scene.links.dialled == [OTHER]


@pytest.mark.parametrize("changes", [{"fetch": FETCH + 1}, {"task": b"x" * 32}, {"piece_size": 1}])
def test_another_version_ends_this_one(scene: Scene, changes: dict[str, Any]) -> None:
    """Its download begins again; it is announced rarely from then on."""
    scene.supernode.answer = scene.answer(**changes)
    assert result_of(scene.reports.register_again()) == OUTDATED_S
    assert isinstance(scene.content.error, OriginChanged)
    assert scene.outdated == 1


def test_a_finished_version_is_only_outdated(scene: Scene) -> None:
    """Who has it may keep it."""
    scene.have(0, 1, 2)
    scene.supernode.answer = DirectAnswer(reason="private")
    assert result_of(scene.reports.register_again()) == OUTDATED_S
    assert scene.content.error is None
    assert scene.outdated == 1


def test_runs_inside_an_answer_are_checked_like_all_others(tmp_path: Path) -> None:
    """A bad one among them does not cost the good ones."""
    scene = Scene(tmp_path)
    content = scene.lab.content(runs=False)
    scene.reports._content = content
    forged = scene.lab.run(0, 2, key=SigningKey.generate())
    scene.reports.registered(scene.answer(runs=[forged, scene.lab.run(2, 3)]), REQUEST)
    assert sorted(content.manifest.known) == [2]
