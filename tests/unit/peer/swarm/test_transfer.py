"""One task with all its parts, joined to others in memory: a file goes from peer to peer."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.logger import Logger

from dragonfly.config import Node
from dragonfly.control.messages import (
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    LeaveRequest,
    Neighbour,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.errors import OriginChanged, OriginRefused, StoreError, TrackerUnreachable
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.peer.connections.acceptor import Acceptor
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.content.content import ORIGIN
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.origin.originstream import OriginSource
from dragonfly.peer.swarm.transfer import TICK_S, Transfer
from dragonfly.peer.tracker.announcer import KICK_GAP_S
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.picker import ALL
from dragonfly.sched.slots import UploadSlots
from dragonfly.signatures import SigningKey
from dragonfly.task.grant import Grant, sign_grant
from tests.doubles.bounded_pipe import BoundedPipe
from tests.doubles.reader import ScriptedReader
from tests.doubles.tasklab import FETCH, PIECE, TASK, TaskLab

SIZE = 6 * PIECE + 100

PIECE_WAIT_S = 0.5
"""More than the pipes and the disk of a test need for a few pieces."""


@attrs.define(eq=False)
class FakeSupernode:
    """Keeps what it is told; every announce gets ``answer`` (an error: is refused)."""

    node: Node = attrs.field(factory=lambda: Node(host="node"))
    announces: list[AnnounceRequest] = attrs.field(factory=list)
    leaves: list[LeaveRequest] = attrs.field(factory=list)
    answer: Any = attrs.field(
        factory=lambda: AnnounceAnswer(now=0.0, announce_after=4.0, state="ready")
    )

    async def announce(self, request: AnnounceRequest) -> AnnounceAnswer:
        """The same each time."""
        self.announces.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, AnnounceAnswer)
        return self.answer

    async def leave(self, request: LeaveRequest) -> None:
        """Keep."""
        self.leaves.append(request)


@attrs.define(eq=False)
class Client:
    """A download as a transfer sees it."""

    whole: bool = True
    local_limit: int | None = None
    source: OriginSource | None = None
    hasty: bool = False
    told: list[str] = attrs.field(factory=list)

    def content_layout(self) -> None:
        """Of no interest."""

    def content_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        """Keep the kind."""
        self.told.append(kind)

    def content_finished(self) -> None:
        """Keep."""
        self.told.append("finished")

    def content_failed(self, error: Exception) -> None:
        """Keep."""
        self.told.append(type(error).__name__)

    def impatient(self, expected_s: float | None, rate: float, now: float) -> bool:
        """As set."""
        return self.hasty

    def fell_back(self, how: str) -> None:
        """Keep."""
        self.told.append(how)

    def origin_source(self) -> OriginSource | None:
        """As set."""
        return self.source


class Peer:
    """A transfer, and the port on which it is reached."""

    def __init__(self, world: World, number: int, *, full: bool, **answer: Any) -> None:
        self.world = world
        self.supernode = FakeSupernode()
        self.key = SigningKey.from_bytes(bytes([number + 10]) * 32)
        self.address = f"192.0.2.{number}"
        self.lab = world.lab
        self.file = self.lab.full_file() if full else self.lab.file()
        self.file.retain()
        if full:
            self.file.recorded.update(range(self.lab.count))
            self.file.append_run(self.lab.run())
        none: Any = None
        self.tasks = TaskSet(Logger("test"))
        self.uploader = Uploader(UploadSlots(), world.clock, self.lab.disk, on_served=self._served)
        self.equipment = Equipment(
            reactor=world.clock,
            rng=random.Random(number),
            key=self.key,
            disk=self.lab.disk,
            store=none,
            uploader=self.uploader,
            supernodes=none,
            origins=none,
            tasks=self.tasks,
            dial=world.dial,
            announced=lambda: Announced(port=number),
            total=Throttle(world.clock),
        )
        self.acceptor = Acceptor(
            lambda task: self.transfer if task == TASK else None,  # type: ignore[arg-type, return-value]
            key=self.key,
            clock=world.clock,
        )
        grant = Grant(task=TASK, key=self.key.public, issued=0, expires=10**6, seed=full)
        self.transfer = Transfer(
            self.equipment,
            self.file,
            self.supernode,  # type: ignore[arg-type]
            attrs.evolve(
                RegisterAnswer(
                    task=TASK,
                    fetch=FETCH,
                    piece_size=PIECE,
                    grant=sign_grant(grant, self.lab.key),
                    grant_expires=10**6,
                    now=0.0,
                    keys=[self.lab.key.public],
                    announce_after=4.0,
                    state="ready",
                    length=SIZE,
                    runs=[self.lab.run()],
                ),
                **answer,
            ),
            RegisterRequest(url="http://o/f", key=self.key.public, peer=Announced(port=1)),
        )
        world.peers.append(self)

    def _served(self, peer: Any, file: Any, length: int) -> None:
        self.transfer.served(length)

    @property
    def neighbour(self) -> Neighbour:
        """How others find it."""
        return Neighbour(key=self.key.public, address=self.address, port=1)

    @property
    def complete(self) -> bool:
        """Whether all is here."""
        return self.transfer.content.complete


class World:
    """Peers that reach each other by pipes."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.lab = TaskLab(home, size=SIZE)
        self.peers: list[Peer] = []
        self.pipes: list[BoundedPipe] = []

    def dial(self, address: str, port: int, peer: PeerProtocol) -> Deferred[object]:
        """Connect, or refuse where nobody listens."""
        for each in self.peers:
            if each.address == address:
                theirs = each.acceptor.buildProtocol(IPv4Address("TCP", "198.51.100.7", 1))
                assert theirs is not None
                mine, other = BoundedPipe.pair()
                self.pipes += [mine, other]
                other.connect(theirs)  # type: ignore[arg-type]
                mine.connect(peer)  # type: ignore[arg-type]
                return succeed(None)
        return fail(Refused())

    def peer(self, *, full: bool = False, **answer: Any) -> Peer:
        """One more; its transfer is not started yet."""
        return Peer(self, len(self.peers) + 1, full=full, **answer)

    def run(self) -> None:
        """Let disk, pipes and due timers work until nothing moves."""
        while True:
            self.lab.threads.run()
            self.clock.advance(0)
            if not sum(pipe.move() for pipe in self.pipes) and not self.lab.threads.waiting:
                return

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / 0.125)):
            self.clock.advance(0.125)
            self.run()

    def end(self) -> None:
        """Stop everything: no timer, no coroutine and no file stays."""
        for peer in self.peers:
            peer.transfer.stop()
            peer.transfer.stop()
        self.run()
        for pipe in self.pipes:
            pipe.abortConnection()
        for peer in self.peers:
            peer.uploader.stop()
        self.run()
        for peer in self.peers:
            assert len(peer.tasks) == 0
            assert len(peer.transfer.links) == 0
            assert peer.file.in_use, "released more often than retained"
            peer.file.release()
            assert not peer.file.in_use
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nobody is there."""
    world = World(tmp_path)
    yield world
    world.end()


# -- a file goes from peer to peer ------------------------------------------


def test_a_file_goes_from_one_peer_to_the_next(world: World) -> None:
    """And from that one on; the first is never asked by the third."""
    first = world.peer(full=True)
    second = world.peer(neighbours=[first.neighbour])
    third = world.peer(neighbours=[second.neighbour])
    client = Client()
    second.transfer.join(Client())
    third.transfer.join(client)
    for peer in world.peers:
        peer.transfer.start()
    world.wait(2.0)
    assert second.complete
    assert third.complete
    assert third.file.read(0, SIZE) == world.lab.body
    assert third.transfer.tally.peers == SIZE
    assert (first.transfer.tally.served, second.transfer.tally.served) == (SIZE, SIZE)
    assert client.told[-1] == "finished"


def test_what_is_on_disk_is_not_fetched(world: World) -> None:
    """It is hashed, told to the client and served."""
    first = world.peer(full=True)
    client = Client()
    first.transfer.join(client)
    first.transfer.start()
    world.run()
    assert first.complete
    assert first.transfer.tally.cache == SIZE
    assert client.told[-1] == "finished"


def test_neighbours_that_announces_bring_are_dialled(world: World) -> None:
    """A swarm grows while it works; who cannot be reached is told of."""
    second = world.peer()
    second.transfer.join(Client())
    second.transfer.start()
    first = world.peer(full=True)
    first.transfer.start()
    nobody = Neighbour(key=b"n" * 32, address="192.0.2.99", port=1)
    second.supernode.answer = AnnounceAnswer(
        now=0.0, announce_after=1.0, state="ready", neighbours=[first.neighbour, nobody]
    )
    second.transfer.ask()
    world.wait(3.0)
    assert second.complete
    assert any(request.dead == [nobody.key] for request in second.supernode.announces)


def test_wrong_bytes_bar_the_neighbour_and_are_complained_of(world: World) -> None:
    """The supernode hears of it soon; the neighbour is not dialled again."""
    liar = world.peer(full=True)
    liar.transfer.start()
    world.run()
    liar.file.write(0, [bytes(SIZE)])
    victim = world.peer(neighbours=[liar.neighbour])
    victim.transfer.join(Client())
    victim.transfer.start()
    world.wait(1.0)
    (complaint, *_) = victim.supernode.announces[-1].complaints
    assert (complaint.key, complaint.why) == (liar.key.public, "wrong bytes")
    victim.transfer.links.connect([liar.neighbour])
    world.run()
    assert len(victim.transfer.links) == 0
    assert not victim.transfer.content.have


# -- what is to be expected ------------------------------------------


def test_when_bytes_are_due(world: World) -> None:
    """What is here or at a neighbour: now. Else by how fast neighbours get others."""
    seed = world.peer()
    reader = world.peer(neighbours=[seed.neighbour])
    for peer in world.peers:
        peer.transfer.start()
    assert reader.transfer.due_s(0, SIZE) is None
    world.wait(1.0)
    assert reader.transfer.due_s(0, 1) == math.inf
    for piece in (0, 1):
        seed.transfer.content.intake.add("elsewhere", piece, 0, world.lab.piece(piece))
        world.wait(1.0)
    assert reader.transfer.due_s(0, 2 * PIECE) == 0.0
    due_s = reader.transfer.due_s(PIECE, 5 * PIECE)
    assert due_s is not None
    assert 2 < due_s < 30
    reader.transfer.content.adopt([4])
    assert reader.transfer.due_s(4 * PIECE, 5 * PIECE) == 0.0


# -- the supernode ------------------------------------------


def test_the_end_is_announced_at_once(world: World) -> None:
    """Others are sent here then."""
    first = world.peer(full=True)
    first.transfer.start()
    world.wait(1.0)
    assert [request.complete for request in first.supernode.announces] == [True]


def test_who_has_no_neighbour_left_asks_for_others(world: World) -> None:
    """Not so who has everything."""
    first = world.peer(full=True)
    second = world.peer(neighbours=[first.neighbour])
    second.transfer.join(Client())
    first.transfer.start()
    world.run()
    second.transfer.start()
    while not second.transfer.links:
        for pipe in world.pipes:
            pipe.move(100)
    before = len(second.supernode.announces), len(first.supernode.announces)
    for pipe in world.pipes:
        pipe.abortConnection()
    world.wait(KICK_GAP_S + 0.25)
    assert len(second.supernode.announces) > before[0]
    assert len(first.supernode.announces) <= before[1] + 1  # its own end


def test_a_goodbye_is_said_to_who_listens(world: World) -> None:
    """A supernode that is gone is not waited for."""
    peer = world.peer()
    peer.transfer.start()
    Deferred.fromCoroutine(peer.transfer.goodbye())
    assert peer.supernode.leaves == [LeaveRequest(key=peer.key.public, task=TASK)]
    peer.supernode.answer = TrackerUnreachable("no")
    world.wait(KICK_GAP_S + 0.125)
    peer.transfer.ask()
    world.wait(KICK_GAP_S)
    assert peer.transfer.supernode_lost()
    Deferred.fromCoroutine(peer.transfer.goodbye())
    assert len(peer.supernode.leaves) == 1


def test_a_version_that_was_replaced_is_marked(world: World) -> None:
    """The registry does not give it to anybody any more."""
    peer = world.peer()
    peer.transfer.reports._on_outdated()
    assert peer.transfer.outdated


# -- clients ------------------------------------------


def test_a_client_that_left_hears_nothing(world: World) -> None:
    """Leaving twice is once; the transfer knows when it was used last."""
    first = world.peer(full=True)
    stays, goes = Client(), Client()
    for client in (stays, goes):
        first.transfer.join(client)
    world.clock.advance(3.0)
    first.transfer.leave(goes)
    first.transfer.leave(goes)
    assert first.transfer.last_used == 3.0
    first.transfer.start()
    world.run()
    assert stays.told
    assert goes.told == []


def test_limits_are_those_of_the_clients(world: World) -> None:
    """The most generous counts; one without a limit lifts it for all."""
    transfer = world.peer().transfer
    slow, fast = Client(local_limit=1000), Client(local_limit=100_000)
    transfer.join(slow)
    transfer.join(fast)
    assert transfer._pace.rate == 100_000
    transfer.leave(fast)
    assert transfer._pace.rate == 1000
    transfer.join(Client())
    assert transfer._pace.rate is None


def test_a_failure_reaches_the_clients_and_ends_the_watching(world: World) -> None:
    """No tick after it."""
    peer = world.peer()
    client = Client()
    peer.transfer.join(client)
    peer.transfer.start()
    peer.transfer.content.fail(StoreError("full"))
    assert client.told == ["StoreError"]
    assert not peer.transfer._ticking.running


def test_in_order_reading_reaches_picker_and_fallback(world: World) -> None:
    """The piece that the position is in; nobody any more when it ends."""
    transfer = world.peer().transfer
    transfer.want_in_order("one", 2 * PIECE + 5, 100, None)
    assert transfer.content.in_order
    assert transfer._picker._reader.readers == [(2, 100)]
    transfer.want_in_order("one", None, 0, None)
    assert not transfer.content.in_order
    assert transfer._picker._reader.readers == []


def test_of_several_readers_the_hungriest_is_looked_after_first(world: World) -> None:
    """Whoever reports last does not take the place of one that waits."""
    transfer = world.peer().transfer
    transfer.want_in_order("waiting", 3 * PIECE, 0, None)
    transfer.want_in_order("fed", 0, 2 * PIECE, None)
    assert transfer._picker._reader.readers == [(3, 0), (0, 2 * PIECE)]
    transfer.want_in_order("waiting", None, 0, None)
    assert transfer._picker._reader.readers == [(0, 2 * PIECE)]
    assert transfer.content.in_order


# -- parts ------------------------------------------


@pytest.fixture
def fed(world: World) -> Peer:
    """A peer whose neighbour has everything."""
    first = world.peer(full=True)
    second = world.peer(neighbours=[first.neighbour])
    for peer in world.peers:
        peer.transfer.start()
    world.run()
    return second


def test_who_wants_a_part_fetches_its_pieces(world: World, fed: Peer) -> None:
    """And no other, however long one waits; then the next part, then all."""
    transfer = fed.transfer
    client = Client(whole=False)
    transfer.join(client)
    world.wait(1.0)
    assert not transfer.content.have
    transfer.want_in_order("one", 2 * PIECE + 5, 0, 3 * PIECE + 5)
    world.wait(4 * PIECE_WAIT_S)
    assert transfer.content.have.mask == 0b1100
    transfer.want_in_order("one", None, 0, None)
    transfer.want_in_order("two", 5 * PIECE, 0, 5 * PIECE + 1)
    world.wait(PIECE_WAIT_S)
    assert transfer.content.have.mask == 0b101100
    transfer.join(Client())
    world.wait(PIECE_WAIT_S)
    assert fed.complete
    assert fed.file.read(0, SIZE) == world.lab.body


def test_nobody_is_asked_for_anything_when_nobody_wants_it(world: World, fed: Peer) -> None:
    """A transfer whose last client left stays in the swarm and serves; it wants no origin, and
    does not starve however long that is."""
    transfer = fed.transfer
    client = Client(whole=False, source=_source(world)[1])
    transfer.join(client)
    transfer.want_in_order("one", 0, 0, 1)
    world.wait(PIECE_WAIT_S)
    world.wait(25.0)
    transfer.want_in_order("one", None, 0, None)
    transfer.leave(client)
    whole = Client()
    transfer.join(whole)
    transfer.leave(whole)
    world.wait(25.0)
    assert transfer.content.have.mask == 1
    assert transfer.tally.origin == 0
    assert len(transfer.links) == 1
    assert not any(request.starving for request in fed.supernode.announces)


def test_the_part_of_one_and_the_whole_of_another(world: World, fed: Peer) -> None:
    """Everything, as long as one client wants that; and the pieces that nobody wants any more
    are asked for no more."""
    transfer = fed.transfer
    part, whole = Client(whole=False), Client()
    transfer.join(part)
    transfer.join(whole)
    assert transfer.content.wanted == ALL
    transfer.want_in_order("one", 0, 0, 1)
    transfer.leave(whole)
    assert transfer.content.wanted == 1


def test_a_part_that_nobody_brings_is_read_from_the_origin(world: World) -> None:
    """From the piece at which the reader is to its end, and no further, in one request for
    each part; a reader that goes on is followed at once."""
    peer = world.peer()
    origin, source = _source(world)
    peer.transfer.join(Client(whole=False, source=source))
    peer.transfer.start()
    peer.supernode.answer = TrackerUnreachable("no")
    peer.transfer.ask()
    world.wait(1.0)
    peer.transfer.want_in_order("one", 3 * PIECE + 5, 0, 4 * PIECE + 1)
    world.wait(4.0)
    assert peer.transfer.content.have.mask == 0b11000
    peer.transfer.want_in_order("two", PIECE, 0, PIECE + 1)
    world.wait(2 * TICK_S)
    assert peer.transfer.content.have.mask == 0b11010
    assert [each.start for each in origin.asked] == [3 * PIECE, PIECE]


# -- the origin ------------------------------------------


def _source(world: World) -> tuple[ScriptedReader, OriginSource]:
    origin = ScriptedReader(body=world.lab.body, clock=world.clock)
    return origin, OriginSource(origin, "http://o/f", ())  # type: ignore[arg-type]


def test_who_gets_nothing_reads_the_origin_in_the_end(world: World) -> None:
    """With the first client that may, and all are told; the bytes are the origin's."""
    peer = world.peer()
    _, source = _source(world)
    forbidden, allowed = Client(), Client(source=source)
    for client in (forbidden, allowed):
        peer.transfer.join(client)
    peer.transfer.start()
    peer.supernode.answer = TrackerUnreachable("no")
    peer.transfer.ask()
    world.wait(20.0)
    assert peer.complete
    assert peer.transfer.tally.origin == SIZE
    assert forbidden.told[0].startswith("because")
    assert forbidden.told[-1] == "finished"


