"""The registry of a peer's tasks, without sockets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.config import Node
from dragonfly.control.messages import (
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    DirectAnswer,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.errors import NoSources, OriginChanged, StoreError, TrackerUnreachable
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.peer.content.writebatch import BATCH_S
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.shelf.shelf import Shelf
from dragonfly.peer.swarm.swarm import FRESH_S, LINGER_S, PART_LINGER_S, Swarm
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.slots import UploadSlots
from dragonfly.signatures import SigningKey
from dragonfly.store.hot import HotPieces
from dragonfly.task.digest import piece_digest
from dragonfly.task.grant import Grant, sign_grant
from dragonfly.task.identity import name_of
from dragonfly.task.manifest import Run, sign_run
from tests.doubles.inline import InlineReactor, InlineThreads, inline_disk, result_of
from tests.doubles.stores import open_store

URL = "http://host/file"
NAME = name_of(URL)
TASK, OTHER, THIRD = b"t" * 32, b"u" * 32, b"v" * 32
SIZE = 32 * 1024
PIECES = [bytes([n]) * SIZE for n in range(3)]
NODE, ME = (SigningKey.from_bytes(bytes([n]) * 32) for n in (1, 2))


def answer(*, task: bytes = TASK, fetch: int = 1, length: int = 3 * SIZE) -> RegisterAnswer:
    """What a supernode says."""
    digests = tuple(map(piece_digest, PIECES))
    run = Run(task=task, fetch=fetch, piece_size=SIZE, first=0, digests=digests, length=length)
    grant = Grant(task=task, key=ME.public, issued=0, expires=10**6)
    return RegisterAnswer(
        task=task,
        fetch=fetch,
        piece_size=SIZE,
        grant=sign_grant(grant, NODE),
        grant_expires=10**6,
        now=0.0,
        keys=[NODE.public],
        announce_after=1e6,
        state="ready",
        length=length,
        runs=[sign_run(run, NODE)],
    )


SMALL = PIECES[0] + PIECES[1][:100]


def whole(**changes: Any) -> RegisterAnswer:
    """What a supernode says that has all of a small content."""
    digests = tuple(map(piece_digest, (PIECES[0], SMALL[SIZE:])))
    run = Run(task=TASK, fetch=1, piece_size=SIZE, first=0, digests=digests, length=len(SMALL))
    told: dict[str, Any] = {
        "length": len(SMALL),
        "runs": [sign_run(run, NODE)],
        "grant": b"",
        "grant_expires": 0,
        "content": SMALL,
        **changes,
    }
    return attrs.evolve(answer(), **told)


class FakeSupernode:
    """Takes announces and goodbyes."""

    node = Node(host="node")

    def __init__(self) -> None:
        self.left: list[bytes | None] = []

    async def announce(self, request: AnnounceRequest) -> AnnounceAnswer:
        """Be content."""
        assert request.task in {TASK, OTHER}
        return AnnounceAnswer(now=0.0, announce_after=1e6, state="ready")

    async def leave(self, request: LeaveRequest) -> None:
        """Keep it."""
        self.left.append(request.task)


class FakeSupernodes:
    """Answers registrations with what a test has put there."""

    def __init__(self) -> None:
        self.supernode = FakeSupernode()
        self.requests: list[RegisterRequest] = []
        self.answers: list[Any] = []

    async def register(self, nodes: Any, name: bytes, request: RegisterRequest) -> Any:
        """The next answer; one may be a Deferred."""
        assert name == NAME.id
        self.requests.append(request)
        found = self.answers.pop(0)
        if isinstance(found, Deferred):
            found = await found
        if isinstance(found, Exception):
            raise found
        return self.supernode, found


@attrs.define(eq=False)
class FakeDownload:
    """A client."""

    request: FetchRequest = attrs.field(factory=lambda: FetchRequest(url=URL))
    errors: list[Exception] = attrs.field(factory=list)
    local_limit: int | None = None
    whole: bool = True

    def content_layout(self) -> None:
        """Of no interest."""

    def content_ranges(self, ranges: Any, kind: str) -> None:
        """Of no interest."""

    def content_finished(self) -> None:
        """Of no interest."""

    def content_failed(self, error: Exception) -> None:
        """Keep it."""
        self.errors.append(error)

    def impatient(self, *_: float) -> bool:
        """It never is."""
        return False


class Scene:
    """A swarm over a real store."""

    def __init__(self, root: Path) -> None:
        self.reactor = InlineReactor()
        self.supernodes = FakeSupernodes()
        self.threads = InlineThreads()
        disk = inline_disk(self.reactor, self.threads)
        store = open_store(root, HotPieces(0))
        self.tasks = TaskSet(Logger("test"))
        none: Any = None
        self.equipment = Equipment(
            reactor=self.reactor,
            rng=random.Random(1),
            key=ME,
            disk=disk,
            store=store,
            uploader=Uploader(UploadSlots(8), self.reactor, disk),
            supernodes=self.supernodes,  # type: ignore[arg-type]
            origins=none,
            tasks=self.tasks,
            dial=none,
            announced=lambda: Announced(port=1),
            total=Throttle(self.reactor),
        )
        self.shelf = Shelf(store, disk, wall=lambda: 1e9 + self.reactor.seconds())
        result_of(self.shelf.index())
        self.swarm = Swarm(self.equipment, self.shelf)

    def ask(self, client: FakeDownload | None = None) -> Any:
        """Register and join; what comes is put into the list."""
        heard: list[Any] = []
        asked: Any = client or FakeDownload()
        Deferred.fromCoroutine(self.swarm.through_swarm(asked, NAME)).addBoth(heard.append)
        return heard

    def join(self, reply: Any, client: FakeDownload | None = None) -> Any:
        """Register, be answered so, and give what comes."""
        self.supernodes.answers.append(reply)
        (found,) = self.ask(client)
        return found

    def fill(self, transfer: Any) -> None:
        """Have all pieces come, and the disk take them."""
        with self.threads.hold():
            for number, data in enumerate(PIECES):
                transfer.content.intake.add("peer", number, 0, data)
            assert transfer.content.complete
            assert not transfer.content.finished
        assert transfer.content.finished


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An empty one."""
    made = Scene(tmp_path)
    yield made
    result_of(made.swarm.stop())
    made.tasks.cancel_all()


