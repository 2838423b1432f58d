"""What neighbours ask for is answered, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.errors import ErrorCode
from dragonfly.wire.constants import ANY_PIECE
from dragonfly.wire.events import (
    BitfieldReceived,
    DigestsReceived,
    RejectReceived,
    SliceReceived,
)
from tests.doubles.exchanging import ExchangeLab, Neighbour
from tests.doubles.tasklab import PIECE, TaskLab


def test_a_piece_in_memory_is_given_to_who_asks(scene: ExchangeLab) -> None:
    """Before the disk has done anything, and without asking it."""
    neighbour = Neighbour(scene)
    scene.content.intake.add("elsewhere", 1, 0, scene.lab.piece(1))
    jobs = scene.lab.threads.waiting
    neighbour.session.request(1, 0, PIECE)
    neighbour.say(run=False)
    scene.clock.advance(0)
    neighbour.pair.pump()
    assert scene.lab.threads.waiting == jobs
    got = b"".join(bytes(event.data) for event in neighbour.heard(SliceReceived))
    assert got == scene.lab.piece(1)


def test_runs_are_passed_on(scene: ExchangeLab) -> None:
    """To who asks for them, from where it asks."""
    neighbour = Neighbour(scene)
    neighbour.session.send_get_digests(0)
    neighbour.session.send_get_digests(99)
    neighbour.say()
    assert neighbour.heard(DigestsReceived) == [DigestsReceived(scene.lab.run())]


def test_digests_are_not_piled_up_for_who_does_not_read(scene: ExchangeLab) -> None:
    """The question stays unanswered; its sender will ask again."""
    neighbour = Neighbour(scene)
    neighbour.pair.right.peer.pauseProducing()
    neighbour.session.send_get_digests(0)
    neighbour.say()
    assert neighbour.heard(DigestsReceived) == []
    neighbour.pair.right.peer.resumeProducing()
    neighbour.session.send_get_digests(0)
    neighbour.say()
    assert len(neighbour.heard(DigestsReceived)) == 1


def test_a_piece_is_served_as_soon_as_it_is_verified(scene: ExchangeLab) -> None:
    """The download goes on meanwhile."""
    scene.have(1)
    neighbour = Neighbour(scene)
    neighbour.session.request(1, 0, PIECE)
    neighbour.say()
    received = b"".join(bytes(event.data) for event in neighbour.heard(SliceReceived))
    assert received == scene.lab.piece(1)


@pytest.mark.parametrize(
    ("piece", "begin", "length"), [(0, 0, 10), (2, PIECE - 1000, 1), (3, 0, 1)]
)
def test_what_is_not_here_is_gone(scene: ExchangeLab, piece: int, begin: int, length: int) -> None:
    """A piece that is missing, bytes behind the end, a piece that does not exist."""
    scene.have(1, 2)
    neighbour = Neighbour(scene)
    neighbour.session.request(piece, begin, length)
    neighbour.say()
    assert neighbour.heard(RejectReceived) == [RejectReceived(piece, begin, ErrorCode.GONE)]


def test_bytes_that_nobody_signed_for_are_not_served(tmp_path: Path) -> None:
    """They are for the user only."""
    scene = ExchangeLab(TaskLab(tmp_path), runs=False)
    scene.content.adopt([0])
    neighbour = Neighbour(scene)
    scene.run()
    assert neighbour.heard(BitfieldReceived) == []
    neighbour.session.request(0, 0, 10)
    neighbour.say()
    assert neighbour.heard(RejectReceived) == [RejectReceived(0, 0, ErrorCode.GONE)]
    scene.end()


def test_only_a_seed_chooses_for_others(scene: ExchangeLab) -> None:
    """A peer that is asked for any piece says so."""
    neighbour = Neighbour(scene)
    neighbour.session.request_any([])
    neighbour.say()
    assert neighbour.heard(RejectReceived) == [RejectReceived(ANY_PIECE, 0, ErrorCode.NOT_ALLOWED)]


def test_a_cancelled_request_is_not_answered(scene: ExchangeLab) -> None:
    """Its slot is free."""
    scene.have(1)
    neighbour = Neighbour(scene)
    neighbour.session.request(1, 0, PIECE)
    neighbour.session.cancel(1, 0)
    neighbour.say()
    assert neighbour.heard(SliceReceived) == []
    assert scene.uploader.active == 0


def test_what_a_lost_neighbour_asked_for_is_dropped(scene: ExchangeLab) -> None:
    """Its slot is somebody else's at once."""
    scene.have(1)
    neighbour = Neighbour(scene)
    neighbour.session.request(1, 0, PIECE)
    neighbour.say(run=False)
    scene.clock.advance(0)
    assert scene.uploader.active == 1
    neighbour.pair.abort()
    assert scene.uploader.active == 0


def test_a_request_that_waits_for_the_turn_goes_with_its_link(scene: ExchangeLab) -> None:
    """Or with its CANCEL; those of others stay."""
    scene.have(1)
    gone, sorry, patient = (Neighbour(scene) for _ in range(3))
    for neighbour in (gone, sorry, patient):
        neighbour.session.request(1, 0, PIECE)
        neighbour.say(run=False)
    sorry.session.cancel(1, 0)
    sorry.say(run=False)
    gone.pair.abort()
    scene.clock.advance(0)
    assert scene.uploader.active == 1
    scene.run()
    assert patient.heard(SliceReceived)
    assert sorry.heard(SliceReceived) == []
