"""The seed in memory: what it says, to whom it gives, and what it does not put up with."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from dragonfly.errors import ErrorCode, NoSources
from dragonfly.net.disk import DiskPool
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.supernode.seed import LATE_S
from dragonfly.supernode.seedgate import Callers
from dragonfly.supernode.seedlink import run_mask
from dragonfly.supernode.seeduptake import (
    QUESTIONS_MAX,
    STALL_BUSY_S,
    STALL_S,
    UNREAD_MAX,
)
from dragonfly.task.bitfield import pieces_of
from dragonfly.task.grant import check_grant
from dragonfly.task.manifest import RUN_DIGESTS
from dragonfly.wire.constants import Kind
from dragonfly.wire.events import BitfieldReceived, DigestsReceived, HaveReceived
from tests.doubles.leecher import Leecher, known_pieces
from tests.doubles.seedwork import PIECE, Scene
from tests.doubles.threads import HandThreads, direct_disk
from tests.doubles.wire import frame

DAY_S = 86_400


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A seed whose disk answers at once."""
    made = Scene(tmp_path, direct_disk())
    yield made
    made.close()


def kinds(leecher: Leecher) -> list[type]:
    """The kinds of events that came."""
    return [type(event) for event in leecher.events]


# -- the way in ----------------------------------------------------------------------------


def test_a_lone_neighbour_gets_everything(scene: Scene) -> None:
    """One standing question after another, until all pieces are there, each once."""
    content = scene.stock(20 * PIECE + 5)
    leecher = scene.join(content, asks=4)
    assert b"".join(leecher.pieces[n] for n in range(21)) == scene.bytes[content.id]
    assert leecher.order == list(range(21))
    assert not leecher.repeats
    assert scene.uploaded() == 20 * PIECE + 5
    assert not leecher.closed


def test_the_hello_of_a_seed(scene: Scene) -> None:
    """Its key is the supernode's, its grant says seed, its port is the piece port."""
    scene.seed.port = 8001
    leecher = scene.join(scene.stock(PIECE))
    hello = leecher.peer.session.remote
    assert hello is not None
    assert (hello.key, hello.port) == (scene.key.public, 8001)
    now = scene.time.seconds()
    grant = check_grant(hello.grant, leecher.ring, task=hello.task, key=hello.key, now=now)
    assert grant.seed


def test_digests_before_pieces(scene: Scene) -> None:
    """A neighbour is told the runs, then what is held, in one go."""
    leecher = scene.join(scene.stock(10 * PIECE, held=4), asks=0)
    assert kinds(leecher) == [DigestsReceived, BitfieldReceived]
    assert leecher.shown == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"task": b"x" * 32}, ErrorCode.UNKNOWN_TASK),
        ({"fetch": 8}, ErrorCode.MANIFEST_MISMATCH),
        ({"piece_size": 2 * PIECE}, ErrorCode.MANIFEST_MISMATCH),
        ({"now": 1_000_000 - 2 * DAY_S}, ErrorCode.GRANT_EXPIRED),
    ],
)
def test_who_is_not_let_in(scene: Scene, options: dict[str, object], code: int) -> None:
    """Another task, another manifest, an old grant: the code says which."""
    leecher = scene.join(scene.stock(PIECE), **options)
    assert leecher.closed
    assert leecher.code == code
    assert len(scene.seed) == 0


def test_a_forged_grant(scene: Scene) -> None:
    """A grant of another supernode opens nothing."""
    content = scene.stock(PIECE)
    leecher = Leecher(SigningKey.generate(), content, scene.time)
    scene.connect(leecher.protocol())
    scene.run()
    assert leecher.code == ErrorCode.BAD_GRANT


def test_a_grant_of_somebody_else(scene: Scene) -> None:
    """Seen on the wire it is worth nothing."""
    content = scene.stock(PIECE)
    victim, thief = (Leecher(scene.key, content, scene.time) for _ in range(2))
    thief.offer = attrs.evolve(thief.offer, grant=victim.offer.grant)
    scene.connect(thief.protocol())
    scene.run()
    assert thief.code == ErrorCode.BAD_GRANT


