"""Questions to the seed: slots, turns, cancels, and what became of pieces."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragonfly.errors import ErrorCode
from dragonfly.net.disk import DiskPool
from dragonfly.peer.uploads.draining import POLL_S
from dragonfly.sched.seeding import ECHO_LIMIT, REGIVE_S
from dragonfly.wire.constants import ANY_PIECE, Kind
from dragonfly.wire.events import RejectReceived
from tests.doubles.leecher import Leecher
from tests.doubles.seedwork import PIECE, Scene
from tests.doubles.threads import HandThreads, direct_disk
from tests.doubles.wire import frame


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A seed whose disk answers at once."""
    made = Scene(tmp_path, direct_disk())
    yield made
    made.close()


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


def kinds(leecher: Leecher) -> list[type]:
    """The kinds of events that came."""
    return [type(event) for event in leecher.events]


def test_requests_by_name(scene: Scene) -> None:
    """Any part of a held piece."""
    content = scene.stock(3 * PIECE)
    leecher = scene.join(content, asks=0)
    leecher.peer.session.request(1, 0, PIECE)
    leecher.peer.session.request(2, 100, 50)
    leecher.peer.flush()
    scene.run()
    assert leecher.pieces[1] == scene.bytes[content.id][PIECE : 2 * PIECE]
    assert leecher.fragments == [scene.bytes[content.id][2 * PIECE + 100 : 2 * PIECE + 150]]
    assert scene.uploaded() == PIECE + 50


def test_requests_for_what_is_not_there(scene: Scene) -> None:
    """Not held, or beyond the end of the piece: GONE."""
    content = scene.stock(3 * PIECE + 10, held=2)
    leecher = scene.join(content, asks=0)
    leecher.peer.session.request(2, 0, PIECE)
    leecher.peer.session.request(3, 0, 11)
    leecher.peer.session.request(2**20, 0, 1)
    leecher.peer.flush()
    scene.run()
    codes = [event.code for event in leecher.events if isinstance(event, RejectReceived)]
    assert codes == [ErrorCode.GONE] * 3


def test_full_slots(slow: tuple[Scene, HandThreads]) -> None:
    """By name: two are in slots, one waits, one more is told BUSY."""
    scene, threads = slow
    leecher = scene.join(scene.stock(8 * PIECE), asks=0)
    for piece in range(4):
        leecher.peer.session.request(piece, 0, PIECE)
        leecher.peer.flush()
        scene.run()
    rejected = [event for event in leecher.events if isinstance(event, RejectReceived)]
    assert [(event.piece, event.code) for event in rejected] == [(3, ErrorCode.BUSY)]
    for _ in range(3):  # the one that waits begins when somebody looks at the slots
        threads.run()
        scene.pass_time(POLL_S)
    assert sorted(leecher.pieces) == [0, 1, 2]


def test_questions_for_any_just_wait(slow: tuple[Scene, HandThreads]) -> None:
    """More of them than slots are no reason to refuse any; nothing is chosen before its turn."""
    scene, threads = slow
    leecher = scene.join(scene.stock(8 * PIECE), asks=8)
    assert threads.waiting == 1, "reads of one connection come one after another"
    while threads.waiting:
        threads.run()
        scene.run()
    assert leecher.order == list(range(8))
    assert RejectReceived not in kinds(leecher)


def test_slots_go_round(slow: tuple[Scene, HandThreads]) -> None:
    """A neighbour with many questions does not get ahead of one with a single one."""
    scene, threads = slow
    content = scene.stock(20 * PIECE)
    greedy = scene.join(content, asks=8)
    modest = scene.join(content, asks=1)
    while not modest.pieces:
        threads.run(1)
        scene.run()
    assert len(greedy.pieces) <= 3


def test_cancelled_questions(slow: tuple[Scene, HandThreads]) -> None:
    """In a slot, waiting by name, or standing: each ends, and the slot goes to the next."""
    scene, threads = slow
    content = scene.stock(8 * PIECE)
    first = scene.join(content, asks=0)
    first.ask(2)
    scene.run()
    first.peer.session.request(5, 0, PIECE)
    first.peer.flush()
    first.ask(1)
    scene.run()
    first.peer.session.cancel(5, 0)
    first.peer.session.cancel(ANY_PIECE, 0)
    first.peer.session.cancel(ANY_PIECE, 0)
    first.peer.session.cancel(ANY_PIECE, 0)
    first.peer.flush()
    scene.run()
    assert first.peer.session.questions_asked == 0
    second = scene.join(content, asks=1)
    while threads.waiting:
        threads.run()
        scene.run()
    assert not first.pieces
    assert second.order == list(range(8)), "what was cancelled left no copies"


def test_a_neighbour_that_leaves_frees_its_slots(slow: tuple[Scene, HandThreads]) -> None:
    """Others go on at once, and its pieces count as not sent."""
    scene, threads = slow
    content = scene.stock(6 * PIECE)
    first = scene.join(content, asks=4)
    second = scene.join(content, asks=1)
    first.peer.close()
    scene.run()
    while threads.waiting:
        threads.run()
        scene.run()
    assert second.order == list(range(6))