def test_downloads_of_one_task_share_a_transfer(scene: Scene) -> None:
    """The second registration only renews the first."""
    one, two = FakeDownload(), FakeDownload()
    transfer = scene.join(answer(), one)
    assert scene.join(answer(), two) is transfer
    assert transfer.clients == [one, two]
    assert scene.swarm.get(TASK) is transfer


def test_those_who_come_at_once_share_registrations(scene: Scene) -> None:
    """Three callers, two calls, one transfer."""
    first: Deferred[Any] = Deferred()
    scene.supernodes.answers += [first, answer()]
    heard = [scene.ask() for _ in range(3)]
    assert len(scene.supernodes.requests) == 1
    first.callback(answer())
    assert len(scene.supernodes.requests) == 2
    assert len({id(each[0]) for each in heard}) == 1


def test_other_credentials_register_for_themselves(scene: Scene) -> None:
    """Nobody rides on somebody else's right."""
    waiting: Deferred[Any] = Deferred()
    scene.supernodes.answers += [waiting, answer()]
    scene.ask()
    other = FakeDownload(FetchRequest(url=URL, headers=(("Authorization", "x"),)))
    (transfer,) = scene.ask(other)
    assert transfer.clients == [other]
    assert scene.supernodes.requests[1].headers == [("Authorization", "x")]
    waiting.callback(answer())


def test_who_is_on_another_host_registers_for_himself(scene: Scene) -> None:
    """What this host's loopback serves is nothing for him, and the supernode is told."""
    waiting: Deferred[Any] = Deferred()
    scene.supernodes.answers += [waiting, answer()]
    scene.ask()
    scene.ask(FakeDownload(FetchRequest(url=URL, loopback=False)))
    assert [each.loopback for each in scene.supernodes.requests] == [True, False]
    waiting.callback(answer())


def test_what_is_at_hand_is_joined_without_a_supernode(scene: Scene) -> None:
    """Finished or not; nothing is at hand where nothing runs."""
    one, two = FakeDownload(), FakeDownload()
    asked: Any = two
    assert result_of(scene.swarm.at_hand(asked, NAME)) is None
    transfer = scene.join(answer(), one)
    assert result_of(scene.swarm.at_hand(asked, NAME)) is transfer
    assert transfer.clients == [one, two]
    scene.fill(transfer)
    assert scene.swarm.running(NAME) is transfer
    assert len(scene.supernodes.requests) == 1


