"""What is said on the links of one task, with the real picker, uploader and sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonfly.errors import ErrorCode
from dragonfly.signatures import SigningKey
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.layout import MAX_PIECES
from dragonfly.wire.events import (
    BitfieldReceived,
    GetDigestsReceived,
    HaveReceived,
    RequestReceived,
    SliceReceived,
)
from tests.doubles.exchanging import ExchangeLab, Neighbour
from tests.doubles.tasklab import PIECE, TaskLab

# -- introductions ------------------------------------------


def test_an_empty_handed_peer_says_nothing_at_first(scene: ExchangeLab) -> None:
    """There is nothing to show, and nothing to ask for."""
    neighbour = Neighbour(scene)
    scene.run()
    assert neighbour.pair.left.events == []
    assert scene.changes == 1


def test_a_new_neighbour_is_shown_what_is_here(scene: ExchangeLab) -> None:
    """As one bitfield."""
    scene.have(0, 2)
    neighbour = Neighbour(scene)
    scene.run()
    assert neighbour.heard(BitfieldReceived) == [BitfieldReceived(3, Bitfield(0b101).to_bytes(3))]


@pytest.mark.parametrize(
    ("count", "bits"),
    [(3, b"\xf0"), (16, b"\xff\xff"), (9, b"\x00\x80")],
    ids=["spare", "many", "beyond"],
)
def test_a_bitfield_of_something_else_ends_the_link(
    scene: ExchangeLab, count: int, bits: bytes
) -> None:
    """Spare bits, or pieces that the content does not have."""
    neighbour = Neighbour(scene)
    neighbour.session.send_bitfield(count, bits)
    neighbour.say()
    assert neighbour.closed_with == ErrorCode.BAD_MESSAGE


def test_a_have_beyond_the_end_ends_the_link(scene: ExchangeLab) -> None:
    """Its manifest cannot be ours."""
    neighbour = Neighbour(scene)
    neighbour.show(3)
    assert neighbour.closed_with == ErrorCode.BAD_MESSAGE


def test_pieces_are_bounded_while_the_length_is_unknown(tmp_path: Path) -> None:
    """By what a bitfield may have at all."""
    scene = ExchangeLab(TaskLab(tmp_path), runs=False, length_known=False)
    neighbour = Neighbour(scene)
    neighbour.show(MAX_PIECES - 1)
    assert neighbour.closed_with is None
    scene.end()


# -- downloading ------------------------------------------


def test_a_content_comes_from_several_neighbours(tmp_path: Path) -> None:
    """All pieces, each asked for once, and everybody is told of them."""
    scene = ExchangeLab.ten(tmp_path)
    neighbours = [Neighbour(scene) for _ in range(3)]
    for neighbour in neighbours:
        neighbour.answer_at_once()
        neighbour.show(*range(10))
    scene.run()
    assert scene.content.complete
    assert sorted(piece for each in neighbours for piece in each.asked) == list(range(10))
    assert scene.fed_bytes == len(scene.lab.body)
    assert scene.file.read(0, len(scene.lab.body)) == scene.lab.body
    scene.end()


def test_what_is_shown_before_it_can_be_verified_is_asked_for_later(tmp_path: Path) -> None:
    """The digests come from elsewhere here."""
    scene = ExchangeLab(TaskLab(tmp_path), runs=False)
    neighbour = Neighbour(scene)
    neighbour.show(0)
    assert neighbour.asked == []
    scene.content.add_run(scene.lab.run())
    scene.run()
    assert neighbour.asked == [0]
    scene.end()


def test_news_of_a_piece_waits_for_the_end_of_the_turn(scene: ExchangeLab) -> None:
    """It may be told of inside of its last slice; the disk does not have to have it."""
    neighbour = Neighbour(scene)
    scene.content.intake.add("elsewhere", 0, 0, scene.lab.piece(0))
    neighbour.pair.pump()
    assert neighbour.heard(HaveReceived) == []
    scene.clock.advance(0)
    neighbour.pair.pump()
    assert neighbour.heard(HaveReceived) == [HaveReceived((0,))]
    assert not scene.content.on_disk


def test_a_piece_that_came_from_elsewhere_is_not_asked_for(scene: ExchangeLab) -> None:
    """The turn hears the news before it asks."""
    neighbour = Neighbour(scene)
    neighbour.session.queue_have([0, 1])
    neighbour.session.flush_have()
    neighbour.say(run=False)
    scene.content.intake.add("elsewhere", 0, 0, scene.lab.piece(0))
    scene.run()
    assert neighbour.asked == [1]


def test_a_stopped_exchange_hears_no_news(tmp_path: Path) -> None:
    """What is being received then is still taken; nobody has to be told."""
    scene = ExchangeLab(TaskLab(tmp_path))
    scene.exchange.stop()
    scene.content.intake.add("elsewhere", 0, 0, scene.lab.piece(0))
    assert scene.clock.getDelayedCalls() == []
    scene.end()


def test_useful_is_who_has_what_is_missing(scene: ExchangeLab) -> None:
    """A seed may get it at any time."""
    assert not scene.exchange.useful()
    neighbour = Neighbour(scene)
    assert not scene.exchange.useful()
    neighbour.show(1)
    assert scene.exchange.useful()
    scene.have(1)
    assert not scene.exchange.useful()
    Neighbour(scene, seed=True)
    assert scene.exchange.useful()


# -- digests ------------------------------------------


def test_digests_are_asked_of_who_must_have_them(tmp_path: Path) -> None:
    """A neighbour that shows a piece has verified it."""
    scene = ExchangeLab(TaskLab(tmp_path), runs=False)
    neighbour = Neighbour(scene)
    neighbour.show(1)
    assert neighbour.heard(GetDigestsReceived) == [GetDigestsReceived(0)]
    neighbour.session.send_digests(scene.lab.run())
    neighbour.say()
    assert neighbour.asked == [1]
    scene.end()


def test_digests_that_nobody_sends_are_asked_for_again(tmp_path: Path) -> None:
    """Of somebody else, when the owner says that time has passed."""
    scene = ExchangeLab(TaskLab(tmp_path), runs=False)
    mute, other = Neighbour(scene), Neighbour(scene)
    mute.show(1)
    other.show(1)
    scene.wait(2.0)
    scene.exchange.tick()
    scene.run()
    assert other.heard(GetDigestsReceived) == [GetDigestsReceived(0)]
    scene.end()


def test_a_forged_run_ends_the_link(scene: ExchangeLab) -> None:
    """Nobody who serves bytes can vouch for them."""
    neighbour = Neighbour(scene)
    neighbour.session.send_digests(scene.lab.run(key=SigningKey.generate()))
    neighbour.say()
    assert len(scene.complaints) == 1
    assert neighbour.pair.left.closed


def test_a_goodbye_behind_questions_leaves_them_unanswered(scene: ExchangeLab) -> None:
    """Both came in one read; the news before it count, and nothing breaks."""
    scene.have(1)
    neighbour = Neighbour(scene)
    neighbour.session.queue_have([0])
    neighbour.session.request(1, 0, PIECE)
    neighbour.session.request(2, 0, 10)
    neighbour.session.request_any([])
    neighbour.session.send_get_digests(0)
    neighbour.session.bye()
    neighbour.say()
    assert neighbour.link.mask == 1
    assert scene.uploader.active == 0
    assert neighbour.pair.right.peer.closed


def test_who_said_goodbye_at_once_is_shown_nothing(scene: ExchangeLab) -> None:
    """The handshake and the goodbye may come in one read."""
    scene.have(1)
    neighbour = Neighbour(scene)
    neighbour.link.peer.session.bye()
    scene.exchange.link_opened(neighbour.link)
    neighbour.link.peer.flush()
    neighbour.say()
    assert len(neighbour.heard(BitfieldReceived)) == 1  # that of the first time


# -- one turn ------------------------------------------


def test_our_own_questions_go_ahead_of_what_is_asked_of_us(scene: ExchangeLab) -> None:
    """Behind a slice they, and the HAVEs, would come late."""
    neighbour = Neighbour(scene)
    scene.content.intake.add("elsewhere", 1, 0, scene.lab.piece(1))
    neighbour.session.request(1, 0, PIECE)
    neighbour.session.queue_have([0])
    neighbour.session.flush_have()
    neighbour.say(run=False)
    scene.clock.advance(0)
    neighbour.pair.pump()
    said = [type(event) for event in neighbour.pair.left.events]
    assert said[-1] is SliceReceived
    assert {RequestReceived, HaveReceived} <= set(said[:-1])


def test_a_stopped_exchange_asks_nobody(scene: ExchangeLab) -> None:
    """And leaves no timer behind, whatever happens afterwards."""
    neighbour = Neighbour(scene)
    scene.exchange.stop()
    neighbour.show(0, 1)
    scene.have(2)
    scene.wait(1.0)
    assert neighbour.asked == []
    assert neighbour.heard(HaveReceived) == []
