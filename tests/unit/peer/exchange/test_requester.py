"""What neighbours are asked for, and what becomes of their answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragonfly.errors import ErrorCode, StoreError
from dragonfly.wire.constants import ANY_PIECE, MAX_REQUESTS
from dragonfly.wire.events import CancelReceived, RequestAnyReceived, RequestReceived
from tests.doubles.exchanging import ExchangeLab, Neighbour
from tests.doubles.tasklab import PIECE, TaskLab


def test_a_short_last_piece_is_asked_for_in_its_length(scene: ExchangeLab) -> None:
    """It cannot be longer than the content."""
    neighbour = Neighbour(scene)
    neighbour.show(2)
    assert neighbour.heard(RequestReceived) == [RequestReceived(2, 0, PIECE - 1000)]


def test_wrong_bytes_end_the_link_and_others_are_asked(scene: ExchangeLab) -> None:
    """The supervisor hears who it was; the file stays clean."""
    liar, honest = Neighbour(scene), Neighbour(scene)
    liar.show(0)
    honest.show(0)
    (first,) = [each for each in (liar, honest) if each.asked]
    other = honest if first is liar else liar
    first.send(0, bytes(PIECE))
    assert scene.complaints == [(first.link, 0, "wrong bytes")]
    assert first.closed_with == ErrorCode.WRONG_BYTES
    scene.wait(0.2)
    assert other.asked == [0]
    other.send(0)
    assert 0 in scene.content.have


def test_a_neighbour_that_does_not_answer_is_given_up_for_another(scene: ExchangeLab) -> None:
    """The question is taken back, and what was received of it is forgotten."""
    mute, other = Neighbour(scene), Neighbour(scene)
    mute.show(0)
    assert mute.asked == [0]
    mute.session.send_data(0, 0, scene.lab.piece(0)[:1000])
    mute.say()
    other.show(0)
    scene.wait(60.0)
    assert mute.heard(CancelReceived)
    assert other.asked[0] == 0
    other.send(0)
    assert 0 in scene.content.have


def test_late_bytes_of_a_question_that_was_taken_back_are_dropped(scene: ExchangeLab) -> None:
    """They cross the CANCEL; the session marks them, and nothing is assembled of them."""
    neighbour = Neighbour(scene)
    neighbour.show(0)
    neighbour.session.send_data(0, 0, bytes(PIECE))
    neighbour.pair.left.peer.flush()
    scene.content.intake.add("elsewhere", 0, 0, scene.lab.piece(0))
    scene.lab.threads.run()
    scene.run()
    assert neighbour.pair.left.pipe.delivered > PIECE
    assert scene.fed_bytes == 0
    assert scene.complaints == []


def test_the_next_question_does_not_wait_for_the_disk(scene: ExchangeLab) -> None:
    """Whoever has sent a piece is asked for another while that one is being written."""
    neighbour, *_ = (Neighbour(scene) for _ in range(3))
    neighbour.show(0, 1)
    (first,) = neighbour.asked
    neighbour.session.send_data(first, 0, scene.lab.piece(first))
    neighbour.say(run=False)
    scene.clock.advance(0)
    neighbour.pair.pump()
    assert not scene.content.on_disk
    assert sorted(neighbour.asked) == [0, 1]


@pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.GONE])
def test_what_is_refused_is_asked_of_somebody_else(scene: ExchangeLab, code: ErrorCode) -> None:
    """At once."""
    one, two = Neighbour(scene), Neighbour(scene)
    one.show(0)
    two.show(0)
    (first,) = [each for each in (one, two) if each.asked]
    other = two if first is one else one
    first.session.reject(0, 0, code)
    first.say()
    assert other.asked == [0]


def test_what_a_lost_neighbour_was_asked_for_is_asked_elsewhere(scene: ExchangeLab) -> None:
    """Half a piece of it is in memory; it is forgotten."""
    one = Neighbour(scene)
    one.show(0)
    one.session.send_data(0, 0, scene.lab.piece(0)[:1000])
    one.say()
    one.pair.abort()
    assert not scene.content.intake._open
    two = Neighbour(scene)
    two.show(0)
    assert two.asked == [0]
    two.send(0)
    assert 0 in scene.content.have
    assert scene.changes == 3


def test_a_neighbour_with_too_many_open_questions_is_not_asked_more(scene: ExchangeLab) -> None:
    """The session would refuse; whoever answers nothing keeps its questions for ever."""
    mute = Neighbour(scene)
    for piece in range(100, 100 + MAX_REQUESTS):
        mute.link.peer.session.request(piece, 0, PIECE)
        mute.link.peer.session.cancel(piece, 0)
    mute.link.peer.session.take_output()
    mute.show(0)
    other = Neighbour(scene)
    other.show(0)
    assert mute.asked == []
    assert other.asked == [0]


def _asked_any(tmp_path: Path, **options: Any) -> tuple[ExchangeLab, Neighbour]:
    """A scene with a seed that was asked for any piece."""
    scene = ExchangeLab.ten(tmp_path, **options)
    seed = Neighbour(scene, seed=True)
    seed.show(*range(10))
    assert seed.heard(RequestAnyReceived)
    return scene, seed


def test_a_seed_chooses(tmp_path: Path) -> None:
    """What it sends is taken though nobody asked for that piece by name, and more is asked."""
    scene, seed = _asked_any(tmp_path)
    before = len(seed.heard(RequestAnyReceived))
    assert seed.session.answer_any(7, PIECE)
    seed.send(7)
    assert 7 in scene.content.have
    assert len(seed.heard(RequestAnyReceived)) > before
    scene.end()


def test_wrong_bytes_that_a_seed_chose_are_complained_of(tmp_path: Path) -> None:
    """Like anybody's."""
    scene, seed = _asked_any(tmp_path)
    assert seed.session.answer_any(7, PIECE)
    seed.send(7, bytes(PIECE))
    assert scene.complaints == [(seed.link, 7, "wrong bytes")]
    scene.end()


