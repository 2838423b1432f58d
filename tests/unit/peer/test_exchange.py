"""What is said on the links of one task, with the real picker, uploader and sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dragonfly.errors import ErrorCode, StoreError
from dragonfly.net.throttle import AHEAD_BYTES
from dragonfly.peer.exchange import HAVE_MOST_S
from dragonfly.peer.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.layout import MAX_PIECES
from dragonfly.wire.constants import ANY_PIECE, MAX_REQUESTS
from dragonfly.wire.messages import (
    BitfieldReceived,
    CancelReceived,
    DigestsReceived,
    Event,
    GetDigestsReceived,
    HaveReceived,
    RejectReceived,
    RequestAnyReceived,
    RequestReceived,
    SliceReceived,
)
from tests.doubles.exchanging import ExchangeLab, Neighbour
from tests.doubles.tasklab import PIECE, TaskLab


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[ExchangeLab]:
    """Three pieces, all digests known, nothing here."""
    scene = ExchangeLab(TaskLab(tmp_path))
    yield scene
    scene.end()


def ten(tmp_path: Path, **options: Any) -> ExchangeLab:
    """The same with ten pieces."""
    return ExchangeLab(TaskLab(tmp_path, size=10 * PIECE), **options)


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
    scene = ten(tmp_path)
    neighbours = [Neighbour(scene) for _ in range(3)]
    for neighbour in neighbours:
        neighbour.pair.left.on_event = _serve(neighbour)
        neighbour.show(*range(10))
    scene.run()
    assert scene.content.complete
    assert sorted(piece for each in neighbours for piece in each.asked) == list(range(10))
    assert scene.fed_bytes == len(scene.lab.body)
    assert scene.file.read(0, len(scene.lab.body)) == scene.lab.body
    scene.end()


def _serve(neighbour: Neighbour) -> Callable[[PeerProtocol, Event], None]:
    """Answer requests at once."""

    def answer(peer: PeerProtocol, event: Event) -> None:
        if isinstance(event, RequestReceived):
            peer.session.send_data(event.piece, 0, neighbour.scene.lab.piece(event.piece))
            peer.flush()

    return answer


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


def test_a_short_last_piece_is_asked_for_in_its_length(scene: ExchangeLab) -> None:
    """It cannot be longer than the content."""
    neighbour = Neighbour(scene)
    neighbour.show(2)
    assert neighbour.heard(RequestReceived) == [RequestReceived(2, 0, PIECE - 1000)]


def test_haves_wait_for_something_to_ride_on_but_not_long(scene: ExchangeLab) -> None:
    """A pair that says nothing else hears of pieces within the interval, and of the first one
    at once: at the beginning nothing is said that it could ride on."""
    idle, busy = Neighbour(scene), Neighbour(scene)
    scene.have(2)
    assert idle.heard(HaveReceived) == busy.heard(HaveReceived) == [HaveReceived((2,))]
    scene.have(0)
    busy.show(1)  # the request that follows takes the HAVE along
    assert busy.heard(HaveReceived) == [HaveReceived((2,)), HaveReceived((0,))]
    assert idle.heard(HaveReceived) == [HaveReceived((2,))]
    scene.wait(HAVE_MOST_S + 0.05)
    assert idle.heard(HaveReceived) == [HaveReceived((2,)), HaveReceived((0,))]
    assert busy.heard(HaveReceived) == [HaveReceived((2,)), HaveReceived((0,))]


def test_who_has_a_piece_is_not_told_of_it_unless_a_seed(scene: ExchangeLab) -> None:
    """The seed counts copies."""
    peer, seed = Neighbour(scene), Neighbour(scene, seed=True)
    peer.show(0)
    seed.show(0)
    scene.have(0)
    scene.wait(2 * HAVE_MOST_S)
    assert peer.heard(HaveReceived) == []
    assert seed.heard(HaveReceived) == [HaveReceived((0,))]


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


def test_pieces_of_one_turn_are_told_together(scene: ExchangeLab) -> None:
    """In one message, which is what the turn is for."""
    neighbour = Neighbour(scene)
    for piece in (0, 2):
        scene.content.intake.add("elsewhere", piece, 0, scene.lab.piece(piece))
    scene.clock.advance(0)
    neighbour.pair.pump()
    assert neighbour.heard(HaveReceived) == [HaveReceived((0, 2))]


def test_a_piece_that_came_from_elsewhere_is_not_asked_for(scene: ExchangeLab) -> None:
    """The turn hears the news before it asks."""
    neighbour = Neighbour(scene)
    neighbour.session.queue_have([0, 1])
    neighbour.session.flush_have()
    neighbour.say(run=False)
    scene.content.intake.add("elsewhere", 0, 0, scene.lab.piece(0))
    scene.run()
    assert neighbour.asked == [1]


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


def test_a_stopped_exchange_hears_no_news(tmp_path: Path) -> None:
    """What is being received then is still taken; nobody has to be told."""
    scene = ExchangeLab(TaskLab(tmp_path))
    scene.exchange.stop()
    scene.content.intake.add("elsewhere", 0, 0, scene.lab.piece(0))
    assert scene.clock.getDelayedCalls() == []
    scene.end()


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


# -- the seed ------------------------------------------


def _asked_any(tmp_path: Path, **options: Any) -> tuple[ExchangeLab, Neighbour]:
    """A scene with a seed that was asked for any piece."""
    scene = ten(tmp_path, **options)
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


# -- uploading ------------------------------------------


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


# -- back-pressure ------------------------------------------


def test_a_disk_that_is_behind_pauses_all_links_until_it_has_caught_up(tmp_path: Path) -> None:
    """Also one that opens meanwhile; asking goes on by itself afterwards."""
    scene = ten(tmp_path)
    scene.lab.disk._key_high = 2 * PIECE
    neighbour, other = Neighbour(scene), Neighbour(scene)
    neighbour.pair.left.on_event = _serve(neighbour)
    neighbour.session.queue_have(range(10))
    neighbour.session.flush_have()
    neighbour.say(run=False)
    for _ in range(5):
        scene.clock.advance(0)
        neighbour.pair.pump()
    assert neighbour.link.peer.paused
    assert other.link.peer.paused
    late = Neighbour(scene)
    assert late.link.peer.paused
    assert scene.lab.disk.queued_bytes < 10 * PIECE
    scene.run()
    assert not any(each.link.peer.paused for each in scene.neighbours)
    assert scene.content.complete
    scene.end()


def test_a_rate_limit_lets_one_link_after_another(scene: ExchangeLab) -> None:
    """Those that were asked; who owes nothing is not paused."""
    scene.limit.set(1000)
    first, second, other = (Neighbour(scene) for _ in range(3))
    first.show(0)
    second.show(1)
    scene.wait(0.1)
    assert [each.link.peer.paused for each in (first, second, other)] == [False, True, False]
    scene.wait(5.0)
    assert not second.link.peer.paused


def test_what_was_paid_ahead_comes_back(scene: ExchangeLab) -> None:
    """When a link owes nothing more: then only what came counts."""
    scene.limit.set(AHEAD_BYTES)
    neighbour = Neighbour(scene)
    neighbour.show(0)
    scene.wait(0)
    neighbour.send(0)
    scene.run()
    granted: list[int] = []
    assert scene.limit.claim(scene, 1, lambda: granted.append(1)) is not None
    scene.wait(PIECE / AHEAD_BYTES - 0.05)
    assert granted == []
    scene.wait(0.1)
    assert granted == [1]


def test_slices_for_a_content_that_failed_are_dropped(scene: ExchangeLab) -> None:
    """The disk takes no more."""
    neighbour = Neighbour(scene)
    neighbour.show(0)
    scene.content.fail(StoreError("no"))
    neighbour.send(0)
    assert not scene.content.have
    assert scene.lab.on_disk(scene.file, 0) == bytes(PIECE)
    assert scene.complaints == []


def test_a_stopped_exchange_asks_nobody(scene: ExchangeLab) -> None:
    """And leaves no timer behind, whatever happens afterwards."""
    neighbour = Neighbour(scene)
    scene.exchange.stop()
    neighbour.show(0, 1)
    scene.have(2)
    scene.wait(1.0)
    assert neighbour.asked == []
    assert neighbour.heard(HaveReceived) == []


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
