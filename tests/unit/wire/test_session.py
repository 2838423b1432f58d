"""Open sessions face to face: what is said, what is heard, and the ways to go wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from dragonfly.errors import (
    BadMessage,
    ErrorCode,
    LocalProtocolError,
    PeerTimedOut,
    RemoteProtocolError,
    UnexpectedMessage,
)
from dragonfly.wire import events as ev
from dragonfly.wire.constants import (
    ANY_PIECE,
    HANDSHAKE_LIMIT_S,
    MAX_RIDING_HAVES,
    PING_AFTER_S,
    PONG_LIMIT_S,
    RUN_MIN_BYTES,
    SLICE_BYTES,
    Kind,
)
from dragonfly.wire.fake import SessionPair, chunks_of, merge_slices
from dragonfly.wire.session import PeerSession
from dragonfly.wire.table import State
from tests.doubles.wire import data_frame, frame, last_bye, said

PIECE = 1024 * 1024


@pytest.fixture
def pair() -> SessionPair:
    """Give an open pair with pieces of 1 MiB."""
    return SessionPair.opened(piece_size=PIECE)


def violated(session: PeerSession, stream: bytes) -> RemoteProtocolError:
    """Feed a violation; the code must have been said, and the session be closed."""
    with pytest.raises(RemoteProtocolError) as caught:
        session.receive(stream, 0.0)
    assert last_bye(session)[0] == caught.value.code
    assert session.state is State.CLOSED
    assert session.next_deadline() is None
    return caught.value


# -- pieces ----------------------------------------------------------------------------


def test_a_piece_from_request_to_last_slice(pair: SessionPair) -> None:
    """The way of a piece: four slices, in order, the last one marked."""
    one, two = pair.dialler, pair.listener
    one.request(3, 0, PIECE)
    assert pair.pump()[1] == [ev.RequestReceived(3, 0, PIECE)]
    content = [bytes([n]) * SLICE_BYTES for n in range(4)]
    for at, part in enumerate(content):
        assert two.send_data(3, at * SLICE_BYTES, part)
    events, _ = pair.pump()
    slices = [event for event in events if isinstance(event, ev.SliceReceived)]
    assert [(s.begin, s.wanted, s.any, s.last) for s in slices] == [
        (0, True, False, False),
        (SLICE_BYTES, True, False, False),
        (2 * SLICE_BYTES, True, False, False),
        (3 * SLICE_BYTES, True, False, True),
    ]
    assert b"".join(s.data for s in slices) == b"".join(content)
    assert (one.questions_asked, two.questions_owed) == (0, 0)


def test_slices_come_as_they_arrive(pair: SessionPair) -> None:
    """A slice that comes in small reads is many events with running offsets."""
    pair.dialler.request(0, 100, 1000)
    pair.pump()
    pair.listener.send_data(0, 100, bytes(1000))
    events, _ = pair.pump(chunks_of(300))
    begins = [event.begin for event in events if isinstance(event, ev.SliceReceived)]
    assert begins == sorted(begins)
    assert len(begins) == 4
    assert merge_slices(events) == [ev.SliceReceived(0, 100, memoryview(bytes(1000)), last=True)]


def test_header_and_slice_are_chunks_of_their_own(pair: SessionPair) -> None:
    """The slice goes to ``writeSequence`` as the very object that was read from the disk."""
    pair.dialler.request(0, 0, 1000)
    pair.pump()
    payload = bytes(1000)
    pair.listener.send_data(0, 0, payload)
    head, body = pair.listener.take_output()
    assert len(head) == 15
    assert body is payload
    assert pair.listener.take_output() == []


def test_a_seed_chooses(pair: SessionPair) -> None:
    """REQUEST_ANY is answered with a piece that the requester did not name."""
    one, two = pair.dialler, pair.listener
    one.request_any([1, 2])
    assert pair.pump()[1] == [ev.RequestAnyReceived((1, 2))]
    assert two.answer_any(9, 500)
    assert two.send_data(9, 0, bytes(500))
    assert not two.answer_any(10, 500)
    (event,) = pair.pump()[0]
    assert event == ev.SliceReceived(9, 0, memoryview(bytes(500)), any=True, last=True)


def test_only_the_first_32_in_flight_are_named(pair: SessionPair) -> None:
    """The owner need not count."""
    pair.dialler.request_any(range(40))
    assert pair.pump()[1] == [ev.RequestAnyReceived(tuple(range(32)))]


def test_bytes_nobody_asked_for(pair: SessionPair) -> None:
    """They end the connection before one of them is passed on."""
    error = violated(pair.dialler, data_frame(0, 0, bytes(100)))
    assert isinstance(error, UnexpectedMessage)
    assert error.events == ()


def test_answers_that_nobody_waits_for_are_not_sent(pair: SessionPair) -> None:
    """An upload that is late must not cost the connection."""
    assert not pair.listener.send_data(0, 0, b"x")
    assert not pair.listener.reject(0, 0, ErrorCode.BUSY)
    assert not pair.listener.answer_any(0, 10)
    assert pair.listener.take_output() == []


@pytest.mark.parametrize("size", [0, SLICE_BYTES + 1])
def test_slices_have_a_size(pair: SessionPair, size: int) -> None:
    """More than 256 KiB at once would be refused by the other side."""
    pair.dialler.request(0, 0, PIECE)
    pair.pump()
    with pytest.raises(LocalProtocolError, match=f"slice of {size}"):
        pair.listener.send_data(0, 0, bytes(size))


# -- ends of questions -----------------------------------------------------------------


def test_rejection(pair: SessionPair) -> None:
    """The owner hears it in the words it asked with."""
    pair.dialler.request(4, 10, 20)
    pair.dialler.request_any([])
    pair.pump()
    pair.listener.reject(4, 10, ErrorCode.BUSY)
    pair.listener.reject(ANY_PIECE, 0, ErrorCode.NOT_ALLOWED)
    assert pair.pump()[0] == [
        ev.RejectReceived(4, 10, ErrorCode.BUSY),
        ev.RejectReceived(ANY_PIECE, 0, ErrorCode.NOT_ALLOWED),
    ]


def test_rejection_of_an_answer_that_has_begun(pair: SessionPair) -> None:
    """The disk failed in the middle: the owner hears which piece ends there."""
    pair.dialler.request_any([])
    pair.pump()
    pair.listener.answer_any(6, 1000)
    pair.listener.send_data(6, 0, bytes(10))
    pair.listener.reject(6, 0, ErrorCode.GONE)
    assert pair.pump()[0][-1] == ev.RejectReceived(6, 0, ErrorCode.GONE)
    assert pair.dialler.questions_asked == 0


def test_rejection_of_nothing(pair: SessionPair) -> None:
    """Every question ends once; a second end is a violation."""
    assert isinstance(violated(pair.dialler, frame(Kind.REJECT, bytes(9))), UnexpectedMessage)


def test_cancellation(pair: SessionPair) -> None:
    """It is answered without the owner's help, and then nothing of it follows."""
    one, two = pair.dialler, pair.listener
    one.request(4, 0, 1000)
    pair.pump()
    two.send_data(4, 0, bytes(400))
    assert one.cancel(4, 0)
    on_dialler, on_listener = pair.pump()
    assert on_listener == [ev.CancelReceived(4, 0)]
    assert on_dialler == [ev.SliceReceived(4, 0, memoryview(bytes(400)), wanted=False)]
    assert not two.send_data(4, 400, bytes(600))
    assert (one.questions_asked, two.questions_owed) == (0, 0)
    assert not one.cancel(4, 0)