def test_who_is_refused_does_not_spoil_it_for_the_others(world: World) -> None:
    """The next client's credentials are tried; both get the content."""
    peer = world.peer()
    origin, _ = _source(world)
    origin.errors.append(OriginRefused("not you", 401))
    expired, valid = (
        OriginSource(origin, "http://o/f", (("Authorization", word),))  # type: ignore[arg-type]
        for word in ("expired", "valid")
    )
    clients = [Client(source=expired), Client(source=valid)]
    for client in clients:
        peer.transfer.join(client)
    peer.transfer.start()
    peer.supernode.answer = TrackerUnreachable("no")
    peer.transfer.ask()
    world.wait(20.0)
    assert [dict(asked.headers)["Authorization"] for asked in origin.asked][:2] == [
        "expired",
        "valid",
    ]
    assert [client.told[-1] for client in clients] == ["finished"] * 2


def test_when_all_were_refused_all_may_try_again(world: World) -> None:
    """One that is alone with his credentials is not barred for ever."""
    peer = world.peer()
    _, source = _source(world)
    peer.transfer.join(Client(source=source))
    assert not peer.transfer.another_source(source)
    stream = peer.transfer._origin_stream()
    assert stream is not None
    assert stream.source == source


def test_without_a_client_that_may_the_origin_is_not_read(world: World) -> None:
    """``--notbs``."""
    peer = world.peer()
    peer.transfer.join(Client(hasty=True))
    peer.transfer.start()
    world.wait(10 * TICK_S)
    assert not peer.transfer.content.have