def test_what_lacks_bytes_is_registered_for_now_and_then(scene: Scene) -> None:
    """The supernode may need credentials that are still valid; what is finished needs none."""
    transfer = scene.join(answer())
    asked: Any = FakeDownload()
    membership = transfer.membership
    membership.registered_at -= FRESH_S - 1
    assert result_of(scene.swarm.at_hand(asked, NAME)) is transfer
    membership.registered_at -= 1
    assert result_of(scene.swarm.at_hand(asked, NAME)) is None
    assert scene.join(answer()) is transfer
    assert result_of(scene.swarm.at_hand(asked, NAME)) is transfer
    scene.fill(transfer)
    membership.registered_at -= FRESH_S
    assert result_of(scene.swarm.at_hand(asked, NAME)) is transfer


def test_parts_take_the_space_of_parts(scene: Scene) -> None:
    """On the disk, until somebody wants the whole."""
    file = scene.join(answer(), FakeDownload(whole=False)).content.file
    transfer = scene.join(answer(), FakeDownload(whole=False))
    assert transfer.content.file is file
    assert file.path.stat().st_size == 3 * SIZE
    assert file.path.stat().st_blocks * 512 < SIZE
    scene.join(answer(), FakeDownload())
    assert file.path.stat().st_blocks * 512 >= 3 * SIZE
    assert file.reserved


def test_who_reads_a_part_does_not_wait_for_a_registration(scene: Scene) -> None:
    """It is made all the same; an error of it is nothing to him."""
    transfer = scene.join(answer())
    asked: Any = FakeDownload(whole=False)
    membership = transfer.membership
    for each in (TrackerUnreachable("no"), answer()):
        membership.registered_at = scene.reactor.seconds() - FRESH_S
        scene.supernodes.answers.append(each)
        assert result_of(scene.swarm.at_hand(asked, NAME)) is transfer
    assert len(scene.supernodes.requests) == 3
    assert membership.registered_at == scene.reactor.seconds()
    membership.registered_at -= FRESH_S
    scene.supernodes.answers.append(answer(fetch=2))
    result_of(scene.swarm.at_hand(asked, NAME))
    assert isinstance(transfer.content.error, OriginChanged)
    assert scene.swarm.transfers == []


def test_what_failed_is_not_at_hand(scene: Scene) -> None:
    """Nor what the supernode has another version of."""
    transfer = scene.join(answer())
    transfer.outdated = True
    assert scene.swarm.running(NAME) is None
    transfer.outdated = False
    transfer.content.spoilt = True
    assert scene.swarm.running(NAME) is None
    transfer.content.spoilt = False
    transfer.content.fail(StoreError("full"))
    assert scene.swarm.running(NAME) is None


def test_what_is_spoilt_is_begun_anew(scene: Scene) -> None:
    """Although the supernode knows of no other version; nothing of it is kept."""
    spoilt = scene.join(answer())
    scene.fill(spoilt)
    spoilt.content.spoilt = True
    fresh = scene.join(answer())
    assert fresh is not spoilt
    assert scene.swarm.transfers == [fresh]
    assert not fresh.content.have


def test_what_is_spoilt_is_deleted(scene: Scene) -> None:
    """As soon as nobody reads it."""
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.fill(transfer)
    transfer.content.spoilt = True
    transfer.leave(client)
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == []
    assert scene.swarm.shelf.get(transfer.content.task) is None


# -- small contents ---------------------------------------------------------------------------


def test_a_content_inside_the_answer_is_all_that_is_needed(scene: Scene) -> None:
    """It is verified, on disk and at hand; nobody is told, and nobody is left."""
    client = FakeDownload()
    transfer = scene.join(whole(), client)
    assert transfer.content.complete
    assert transfer.content.memory == SMALL
    assert transfer.content.file.read(0, len(SMALL)) == SMALL
    assert transfer.tally.cdn == len(SMALL)
    assert not transfer.member
    assert scene.swarm.running(NAME) is transfer
    transfer.leave(client)
    scene.swarm.expire(0.0)
    assert scene.swarm.transfers == []
    assert scene.supernodes.supernode.left == []
    assert transfer.content.memory is None


def test_it_is_here_after_a_restart(scene: Scene) -> None:
    """Its one disk job left all that makes it be believed again."""
    scene.join(whole())
    result_of(scene.swarm.stop())
    assert scene.supernodes.supernode.left == []
    later = Scene(scene.equipment.store.root)
    shelved = later.shelf.named(NAME.id)
    assert shelved is not None
    assert shelved.whole
    again = later.join(whole(content=b"", grant=answer().grant))
    assert again.content.complete
    result_of(later.swarm.stop())


