"""Answers to requests: slots, slices, back-pressure, rate limits, and every way to end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from dragonfly.errors import ErrorCode
from dragonfly.net.throttle import Throttle
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.uploads.draining import POLL_S
from dragonfly.peer.uploads.upload import READ_BYTES
from dragonfly.peer.uploads.uploader import SLICE_S, Uploader
from dragonfly.sched.slots import UploadSlots
from dragonfly.store.piecestore import TaskFile
from dragonfly.wire.constants import SLICE_BYTES
from dragonfly.wire.events import (
    CancelReceived,
    Event,
    RejectReceived,
    RequestReceived,
    SliceReceived,
)
from tests.doubles.peering import PeerPair
from tests.doubles.tasklab import TaskLab

MIB = 1024 * 1024


class Scene:
    """An uploader with a file of three pieces, and neighbours that ask for them."""

    def __init__(
        self,
        home: Path,
        *,
        piece_size: int = 64 * 1024,
        slots: UploadSlots | None = None,
        **options: object,
    ) -> None:
        self.clock = Clock()
        self.lab = TaskLab(home, size=3 * piece_size, piece_size=piece_size)
        self.file = self.lab.full_file()
        self.file.retain()
        self.slots = slots or UploadSlots(slots=2, unacked_bytes=16 * 1024)
        self.served = 0
        self.limit = Throttle(self.clock)
        self.uploader = Uploader(
            self.slots,
            self.clock,
            self.lab.disk,
            on_served=self._on_served,
            limit=self.limit,
            **options,  # type: ignore[arg-type]
        )
        self.pairs: list[PeerPair] = []

    def _on_served(self, peer: PeerProtocol, file: TaskFile, length: int) -> None:
        assert file is self.file
        self.served += length

    def neighbour(self, **options: int) -> PeerPair:
        """One more connection; its left end asks, its right end is ours."""
        pair = PeerPair.opened(self.clock, piece_size=self.lab.layout.piece_size, **options)
        pair.right.on_event = self._on_event
        self.pairs.append(pair)
        return pair

    def _on_event(self, peer: PeerProtocol, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self.uploader.serve(peer, self.file, event.piece, event.begin, event.length)
        elif isinstance(event, CancelReceived):
            self.uploader.cancel(peer, event.piece, event.begin)

    def ask(self, pair: PeerPair, *pieces: int, length: int | None = None) -> None:
        """Let a neighbour ask for pieces; nothing was read from the disk when this returns."""
        for piece in pieces:
            pair.left.peer.session.request(piece, 0, length or self.lab.layout.piece_size)
        pair.left.peer.flush()
        pair.left.pipe.move()

    def run(self) -> None:
        """Let disk and connections work until nothing moves."""
        while True:
            self.lab.threads.run()
            if not sum(pair.pump() for pair in self.pairs if not pair.left.closed):
                return

    def got(self, pair: PeerPair, piece: int) -> bytes:
        """What a neighbour received of a piece."""
        return b"".join(
            bytes(event.data)
            for event in pair.left.events
            if isinstance(event, SliceReceived) and event.piece == piece
        )

    def rejects(self, pair: PeerPair) -> list[tuple[int, int]]:
        """The (piece, code) of what a neighbour was refused."""
        return [
            (event.piece, event.code)
            for event in pair.left.events
            if isinstance(event, RejectReceived)
        ]

    def end(self) -> None:
        """Stop; whatever was retained must have been released."""
        for pair in self.pairs:
            pair.abort()
            self.uploader.drop(pair.right.peer)
        self.uploader.stop()
        self.lab.threads.run()
        assert self.file.in_use, "released more often than retained"
        self.file.release()
        assert not self.file.in_use
        assert self.uploader.active == 0
        assert self.slots.taken == self.slots.waiting == 0
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Two slots, pieces of 64 KiB; nothing may be held at the end."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Scene]:
    """The same with pieces of 4 MiB."""
    scene = Scene(tmp_path, piece_size=4 * MIB)
    yield scene
    scene.end()


def test_a_piece_arrives_as_it_is_on_disk(scene: Scene) -> None:
    """And the slot is free as soon as the other host has the bytes."""
    pair = scene.neighbour()
    scene.ask(pair, 1)
    scene.run()
    assert scene.got(pair, 1) == scene.lab.piece(1)
    assert scene.served == 64 * 1024


def test_part_of_a_piece_can_be_asked_for(scene: Scene) -> None:
    """Begin and length of the request are kept to."""
    pair = scene.neighbour()
    pair.left.peer.session.request(2, 100, 1000)
    pair.left.peer.flush()
    scene.run()
    assert scene.got(pair, 2) == scene.lab.piece(2)[100:1100]


def test_memory_is_bounded_while_the_neighbour_does_not_read(large: Scene) -> None:
    """Of 4 MiB at most two blocks are read, and a slice is written beyond the mark."""
    pair = large.neighbour()
    large.ask(pair, 0)
    pair.left.pipe.pauseProducing()
    for _ in range(10):
        large.lab.threads.run()
    assert large.served <= 2 * SLICE_BYTES
    assert len(pair.right.pipe.queued) <= pair.right.pipe.high + SLICE_BYTES + 100
    held = sum(
        len(block)
        for uploads in large.uploader._uploads.values()
        for upload in uploads.values()
        for block in upload.blocks
    )
    assert held <= READ_BYTES + SLICE_BYTES
    pair.left.pipe.resumeProducing()
    large.run()
    assert large.got(pair, 0) == large.lab.piece(0)


def test_a_slot_stays_taken_until_the_other_host_has_the_bytes(scene: Scene) -> None:
    """All is written, nothing has arrived: the next neighbour waits, and is started by the
    poll once bytes are there."""
    first, second, third = (scene.neighbour(high=MIB) for _ in range(3))
    scene.ask(first, 0)
    scene.ask(second, 1)
    scene.lab.threads.run()
    assert scene.served == 2 * 64 * 1024
    scene.ask(third, 2)
    scene.clock.pump([POLL_S] * 5)
    assert scene.slots.waiting == 1
    first.pump()
    scene.clock.advance(POLL_S)
    assert scene.slots.waiting == 0
    scene.run()
    assert scene.got(third, 2) == scene.lab.piece(2)


def test_what_follows_an_answer_does_not_keep_its_slot(scene: Scene) -> None:
    """A connection that always has the next one to send is never empty."""
    busy, other = scene.neighbour(high=MIB), scene.neighbour()
    scene.ask(busy, 0, 1)
    scene.lab.threads.run()
    assert scene.served == 2 * 64 * 1024
    scene.ask(other, 2)
    busy.right.pipe.move(32 * 1024)
    scene.clock.advance(POLL_S)
    assert scene.slots.waiting == 1, "of both answers too much is under way"
    busy.right.pipe.move(32 * 1024)
    assert busy.right.peer.unacked() > 32 * 1024
    scene.clock.advance(POLL_S)
    assert scene.slots.waiting == 0
    assert scene.slots.held_by(busy.right.peer) == 1
    scene.run()
    assert scene.got(other, 2) == scene.lab.piece(2)


def test_what_is_in_memory_is_sent_at_once(scene: Scene) -> None:
    """In the call that asks for it; the disk's threads are left alone."""
    pair = scene.neighbour()
    scene.file.hot.put(scene.file, 1, scene.lab.piece(1))
    scene.ask(pair, 1)
    assert scene.lab.threads.waiting == 0
    assert scene.served == 64 * 1024
    pair.pump()
    assert scene.got(pair, 1) == scene.lab.piece(1)