def test_bytes_of_the_origin_count_as_food_once(world: World) -> None:
    """Those of neighbours were counted when they came."""
    peer = world.peer()
    transfer = peer.transfer
    transfer.content_ranges([(0, 1000)], "peers")
    assert transfer._hunger.rate(1.0) == 0.0
    transfer.content_ranges([(0, 1000)], ORIGIN)
    assert transfer._hunger.rate(1.0) > 0.0
    assert (transfer.tally.peers, transfer.tally.origin) == (1000, 1000)


def test_stopping_in_the_middle_of_everything(world: World) -> None:
    """Neighbours asked, pieces under way, the origin being read: the fixture looks for rests."""
    first = world.peer(full=True)
    first.transfer.start()
    world.run()
    second = world.peer(neighbours=[first.neighbour])
    origin, source = _source(world)
    origin.silent = True
    second.transfer.join(Client(source=source, hasty=True))
    second.transfer.start()
    for _ in range(8):
        world.clock.advance(0)
        for pipe in world.pipes:
            pipe.move(20_000)
    second.transfer._fallback._begin("for this test")
    origin.give(PIECE + 5)
    assert not second.complete
    second.transfer.stop()
    second.transfer.content.fail(OriginChanged("late"))
    world.run()
    assert origin.bodies[0].stopped