def test_an_unfinished_transfer_takes_it(scene: Scene) -> None:
    """The supernode had not all of it the first time."""
    transfer = scene.join(whole(content=b"", grant=answer().grant, runs=[]))
    assert transfer.member
    assert scene.join(whole()) is transfer
    assert transfer.content.complete


def test_what_is_damaged_on_disk_is_written_anew(scene: Scene) -> None:
    """The content in the answer takes the place of what an earlier run left."""
    path = scene.join(whole()).content.file.path
    result_of(scene.swarm.stop())
    path.write_bytes(bytes(len(SMALL)))
    later = Scene(scene.equipment.store.root)
    transfer = later.join(whole())
    assert transfer.content.complete
    assert path.read_bytes() == SMALL
    result_of(later.swarm.stop())


def test_what_is_not_to_be_shared_is_said(scene: Scene) -> None:
    """The reason comes back, and nothing was opened."""
    assert scene.join(DirectAnswer(reason="Cache-Control: private")) == "Cache-Control: private"
    assert scene.swarm.transfers == []


def test_an_unreachable_supernode_is_the_callers_to_handle(scene: Scene) -> None:
    """Everybody who shared the call hears of it."""
    found = scene.join(TrackerUnreachable("nobody"))
    assert found.check(TrackerUnreachable)


def test_a_registration_says_what_is_here(scene: Scene) -> None:
    """Of a running transfer what is verified; of an earlier run what its journal says."""
    transfer = scene.join(answer())
    assert scene.supernodes.requests[0].have is None
    scene.fill(transfer)
    scene.join(answer())
    have = scene.supernodes.requests[1].have
    assert have is not None
    assert (have.task, have.fetch, have.count, have.bits) == (TASK, 1, 3, b"\xe0")
    result_of(scene.swarm.stop())
    later = Scene(scene.equipment.store.root)
    again = later.join(answer())
    assert later.supernodes.requests[0].have == have
    assert again.content.complete
    result_of(later.swarm.stop())


def test_a_task_that_was_fetched_anew_is_begun_anew(scene: Scene) -> None:
    """Whoever used the old one is told, whether it was finished or not."""
    client = FakeDownload()
    old = scene.join(answer(), client)
    scene.fill(old)
    new = scene.join(answer(fetch=2))
    assert new is not old
    assert old.stopped
    assert scene.swarm.transfers == [new]
    assert not new.content.have
    assert all(isinstance(error, OriginChanged) for error in client.errors)
    assert client.errors
    assert scene.supernodes.supernode.left == []


@pytest.mark.parametrize(("said", "wanted", "out"), [(3, None, 3), (3, 5, 5), (0, None, 1)])
def test_how_many_pieces_are_asked_for_at_once(
    scene: Scene, said: int, wanted: int | None, out: int
) -> None:
    """As the user says, else as the supernode says, and one in any case."""
    client = FakeDownload(FetchRequest(url=URL, client_queue=wanted))
    transfer = scene.join(attrs.evolve(answer(), down_limit=said), client)
    assert transfer._picker._out == out


def test_a_failed_transfer_is_not_joined(scene: Scene) -> None:
    """The next download tries anew, with what is on disk."""
    old = scene.join(answer())
    old.content.fail(NoSources("no"))
    assert scene.join(answer()) is not old


def test_an_unfinished_transfer_without_clients_ends_soon(scene: Scene) -> None:
    """The supernode is told; what is here stays."""
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.swarm.expire(1000)
    transfer.leave(client)
    scene.reactor.advance(LINGER_S - 0.1)
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == [transfer]
    scene.reactor.advance(0.1)
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == []
    assert scene.supernodes.supernode.left == [TASK]
    assert scene.shelf.get(TASK) is not None


def test_a_finished_one_serves_until_it_is_idle(scene: Scene) -> None:
    """An upload is use."""
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.fill(transfer)
    transfer.leave(client)
    scene.reactor.advance(60)
    scene.swarm.served(None, transfer.content.file, 100)  # type: ignore[arg-type]
    scene.reactor.advance(60)
    scene.swarm.expire(100)
    assert scene.swarm.transfers == [transfer]
    assert transfer.tally.served == 100
    scene.reactor.advance(60)
    scene.swarm.expire(100)
    assert scene.swarm.transfers == []
    assert scene.shelf.get(TASK) is None
    assert not transfer.content.file.path.exists()