def test_what_is_in_memory_waits_for_what_was_asked_before(scene: Scene) -> None:
    """Answers of one connection are not mixed, however they come."""
    pair = scene.neighbour(high=MIB)
    scene.file.hot.put(scene.file, 1, scene.lab.piece(1))
    scene.ask(pair, 0, 1)
    assert scene.served == 0
    scene.run()
    order = [event.piece for event in pair.left.events if isinstance(event, SliceReceived)]
    assert order == sorted(order)
    assert scene.got(pair, 1) == scene.lab.piece(1)


def test_what_is_in_memory_waits_for_a_neighbour_that_does_not_read(scene: Scene) -> None:
    """Its answers are written one after another, as those from the disk are."""
    pair = scene.neighbour(high=1000)
    pair.right.on_event = lambda *_: None
    scene.ask(pair, 0, 1)
    for piece in (0, 1):
        scene.file.hot.put(scene.file, piece, scene.lab.piece(piece))
        assert scene.uploader.serve(pair.right.peer, scene.file, piece, 0, 64 * 1024)
    assert scene.served == 64 * 1024
    assert len(pair.right.pipe.queued) < 2 * 64 * 1024
    pair.pump()
    assert scene.served == 2 * 64 * 1024
    assert scene.got(pair, 1) == scene.lab.piece(1)