def test_cancellation_that_crosses_the_answer(pair: SessionPair) -> None:
    """The late answer is marked as unwanted, the late CANCEL is ignored."""
    one, two = pair.dialler, pair.listener
    one.request(4, 0, 1000)
    pair.pump()
    two.send_data(4, 0, bytes(1000))
    one.cancel(4, 0)
    on_dialler, on_listener = pair.pump()
    assert on_dialler == [ev.SliceReceived(4, 0, memoryview(bytes(1000)), wanted=False, last=True)]
    assert on_listener == []
    assert one.questions_asked == 0


def test_cancellation_between_two_reads_of_one_slice(pair: SessionPair) -> None:
    """The rest of the frame is unwanted from that moment on."""
    one, two = pair.dialler, pair.listener
    one.request(4, 0, 1000)
    pair.pump()
    two.send_data(4, 0, bytes(1000))
    stream = b"".join(two.take_output())
    (first,) = one.receive(stream[:500], 0.0)
    one.cancel(4, 0)
    (second,) = one.receive(stream[500:], 0.0)
    assert (first.wanted, second.wanted) == (True, False)  # type: ignore[union-attr]


def test_asking_again_after_a_cancellation(pair: SessionPair) -> None:
    """The new question is told apart from the old one."""
    one, two = pair.dialler, pair.listener
    one.request(4, 0, 1000)
    pair.pump()
    one.cancel(4, 0)
    one.request(4, 0, 1000)
    assert pair.pump()[1] == [ev.CancelReceived(4, 0), ev.RequestReceived(4, 0, 1000)]
    two.send_data(4, 0, bytes(1000))
    assert pair.pump()[0] == [ev.SliceReceived(4, 0, memoryview(bytes(1000)), last=True)]