def test_one_that_is_shared_no_more_is_kept(scene: Scene) -> None:
    """Whoever keeps contents for days does not announce them all that time."""
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.fill(transfer)
    transfer.leave(client)
    scene.reactor.advance(60)
    scene.swarm.expire(1000, share_s=60)
    assert scene.swarm.transfers == []
    assert scene.supernodes.supernode.left == [TASK]
    assert scene.shelf.get(TASK) is not None
    assert transfer.content.file.path.exists()


def test_there_is_place_for_so_many(scene: Scene) -> None:
    """One that somebody uses, or that is not finished, is not ended for another; what is, stays
    on the disk."""
    scene.swarm = Swarm(scene.equipment, scene.shelf, most=1)
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.fill(transfer)
    other = scene.join(answer(task=OTHER))
    assert scene.swarm.transfers == [transfer, other]
    transfer.leave(client)
    third = scene.join(answer(task=THIRD))
    assert scene.swarm.transfers == [other, third]
    assert scene.shelf.get(TASK) is not None
    assert transfer.content.file.path.exists()


def test_what_is_shared_makes_room_when_it_is_idle(scene: Scene) -> None:
    """Not while somebody wants it, and not while it serves."""
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.fill(transfer)
    scene.reactor.advance(60)
    assert scene.swarm.make_room(1, idle_s=10) == 0
    transfer.leave(client)
    scene.swarm.served(None, transfer.content.file, 100)  # type: ignore[arg-type]
    assert scene.swarm.make_room(1, idle_s=10) == 0
    scene.reactor.advance(10)
    assert scene.swarm.make_room(1, idle_s=10) == transfer.content.layout.length
    assert scene.swarm.transfers == []
    assert not transfer.content.file.path.exists()


def test_what_is_read_in_parts_makes_room_when_it_is_idle(scene: Scene) -> None:
    """Its file has the size of the whole."""
    client = FakeDownload(whole=False)
    transfer = scene.join(answer(), client)
    transfer.leave(client)
    scene.reactor.advance(10)
    assert scene.swarm.make_room(1, idle_s=10) == transfer.content.layout.length
    assert scene.swarm.transfers == []


def test_one_that_the_supernode_replaced_goes_with_its_last_client(scene: Scene) -> None:
    """Nobody else would want that version."""
    client = FakeDownload()
    transfer = scene.join(answer(), client)
    scene.fill(transfer)
    transfer.outdated = True
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == [transfer]
    transfer.leave(client)
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == []


def test_stop_leaves_every_supernode_with_one_word(scene: Scene) -> None:
    """For all tasks together; nobody can begin anything afterwards."""
    scene.join(answer())
    scene.join(answer(task=OTHER))
    result_of(scene.swarm.stop())
    assert scene.swarm.transfers == []
    assert scene.supernodes.supernode.left == [None]
    assert scene.ask()[0].check(NoSources)


def test_what_is_given_back_is_what_is_on_disk(scene: Scene) -> None:
    """Not what only neighbours were told of; the disk gets that, too, for the next run."""
    transfer = scene.join(answer())
    content = transfer.content
    with scene.threads.hold():
        content.intake.add("peer", 0, 0, PIECES[0])
    scene.reactor.advance(BATCH_S)
    with scene.threads.hold():
        content.intake.add("peer", 1, 0, PIECES[1])
        assert list(content.have) == [0, 1]
        result_of(scene.swarm.stop())
        shelved = scene.shelf.get(TASK)
        assert shelved is not None
        assert list(shelved.have) == [0]
        assert content.file.peek(1, 0, len(PIECES[1])) is None, "memory is given back"
    assert not content.file.in_use
    found = result_of(scene.shelf.load(TASK))
    assert list(found.recorded) == [0, 1]


def test_what_is_read_in_parts_is_kept_longer(scene: Scene) -> None:
    """The next part will be asked for soon, and needs no new registration then."""
    client = FakeDownload(whole=False)
    transfer = scene.join(answer(), client)
    transfer.leave(client)
    scene.reactor.advance(PART_LINGER_S - 0.1)
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == [transfer]
    scene.reactor.advance(0.1)
    scene.swarm.expire(1000)
    assert scene.swarm.transfers == []