def test_a_banned_key(scene: Scene) -> None:
    """It is told why, when it comes and when it is there already."""
    content = scene.stock(PIECE)
    leecher = Leecher(scene.key, content, scene.time)
    scene.bans[leecher.key.public] = "sent wrong bytes"
    scene.connect(leecher.protocol())
    scene.run()
    assert leecher.code == ErrorCode.NOT_ALLOWED
    assert "sent wrong bytes" in str(leecher.reason)
    other = scene.join(content)
    scene.bans[other.key.public] = "stalls"
    scene.pass_time(2)
    assert other.code == ErrorCode.NOT_ALLOWED


def test_failed_content(scene: Scene) -> None:
    """A fetch that fails ends its links, and nobody new is let in."""
    content = scene.stock(4 * PIECE, held=2)
    early = scene.join(content)
    content.settle(NoSources("the origin is gone"))
    scene.run()
    assert early.code == ErrorCode.UNKNOWN_TASK
    late = scene.join(content)
    assert late.code == ErrorCode.UNKNOWN_TASK
    assert "failed" in str(late.reason)
    assert not content.watched


def test_content_that_fails_during_a_handshake(scene: Scene) -> None:
    """The link that would be its first is not made."""
    content = scene.stock(4 * PIECE, held=2)
    leecher = scene.join(content, run=False)
    scene.pipes[-1][0].move()
    content.settle(NoSources("gone"))
    scene.run()
    assert leecher.code == ErrorCode.UNKNOWN_TASK


def test_content_that_is_begun_anew_during_a_handshake(scene: Scene) -> None:
    """Pieces of two fetches are never mixed."""
    leecher = scene.join(scene.stock(4 * PIECE, held=2), run=False)
    scene.pipes[-1][0].move()
    scene.stock(5 * PIECE, held=2, fetch=8)
    scene.run()
    assert leecher.code == ErrorCode.MANIFEST_MISMATCH


def test_a_new_fetch_beside_the_old(scene: Scene) -> None:
    """Links of the earlier fetch do not stand in the way of those of the new one."""
    old = scene.join(scene.stock(4 * PIECE, held=2))
    content = scene.stock(5 * PIECE, fetch=8)
    new = scene.join(content)
    assert len(new.pieces) == 5
    old.peer.close()
    scene.run()
    assert len(scene.seed) == 1
    assert len(scene.join(content).pieces) == 5


def test_one_that_has_everything_makes_room(tmp_path: Path) -> None:
    """A host's connections for tasks that it has finished do not keep its next task out."""
    scene = Scene(tmp_path, direct_disk(), callers=Callers(each=2, most=100))
    content = scene.stock(PIECE)
    first, second, third = (scene.join(content) for _ in range(3))
    assert third.code is None
    assert len(third.pieces) == 1
    assert [first.code, second.code].count(ErrorCode.TOO_MANY_CONNECTIONS) == 1
    scene.close()


def test_connections_of_one_address(tmp_path: Path) -> None:
    """Some too many are told so, many too many are closed, and those that go make room."""
    scene = Scene(tmp_path, direct_disk(), callers=Callers(each=2, most=100))
    content = scene.stock(2 * PIECE, held=1)
    first, second, third = (scene.join(content) for _ in range(3))
    assert third.code == ErrorCode.TOO_MANY_CONNECTIONS
    assert not first.closed
    assert not second.closed
    silent = [scene.seed.accept("192.0.2.2") for _ in range(3)]
    assert [peer is not None for peer in silent] == [True, True, False]
    first.peer.close()
    scene.run()
    assert scene.seed.accept("192.0.2.2") is not None
    for peer in silent[:2]:
        assert peer is not None
    scene.seed._callers = {p: c for p, c in scene.seed._callers.items() if p.transport}
    scene.close()