@pytest.mark.parametrize("sent", [1, 999, PIECE], ids=["short", "shorter", "longer"])
def test_an_answer_of_another_length_than_was_signed_is_wrong_bytes(
    tmp_path: Path, sent: int
) -> None:
    """Only the content's length shows it; what was asked is asked of somebody else."""
    scene = ExchangeLab(TaskLab(tmp_path))  # the last of the three pieces has 1000 bytes less
    seed = Neighbour(scene, seed=True)
    seed.show(0, 1, 2)
    assert seed.session.answer_any(2, sent)
    seed.session.send_data(2, 0, bytes(sent))
    seed.say()
    assert scene.complaints == [(seed.link, 2, "wrong bytes")]
    assert seed.closed_with == ErrorCode.WRONG_BYTES
    peer = Neighbour(scene)
    peer.show(2)
    assert peer.asked == [2]
    scene.end()


def test_what_a_seed_chooses_though_it_is_here_is_taken_back(tmp_path: Path) -> None:
    """It had not heard yet."""
    scene, seed = _asked_any(tmp_path)
    scene.have(7)
    assert seed.session.answer_any(7, PIECE)
    seed.session.send_data(7, 0, scene.lab.piece(7)[:1000])
    seed.say()
    scene.wait(0.1)
    assert [event.piece for event in seed.heard(CancelReceived)] == [7]
    scene.end()


def test_slices_for_a_content_that_failed_are_dropped(scene: ExchangeLab) -> None:
    """The disk takes no more."""
    neighbour = Neighbour(scene)
    neighbour.show(0)
    scene.content.fail(StoreError("no"))
    neighbour.send(0)
    assert not scene.content.have
    assert scene.lab.on_disk(scene.file, 0) == bytes(PIECE)
    assert scene.complaints == []


def test_parts_are_asked_of_a_seed_by_name(tmp_path: Path) -> None:
    """Its standing questions are taken back; who has nothing of use is not useful."""
    scene, seed = _asked_any(tmp_path)
    standing = len(seed.heard(RequestAnyReceived))
    scene.content.wanted = 0b100
    scene.exchange.look_for(0b100)
    scene.run()
    taken_back = [each.piece for each in seed.heard(CancelReceived)]
    assert taken_back == [ANY_PIECE] * standing
    assert seed.asked == [2]
    other = Neighbour(scene)
    other.show(0)
    seed.pair.abort()
    scene.run()
    assert not scene.exchange.useful()
    assert other.asked == []
    other.show(2)
    assert scene.exchange.useful()
    assert other.asked == [2]
    scene.end()