def test_cancelling_a_standing_question(pair: SessionPair) -> None:
    """A REQUEST_ANY that has no piece yet is taken back by no piece's number."""
    pair.dialler.request_any([])
    pair.pump()
    assert pair.dialler.cancel(ANY_PIECE, 0)
    assert pair.pump() == ([], [ev.CancelReceived(ANY_PIECE, 0)])
    assert not pair.listener.answer_any(3, 10)


def test_asking_for_what_is_on_its_way(pair: SessionPair) -> None:
    """The seed chose the piece that the requester is just asking for: BUSY, and it comes."""
    one, two = pair.dialler, pair.listener
    one.request_any([])
    pair.pump()
    two.answer_any(3, 1000)
    one.request(3, 0, 1000)
    assert pair.pump() == ([ev.RejectReceived(3, 0, ErrorCode.BUSY)], [])
    two.send_data(3, 0, bytes(1000))
    assert len(pair.pump()[0]) == 1


def test_a_request_beyond_the_piece(pair: SessionPair) -> None:
    """No owner ever sees a range that is not inside a piece."""
    stream = frame(Kind.REQUEST, struct.pack(">IIIB", 0, 1, PIECE, 0))
    assert isinstance(violated(pair.listener, stream), BadMessage)


def test_the_65th_request(pair: SessionPair) -> None:
    """A neighbour that asks without end is not kept."""
    stream = b"".join(
        frame(Kind.REQUEST, struct.pack(">IIIB", piece, 0, 10, 0)) for piece in range(65)
    )
    error = violated(pair.listener, stream)
    assert isinstance(error, UnexpectedMessage)
    assert len(error.events) == 64


# -- news --------------------------------------------------------------------------------


def test_haves_ride(pair: SessionPair) -> None:
    """News travels on what is sent anyway, and is told before it."""
    one, two = pair.dialler, pair.listener
    one.queue_have([1, 2])
    assert one.pending_haves == 2
    assert one.take_output() == []
    one.request(0, 0, 10)
    one.queue_have([3])
    one.request_any([])
    assert pair.pump()[1] == [
        ev.HaveReceived((1, 2)),
        ev.RequestReceived(0, 0, 10),
        ev.HaveReceived((3,)),
        ev.RequestAnyReceived(()),
    ]
    two.queue_have([4])
    two.send_data(0, 0, bytes(10))
    assert pair.pump()[0][0] == ev.HaveReceived((4,))
    assert (one.pending_haves, two.pending_haves) == (0, 0)


def test_more_haves_than_can_ride(pair: SessionPair) -> None:
    """The rest waits for the next message, or for a flush in frames of 1024."""
    one = pair.dialler
    one.queue_have(range(3000))
    one.request(0, 0, 10)
    assert one.pending_haves == 3000 - MAX_RIDING_HAVES
    one.flush_have()
    assert one.pending_haves == 0
    events = pair.pump()[1]
    shown = [len(event.pieces) for event in events if isinstance(event, ev.HaveReceived)]
    assert shown == [255, 1024, 1024, 697]
    one.flush_have()
    assert one.take_output() == []


def test_a_bitfield_replaces_queued_haves(pair: SessionPair) -> None:
    """It shows them already."""
    pair.dialler.queue_have([0])
    pair.dialler.send_bitfield(3, b"\x80")
    assert pair.dialler.pending_haves == 0
    assert pair.pump()[1] == [ev.BitfieldReceived(3, b"\x80")]


def test_digests(pair: SessionPair) -> None:
    """Runs pass through unread."""
    pair.dialler.send_get_digests(256)
    assert pair.pump()[1] == [ev.GetDigestsReceived(256)]
    pair.listener.send_digests(b"r" * RUN_MIN_BYTES)
    assert pair.pump()[0] == [ev.DigestsReceived(b"r" * RUN_MIN_BYTES)]


def test_a_flood_of_pings(pair: SessionPair) -> None:
    """Each makes us queue a frame that the other side may never read."""
    stream = frame(Kind.PING, bytes(8)) * 9
    assert isinstance(violated(pair.listener, stream), UnexpectedMessage)


# -- time ----------------------------------------------------------------------------------