def test_connections_in_all() -> None:
    """A bound on all addresses together, and nothing is kept of those that left."""
    callers = Callers(each=64, most=3)
    assert [callers.enter(f"10.0.0.{n}") for n in range(4)] == [True, True, True, False]
    for n in range(3):
        callers.leave(f"10.0.0.{n}")
    assert len(callers) == 0
    assert callers.enter("10.0.0.9")


def test_a_peer_that_connects_again(scene: Scene) -> None:
    """The newer connection stays: nobody dials again while the old one lives."""
    content = scene.stock(4 * PIECE, held=2)
    old = scene.join(content)
    new = scene.join(content, key=old.key)
    assert old.code == ErrorCode.DUPLICATE_CONNECTION
    scene.grow(content, 2, end=True)
    scene.run()
    assert len(new.pieces) == 4


def test_a_link_outlives_its_grant_for_a_while(scene: Scene) -> None:
    """It ends some time after, not never; the peer comes back with a fresh grant."""
    leecher = scene.join(scene.stock(PIECE, held=0), now=1_000_000 - DAY_S + 10)
    leecher.on_event = lambda event: None
    scene.pass_time(LATE_S - 5, step=20)
    assert not leecher.closed
    scene.pass_time(30, step=10)
    assert leecher.code == ErrorCode.GRANT_EXPIRED


# -- growing content -----------------------------------------------------------------------


def test_content_grows(scene: Scene) -> None:
    """New runs come at once and before their pieces; a standing question gets its piece."""
    content = scene.stock(4 * PIECE + 1, held=1)
    leecher = scene.join(content)
    assert list(leecher.pieces) == [0]
    leecher.events.clear()
    scene.grow(content, 2)
    scene.run()
    assert kinds(leecher) == [DigestsReceived, HaveReceived]
    assert sorted(leecher.pieces) == [0, 1, 2]
    scene.grow(content, 2, end=True)
    scene.run()
    assert b"".join(leecher.pieces[n] for n in range(5)) == scene.bytes[content.id]


def test_length_unknown_until_the_end(scene: Scene) -> None:
    """The last, short piece is served when the END run has told its length."""
    content = scene.stock(2 * PIECE + 9, held=1, length_known=False)
    leecher = scene.join(content)
    content.announce_length(2 * PIECE + 9)
    scene.grow(content, 2, end=True)
    scene.run()
    assert leecher.done.called
    assert len(leecher.pieces[2]) == 9


def test_empty_content(scene: Scene) -> None:
    """There is a run that says so, and nothing to show."""
    leecher = scene.join(scene.stock(0), asks=0)
    assert kinds(leecher) == [DigestsReceived]
    assert leecher.manifest.complete


def test_pieces_verified_after_a_restart(scene: Scene) -> None:
    """Runs are known long before pieces are held; both are told when they are there."""
    content = scene.stock(6 * PIECE)
    content.held = 0
    leecher = scene.join(content)
    assert leecher.manifest.complete
    assert not leecher.shown
    content.hold(4)
    scene.run()
    assert sorted(leecher.pieces) == [0, 1, 2, 3]
    assert leecher.shown == {0, 1, 2, 3}