def test_nobody_looks_at_sockets_while_slots_are_free(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a system call for each connection that was served."""
    pair = scene.neighbour(high=MIB)
    looked: list[object] = []
    monkeypatch.setattr(pair.right.peer, "unacked", lambda: looked.append(1) or 0)
    scene.ask(pair, 0)
    scene.run()
    assert scene.got(pair, 0) == scene.lab.piece(0)
    scene.ask(pair, 1)
    assert not looked
    scene.uploader.collect()
    assert looked


def test_a_long_line_of_answers_from_memory_is_no_recursion_too_deep(tmp_path: Path) -> None:
    """Each that is out may start the next one, while its neighbour takes everything at once."""
    many = UploadSlots(slots=1, waiting_in_all=64)
    scene = Scene(tmp_path, slots=many)
    scene.file.hot.put(scene.file, 1, scene.lab.piece(1))
    pairs = [scene.neighbour(high=MIB) for _ in range(65)]
    for pair in pairs:
        pair.right.peer._backlog = lambda _: 0
    scene.ask(pairs[0], 0)
    for pair in pairs[1:]:
        scene.ask(pair, 1)
    assert many.waiting == 64
    scene.run()
    scene.clock.pump([POLL_S] * 70)
    scene.run()
    assert all(scene.got(pair, 1) == scene.lab.piece(1) for pair in pairs[1:])
    scene.end()


def test_a_request_finds_the_slots_of_answers_that_have_arrived(scene: Scene) -> None:
    """Nobody waited, so nobody asked for un-ACKed bytes; whoever brings a request does."""
    first, second = scene.neighbour(high=MIB), scene.neighbour(high=MIB)
    scene.ask(first, 0)
    scene.ask(second, 1)
    scene.run()
    third = scene.neighbour()
    scene.uploader.collect()
    scene.ask(third, 2)
    assert scene.slots.waiting == 0
    scene.run()
    assert scene.got(third, 2) == scene.lab.piece(2)


def test_who_finds_no_room_is_told_busy(tmp_path: Path) -> None:
    """Never a pile: one request may wait for each neighbour, the rest is refused at once."""
    scene = Scene(tmp_path)
    pair, other = scene.neighbour(), scene.neighbour()
    scene.ask(pair, 0, 1)
    scene.ask(other, 0, 1)
    other.pump()
    assert scene.rejects(other) == [(1, ErrorCode.BUSY)]
    scene.run()
    scene.clock.advance(POLL_S)
    scene.run()
    assert scene.got(other, 0) == scene.lab.piece(0)
    scene.end()


def test_answers_of_one_connection_come_one_after_another(scene: Scene) -> None:
    """Mixed slices of two pieces would make both late."""
    pair = scene.neighbour()
    scene.ask(pair, 2, 0)
    scene.run()
    order = [event.piece for event in pair.left.events if isinstance(event, SliceReceived)]
    assert order == sorted(order, reverse=True)


# -- cancelling ------------------------------------------


def test_a_cancelled_answer_stops_and_frees_its_slot(large: Scene) -> None:
    """What is not written yet is not sent."""
    pair = large.neighbour()
    large.ask(pair, 0)
    large.lab.threads.run()
    pair.left.peer.session.cancel(0, 0)
    pair.left.peer.flush()
    large.run()
    assert large.served < 2 * MIB
    assert large.slots.taken == 0
    assert large.uploader.active == 0


def test_the_answer_behind_a_cancelled_one_goes_on(large: Scene) -> None:
    """The second was read already and the connection is idle: nobody else would wake it."""
    pair = large.neighbour()
    large.ask(pair, 0, 1)
    large.lab.threads.run(hops=2)  # a block of each
    pair.pump()  # that of piece 0 is out, and the next is being read
    assert large.served == READ_BYTES
    pair.left.peer.session.cancel(0, 0)
    pair.left.peer.flush()
    pair.pump()
    large.run()
    assert large.got(pair, 1) == large.lab.piece(1)


def test_a_waiting_request_can_be_cancelled(scene: Scene) -> None:
    """It is simply not started."""
    first, second = scene.neighbour(), scene.neighbour()
    scene.ask(first, 0, 1)
    scene.ask(second, 2)
    assert scene.slots.waiting == 1
    second.left.peer.session.cancel(2, 0)
    second.left.peer.flush()
    second.left.pipe.move()
    assert scene.slots.waiting == 0
    scene.run()
    assert scene.got(second, 2) == b""


def test_what_was_cancelled_can_be_asked_for_again(large: Scene) -> None:
    """The read of the first answer is still under way then; its bytes go nowhere."""
    pair = large.neighbour()
    large.ask(pair, 0)
    pair.left.peer.session.cancel(0, 0)
    large.ask(pair, 0)
    large.run()
    assert large.got(pair, 0) == large.lab.piece(0)


def test_asking_again_for_what_has_just_been_sent_is_served(scene: Scene) -> None:
    """The earlier answer only drains; its slot is given up for the new one."""
    pair = scene.neighbour(high=MIB)
    peer = pair.right.peer
    scene.ask(pair, 0)
    scene.lab.threads.run()
    assert scene.uploader.active == 1
    pair.pump()
    scene.ask(pair, 0)
    scene.run()
    assert scene.got(pair, 0) == scene.lab.piece(0) * 2
    assert scene.uploader.serve(peer, scene.file, 0, 0, 10)


def test_the_same_request_twice_is_one_answer(scene: Scene) -> None:
    """A second ``serve`` for what is under way changes nothing."""
    pair = scene.neighbour()
    scene.ask(pair, 0)
    assert scene.uploader.serve(pair.right.peer, scene.file, 0, 0, 64 * 1024)
    assert scene.uploader.active == 1
    scene.run()
    assert scene.got(pair, 0) == scene.lab.piece(0)


# -- what goes wrong ------------------------------------------


def test_a_lost_connection_frees_slots_for_others(large: Scene) -> None:
    """Also while a read for it is under way, whose answer nobody wants."""
    first, second = large.neighbour(), large.neighbour()
    large.ask(first, 0, 1)
    large.ask(second, 2)
    first.abort()
    large.uploader.drop(first.right.peer)
    large.run()
    assert large.got(second, 2) == large.lab.piece(2)


def test_bytes_that_cannot_be_read_are_gone(scene: Scene) -> None:
    """The neighbour is told, the slot is free, and what it asked for besides is answered."""
    scene.file.set_length(64 * 1024)
    pair = scene.neighbour()
    scene.ask(pair, 2, 0)
    scene.run()
    assert scene.rejects(pair) == [(2, ErrorCode.GONE)]
    assert scene.got(pair, 0) == scene.lab.piece(0)


def test_a_connection_that_is_lost_inside_a_write_is_released_once(scene: Scene) -> None:
    """Some transports tell of a loss there; the file must not be released twice."""
    pair = scene.neighbour()
    scene.ask(pair, 0)
    write = pair.right.pipe.write

    def lose(data: bytes) -> None:
        write(data)
        pair.abort()
        scene.uploader.drop(pair.right.peer)

    pair.right.pipe.write = lose  # type: ignore[method-assign]
    scene.lab.threads.run()
    assert scene.uploader.active == 0
    assert scene.file.in_use


def test_a_transport_that_drains_inside_a_write_is_served_in_order(scene: Scene) -> None:
    """``resumeProducing`` may come while the slice is being written."""
    pair = scene.neighbour(high=1000, low=500)
    write = pair.right.pipe.write

    def drain(data: bytes) -> None:
        write(data)
        while pair.right.pipe.move():
            pass

    pair.right.pipe.write = drain  # type: ignore[method-assign]
    scene.ask(pair, 0, 1)
    scene.run()
    assert scene.got(pair, 0) == scene.lab.piece(0)
    assert scene.got(pair, 1) == scene.lab.piece(1)


# -- rate limits ------------------------------------------


def test_a_rate_limit_spaces_the_slices(tmp_path: Path) -> None:
    """One slice each second, and no timer outlives the end."""
    scene = Scene(tmp_path, piece_size=MIB)
    scene.limit.set(SLICE_BYTES)
    pair = scene.neighbour()
    scene.ask(pair, 0)
    scene.run()
    for second in range(4):
        assert second <= scene.served / SLICE_BYTES <= second + SLICE_S
        for _ in range(20):
            scene.clock.advance(0.05)
            scene.run()
    assert scene.served == MIB
    assert scene.got(pair, 0) == scene.lab.piece(0)
    scene.end()


def test_neighbours_of_one_task_take_turns(tmp_path: Path) -> None:
    """Each has the same part of the limit."""
    scene = Scene(tmp_path, piece_size=MIB)
    scene.limit.set(SLICE_BYTES)
    pairs = [scene.neighbour(), scene.neighbour()]
    for pair in pairs:
        scene.ask(pair, 0)
    scene.run()
    for _ in range(40):
        scene.clock.advance(0.05)
        scene.run()
    first, second = (len(scene.got(pair, 0)) for pair in pairs)
    assert abs(first - second) <= SLICE_BYTES * SLICE_S + 10
    assert first + second == pytest.approx(2 * SLICE_BYTES, rel=0.06)
    scene.end()


def test_an_answer_that_is_taken_back_gives_back_its_bytes(tmp_path: Path) -> None:
    """Whether they wait for the limit, or for a neighbour that does not read."""
    scene = Scene(tmp_path, piece_size=MIB)
    scene.limit.set(SLICE_BYTES)
    first, second = scene.neighbour(), scene.neighbour()
    scene.ask(first, 0)
    scene.ask(second, 0)
    scene.run()
    assert scene.limit.waiting == 2
    for pair in (first, second):
        pair.left.peer.session.cancel(0, 0)
        pair.left.peer.flush()
    scene.run()
    assert scene.limit.waiting == 0
    scene.end()


def test_stopping_frees_everything(large: Scene) -> None:
    """Whatever it does, waits for or holds back."""
    first, second = large.neighbour(), large.neighbour()
    large.ask(first, 0, 1, 2)
    large.ask(second, 1)
    large.lab.threads.run(hops=1)
    large.uploader.stop()
    assert large.uploader.active == 0
    assert large.slots.taken == large.slots.waiting == 0


def test_stopping_ends_the_wait_for_the_limit(tmp_path: Path) -> None:
    """No timer is left."""
    scene = Scene(tmp_path, piece_size=MIB)
    scene.limit.set(1000)
    pair = scene.neighbour(high=MIB)
    scene.ask(pair, 0)
    scene.run()
    assert scene.limit.waiting == 1
    pair.abort()
    scene.uploader.stop()
    assert scene.limit.waiting == 0
    assert scene.clock.getDelayedCalls() == []
    scene.end()