def test_a_handshake_that_does_not_come() -> None:
    """Strangers hold a connection for ten seconds, whatever they dribble."""
    pair = SessionPair.make(now=50.0)
    pair.to_listener(b"\0")
    assert pair.listener.next_deadline() == 50.0 + HANDSHAKE_LIMIT_S
    assert pair.listener.tick(59.9) == []
    with pytest.raises(PeerTimedOut, match="no handshake"):
        pair.listener.tick(60.0)
    assert last_bye(pair.listener)[0] == ErrorCode.TIMED_OUT
    assert pair.listener.tick(61.0) == []


def test_idle_neighbours_are_pinged(pair: SessionPair) -> None:
    """And a live one answers, which tells the round trip."""
    pair.now = PING_AFTER_S
    assert pair.dialler.next_deadline() == PING_AFTER_S
    assert pair.dialler.tick(PING_AFTER_S) == []
    frames = pair.dialler.take_output()
    pair.now += 0.2
    pair.to_listener(b"".join(frames))
    pair.now += 0.2
    (pong,) = pair.pump()[0]
    assert isinstance(pong, ev.PongReceived)
    assert pong.rtt == pytest.approx(0.4)


def test_dead_neighbours_are_left(pair: SessionPair) -> None:
    """No byte after the PING: the connection is dead, whatever TCP says."""
    pair.dialler.tick(PING_AFTER_S)
    assert pair.dialler.next_deadline() == PING_AFTER_S + PONG_LIMIT_S
    with pytest.raises(PeerTimedOut, match="not even a PONG"):
        pair.dialler.tick(PING_AFTER_S + PONG_LIMIT_S)
    assert [kind for kind, _ in said(pair.dialler)] == [Kind.PING, Kind.BYE]


def test_one_ping_at_a_time(pair: SessionPair) -> None:
    """The owner may ask for the round trip whenever it likes."""
    assert pair.dialler.ping(1.0)
    assert not pair.dialler.ping(2.0)


# -- the end -------------------------------------------------------------------------------


def test_goodbye(pair: SessionPair) -> None:
    """Code and text arrive, and nobody speaks any more."""
    pair.dialler.bye(ErrorCode.SHUTTING_DOWN, "good night")
    assert pair.dialler.closed
    assert pair.pump() == ([], [ev.Closed(15, "good night")])
    assert pair.listener.closed
    assert pair.listener.take_output() == []
    with pytest.raises(LocalProtocolError, match="closed"):
        pair.listener.bye()


def test_nothing_is_heard_after_goodbye(pair: SessionPair) -> None:
    """What follows a BYE, in the same read or in a later one, is ignored."""
    stream = frame(Kind.BYE, b"\0\0") + frame(Kind.HAVE, bytes(4))
    assert pair.listener.receive(stream, 0.0) == [ev.Closed(0, "")]
    assert pair.listener.receive(b"anything", 0.0) == []


def test_events_before_a_violation_count(pair: SessionPair) -> None:
    """They were good; the error carries them."""
    error = violated(pair.listener, frame(Kind.HAVE, bytes(4)) + frame(Kind.AUTH, bytes(64)))
    assert error.events == (ev.HaveReceived((0,)),)
    assert "AUTH in state OPEN" in str(error)


def test_output_before_a_violation_is_still_sent(pair: SessionPair) -> None:
    """BYE follows what was queued, on a frame's boundary."""
    pair.listener.queue_have([1])
    pair.listener.flush_have()
    with pytest.raises(RemoteProtocolError):
        pair.listener.receive(frame(99), 0.0)
    assert [kind for kind, _ in said(pair.listener)] == [Kind.HAVE, Kind.BYE]


def test_nothing_is_said_before_the_session_is_open() -> None:
    """Every method that sends refuses, so a mistake does not reach the wire."""
    session = SessionPair.make().dialler
    session.take_output()
    calls: list[Callable[[], object]] = [
        lambda: session.request(0, 0, 1),
        lambda: session.request_any([]),
        lambda: session.cancel(0, 0),
        lambda: session.answer_any(0, 1),
        lambda: session.send_data(0, 0, b"x"),
        lambda: session.reject(0, 0, ErrorCode.BUSY),
        lambda: session.send_digests(bytes(138)),
        lambda: session.send_get_digests(0),
        lambda: session.send_bitfield(0, b""),
        session.flush_have,
        lambda: session.ping(0.0),
    ]
    for call in calls:
        with pytest.raises(LocalProtocolError, match="HELLO_SENT"):
            call()
    assert session.take_output() == []
    session.bye(ErrorCode.SHUTTING_DOWN)
    assert last_bye(session)[0] == ErrorCode.SHUTTING_DOWN