def test_nothing_is_kept_of_a_task_without_links(scene: Scene) -> None:
    """The last link takes the swarm with it; the content can be forgotten."""
    content = scene.stock(2 * PIECE)
    one, two = scene.join(content), scene.join(content)
    assert content.watched
    one.peer.close()
    two.peer.close()
    scene.run()
    scene.pass_time(2)
    assert not content.watched
    assert not scene.seed._swarms
    assert not scene.seed._callers
    assert not scene.time.getDelayedCalls()
    assert content.file is not None
    assert not content.file.in_use


def test_a_piece_that_cannot_be_read(scene: Scene) -> None:
    """It is gone for good; everything else is served, and nobody asks in circles."""
    content = scene.stock(4 * PIECE)
    assert content.file is not None
    os.truncate(content.file.path, 3 * PIECE)
    leecher = scene.join(content, asks=2)
    assert sorted(leecher.pieces) == [0, 1, 2]
    codes = [event.code for event in leecher.events if isinstance(event, RejectReceived)]
    assert codes == [ErrorCode.GONE]


def test_a_lost_piece_is_given_again(scene: Scene) -> None:
    """A neighbour that asks, and does not show what it was given long ago, gets it once more."""
    content = scene.stock(2 * PIECE)
    leecher = scene.join(content, echo=False)
    assert (len(leecher.pieces), leecher.repeats) == (2, 0)
    scene.pass_time(REGIVE_S + 2)
    assert leecher.repeats >= 1


def test_an_answer_ends_though_nobody_needs_its_slot(scene: Scene) -> None:
    """Whoever lost what it was sent may ask for it by name, and no turn counts as under way."""
    content = scene.stock(3 * PIECE)
    leecher = scene.join(content, asks=0)
    for repeats in range(3):
        leecher.peer.session.request(1, 0, PIECE)
        leecher.peer.flush()
        scene.run()
        assert (sorted(leecher.pieces), leecher.repeats) == ([1], repeats)
        scene.pass_time(2)
        (swarm,) = scene.seed._swarms.values()
        assert swarm.seeding.running == 0


def test_in_flight_pieces_are_left_to_others(scene: Scene) -> None:
    """What comes from elsewhere is not sent; the question stands."""
    content = scene.stock(3 * PIECE)
    leecher = scene.join(content, asks=0)
    leecher.ask(2, in_flight=(0, 2))
    scene.run()
    assert sorted(leecher.pieces) == [1]
    assert leecher.peer.session.questions_asked == 1


def test_each_piece_goes_out_once_first(scene: Scene) -> None:
    """Three neighbours that pass nothing on get different pieces, and owe; nobody starves."""
    content = scene.stock(30 * PIECE)
    swarm = [scene.join(content, asks=0) for _ in range(3)]
    for _ in range(10):
        for leecher in swarm:
            leecher.ask()
            scene.run()
    given = [piece for leecher in swarm for piece in leecher.pieces]
    assert sorted(given) == list(range(30))
    assert all(len(leecher.pieces) == 10 for leecher in swarm)


def test_a_staller_gets_little(slow: tuple[Scene, HandThreads]) -> None:
    """Who passes nothing on waits for those who do, and is not shut out."""
    scene, threads = slow
    content = scene.stock(400 * PIECE)
    staller = scene.join(content, asks=1, echo=False)
    good = [scene.join(content, asks=2) for _ in range(2)]
    for _ in range(300):
        threads.run(1)
        scene.run()
        scene.time.advance(0.01)
        scene.run()
        for one, other in (good, good[::-1]):
            if one.order:
                other.show(*list(one.pieces)[-3:])
        scene.run()
    fed = len(staller.pieces)
    assert ECHO_LIMIT <= fed <= sum(len(each.pieces) for each in good) // 5


def test_asked_again_while_on_its_way(slow: tuple[Scene, HandThreads]) -> None:
    """What was sent and is not ACKed yet is not sent a second time."""
    scene, threads = slow
    leecher = scene.join(scene.stock(2 * PIECE), asks=0)
    far, near = scene.pipes[-1]
    for _ in range(2):
        far.write(frame(Kind.REQUEST, struct.pack(">IIIB", 1, 0, PIECE, 0)))
        far.move()
        scene.time.advance(0)
        threads.run()
    assert near.queued
    assert (1, 0) in next(iter(scene.seed._callers.values())).link.answers
    leecher.peer.session.request(1, 0, PIECE)
    leecher.peer.session.take_output()
    with pytest.raises(Exception, match="REJECT"):
        leecher.peer.session.receive(bytes(near.queued), 0.0)
    near.queued.clear()


def test_one_that_is_closing_is_not_served(slow: tuple[Scene, HandThreads]) -> None:
    """A violation ends the session while its goodbye still waits to be read."""
    scene, threads = slow
    content = scene.stock(8 * PIECE)
    broken, other = scene.join(content, asks=0), scene.join(content, asks=0)
    broken.ask(3)
    scene.run()
    far, near = scene.pipes[0]
    far.reading = False
    far.write(frame(99))
    far.move()
    other.ask(1)
    scene.pass_time(2)
    while threads.waiting:
        threads.run()
        scene.run()
    assert len(near.queued) < PIECE
    assert len(other.pieces) == 1
    assert not broken.closed
    scene.pass_time(5)
    assert broken.closed
    assert len(scene.seed) == 1
