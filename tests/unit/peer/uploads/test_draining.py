"""Slots of answers that were sent are free when the other host has the bytes, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from dragonfly.peer.uploads.draining import POLL_MOST_S, POLL_S, Draining
from dragonfly.peer.uploads.upload import Upload
from dragonfly.sched.slots import UploadSlots

FILE = cast("Any", None)


class Peer:
    """A connection of which the other host has some bytes."""

    def __init__(self) -> None:
        self.said_bytes = 0
        self.arrived = 0
        self.looks = 0

    def unacked(self) -> int:
        """What it does not have."""
        self.looks += 1
        return self.said_bytes - self.arrived


class Scene:
    """Two slots, and what becomes of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.slots = UploadSlots(slots=2, unacked_bytes=100)
        self.arrived: list[Upload] = []
        self.looks = 0
        self.draining = Draining(
            self.slots, self.clock, on_arrived=self.arrived.append, on_free=self._looked
        )

    def _looked(self) -> None:
        self.looks += 1

    def sent(self, peer: Peer, piece: int, *, seconds: float = 0.0) -> Upload:
        """An answer of 1,000 bytes took so long, and is with the connection."""
        upload = Upload(cast("Any", peer), FILE, piece, 1000, 1000, 0)
        assert self.slots.offer(peer, upload.key) == "start"
        upload.since = self.clock.seconds() - seconds
        peer.said_bytes += 1000
        upload.said = peer.said_bytes
        self.draining.add(upload)
        return upload


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Nothing is under way; no timer may be left at the end."""
    scene = Scene()
    yield scene
    scene.draining.stop()
    assert scene.clock.getDelayedCalls() == []


def test_a_slot_is_free_when_the_other_host_has_nearly_all(scene: Scene) -> None:
    """What the connection says afterwards does not count against it."""
    peer = Peer()
    upload = scene.sent(peer, 0)
    peer.said_bytes += 5000
    scene.draining.collect()
    assert upload in scene.draining
    assert scene.slots.free == 1
    peer.arrived = 950
    scene.draining.collect()
    assert scene.arrived == [upload]
    assert len(scene.draining) == 0
    assert scene.slots.free == 2
    assert scene.looks == 2


def test_one_look_at_a_connection_serves_all_its_answers(scene: Scene) -> None:
    """It costs a call of the kernel."""
    peer = Peer()
    scene.sent(peer, 0)
    scene.sent(peer, 1)
    peer.arrived = 1000
    scene.draining.collect()
    assert peer.looks == 1
    assert [upload.piece for upload in scene.arrived] == [0]


def test_nobody_looks_while_nobody_waits(scene: Scene) -> None:
    """Unless somebody is expected whom the slots do not know."""
    peer = Peer()
    scene.sent(peer, 0)
    assert scene.clock.getDelayedCalls() == []
    scene.draining.expect(True)
    (poll,) = scene.clock.getDelayedCalls()
    assert poll.getTime() == POLL_S
    peer.arrived = 1000
    scene.clock.advance(POLL_S)
    assert len(scene.arrived) == 1
    assert scene.clock.getDelayedCalls() == []


def test_slow_answers_are_looked_at_less_often(scene: Scene) -> None:
    """But not too rarely."""
    peer = Peer()
    for piece in range(30):
        scene.sent(peer, piece, seconds=1e6)
        peer.arrived = peer.said_bytes
        scene.draining.collect()
    scene.draining.expect(True)
    scene.sent(peer, 99)
    (poll,) = scene.clock.getDelayedCalls()
    assert poll.getTime() == POLL_MOST_S


def test_what_was_given_up_is_not_looked_at(scene: Scene) -> None:
    """Its slot is somebody else's business."""
    peer = Peer()
    upload = scene.sent(peer, 0)
    assert scene.draining.discard(upload)
    assert not scene.draining.discard(upload)
    peer.arrived = 1000
    scene.draining.collect()
    assert scene.arrived == []
    assert scene.looks == 0