def test_many_runs_are_told_bit_by_bit(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first runs are pushed; the rest come as they are needed, before their pieces."""
    monkeypatch.setattr("dragonfly.supernode.seedlink.OPENING_BYTES", 200 * 4)
    content = scene.stock(50 * PIECE, held=0)
    for _ in range(50):
        scene.grow(content, 1)
    idle = scene.join(content, asks=0)
    assert known_pieces(idle) == [0, 1, 2, 3]
    idle.peer.session.send_get_digests(10)
    idle.peer.flush()
    scene.run()
    assert known_pieces(idle) == [*range(4), *range(10, 42)]
    busy = scene.join(content)
    assert sorted(busy.pieces) == list(range(50))
    assert not busy.unverifiable


def test_the_pieces_of_a_run(scene: Scene) -> None:
    """Read from its head; a run that only tells the end has none."""
    content = scene.stock((RUN_DIGESTS + 3) * PIECE)
    first, second = content.manifest.runs
    assert list(pieces_of(run_mask(first))) == list(range(RUN_DIGESTS))
    assert list(pieces_of(run_mask(second))) == [RUN_DIGESTS, RUN_DIGESTS + 1, RUN_DIGESTS + 2]
    assert run_mask(scene.stock(0, task=b"e" * 32).manifest.runs[0]) == 0


def test_news_wait_for_a_neighbour_that_does_not_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is told is bounded; when it reads again it gets all of it, in order."""
    monkeypatch.setattr("dragonfly.supernode.seedlink.SHOWN_AT_ONCE", 2)
    monkeypatch.setattr("dragonfly.supernode.seeduptake.UNREAD_MAX", 1000)
    content = scene.stock(40 * PIECE, held=1)
    leecher = scene.join(content)
    _, near = scene.pipes[-1]
    near.producer.pauseProducing()
    for _ in range(19):
        scene.grow(content, 1)
    assert len(near.queued) < 2000
    assert leecher.shown == {0}
    scene.run()
    near.producer.resumeProducing()
    scene.pass_time(12, step=1)
    assert leecher.shown == set(range(20))
    assert sorted(leecher.pieces) == list(range(20))
    assert not leecher.unverifiable
    scene.grow(content, 20, end=True)
    scene.run()
    assert len(leecher.pieces) == 40


# -- bad neighbours --------------------------------------------------------------------------


def test_pieces_that_do_not_exist(scene: Scene) -> None:
    """HAVE or BITFIELD beyond the end: a broken neighbour."""
    content = scene.stock(3 * PIECE)
    one = scene.join(content)
    one.show(3)
    scene.run()
    assert one.code == ErrorCode.BAD_MESSAGE
    two = scene.join(content)
    two.peer.session.send_bitfield(9, b"\xff\x80")
    two.peer.flush()
    scene.run()
    assert two.code == ErrorCode.BAD_MESSAGE


def test_a_bitfield_counts(scene: Scene) -> None:
    """What a neighbour brought along is not sent to it."""
    content = scene.stock(8 * PIECE)
    leecher = scene.join(content, asks=0)
    leecher.peer.session.send_bitfield(8, b"\xfc")
    leecher.peer.flush()
    leecher.asks = 2
    leecher.ask(2)
    scene.run()
    assert leecher.order == [6, 7]


def stalled(scene: Scene) -> Leecher:
    """A neighbour that stopped reading while it is being served."""
    content = scene.stock(40 * PIECE)
    leecher = scene.join(content, run=False, asks=8)
    scene.run(lambda: len(leecher.pieces) > 2)
    leecher.peer.transport.pauseProducing()
    scene.run()
    return leecher


def test_a_reader_that_stalls(scene: Scene) -> None:
    """It may pause for a minute; then it goes, and its slots are free."""
    leecher = stalled(scene)
    scene.pass_time(STALL_S - 3, step=1)
    assert len(scene.seed) == 1
    scene.pass_time(6, step=1)
    assert len(scene.seed) == 0
    scene.pass_time(6, step=1)
    assert leecher.closed


def test_a_reader_that_stalls_while_others_wait(tmp_path: Path) -> None:
    """The less patience the more it is in the way."""
    scene = Scene(tmp_path, direct_disk(), slots=2)
    leecher = stalled(scene)
    other = scene.join(scene.stock(4 * PIECE, task=b"o" * 32))
    assert not other.pieces
    scene.pass_time(STALL_BUSY_S + 4, step=1)
    assert len(other.pieces) == 4
    scene.pass_time(6, step=1)
    assert leecher.closed
    scene.close()


def test_a_slow_reader_stays(scene: Scene) -> None:
    """A little now and then is progress."""
    leecher = stalled(scene)
    far, near = scene.pipes[-1]
    for _ in range(3):  # a PING that is not read ends it after 90 s
        scene.pass_time(STALL_S / 2 - 10, step=5)
        far.reading = True
        near.move(1000)
        far.reading = False
    assert len(scene.seed) == 1
    assert not leecher.closed
    far.reading = True
    scene.run()
    assert leecher.done.called


def test_asking_without_reading(scene: Scene) -> None:
    """Answers that nobody reads are not piled up."""
    content = scene.stock(40 * PIECE)
    leecher = scene.join(content, asks=0)
    far, near = scene.pipes[-1]
    near.producer.pauseProducing()
    far.reading = False
    for _ in range(QUESTIONS_MAX // 2 + 10):
        far.write(frame(Kind.REQUEST, struct.pack(">IIIB", 7, 1, 1, 0)))
        far.write(frame(Kind.CANCEL, struct.pack(">II", 7, 1)))
        far.move()
    assert len(scene.seed) == 0
    assert len(near.queued) < UNREAD_MAX
    scene.time.advance(6)
    assert leecher.closed


def test_digests_are_not_given_to_who_does_not_read(scene: Scene) -> None:
    """The question is left unanswered, as the protocol demands."""
    leecher = scene.join(scene.stock(4 * PIECE), asks=0)
    leecher.events.clear()
    _, near = scene.pipes[-1]
    near.producer.pauseProducing()
    leecher.peer.session.send_get_digests(0)
    leecher.peer.flush()
    scene.run()
    assert leecher.events == []


def test_a_question_and_goodbye_in_one_read(scene: Scene) -> None:
    """Whoever leaves is not answered, and nothing breaks over it; the same in its first read."""
    content = scene.stock(4 * PIECE)
    leecher = scene.join(content, asks=0)
    leecher.peer.session.request(2**20, 0, 1)
    leecher.peer.session.request(1, 0, 1)
    leecher.ask(2)
    leecher.peer.close()
    scene.run()
    hasty = scene.join(content, run=False)
    hasty.asks = 0
    hasty.peer_opened = lambda peer: peer.close()  # type: ignore[method-assign]
    scene.run()
    assert leecher.closed
    assert hasty.closed
    assert scene.uploaded() == 0
    assert not content.watched


def test_an_answer_of_a_stranger(scene: Scene) -> None:
    """Runs of a neighbour mean nothing to the supernode."""
    content = scene.stock(PIECE)
    leecher = scene.join(content, asks=0)
    leecher.peer.session.send_digests(content.manifest.runs[0])
    leecher.peer.flush()
    scene.run()
    assert not leecher.closed


# -- the end -----------------------------------------------------------------------------------


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Scene, HandThreads]]:
    """A seed with two slots, and a disk that reads when it is told to."""
    threads = HandThreads()
    disk = DiskPool(threads, threads=threads)
    disk.start()
    made = Scene(tmp_path, disk, slots=2)
    yield made, threads
    threads.run()
    made.close()


def test_closing(slow: tuple[Scene, HandThreads]) -> None:
    """Everybody is told, uploads stop, and nobody is taken in any more."""
    scene, threads = slow
    content = scene.stock(8 * PIECE)
    leecher = scene.join(content, asks=4)
    silent = PeerProtocolStub()
    scene.connect(silent)
    scene.seed.close()
    scene.run()
    threads.run()
    assert leecher.code == ErrorCode.SHUTTING_DOWN
    assert not leecher.pieces
    assert silent.lost
    assert scene.seed.factory.buildProtocol(None) is None
    assert content.file is not None
    assert not content.file.in_use


class PeerProtocolStub:
    """One that says nothing."""

    lost = False

    def makeConnection(self, transport: object) -> None:
        """Nothing to do."""

    def dataReceived(self, data: bytes) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: object) -> None:
        """Remember it."""
        self.lost = True


def test_a_caller_that_says_nothing(scene: Scene) -> None:
    """The handshake has its time, then the connection goes."""
    silent = PeerProtocolStub()
    scene.connect(silent)
    scene.pass_time(20, step=1)
    assert silent.lost
    assert isinstance(scene.seed.accept("10.0.0.1"), PeerProtocol)
    scene.seed._callers.clear()
