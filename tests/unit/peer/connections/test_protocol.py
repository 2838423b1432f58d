"""One connection: bytes to a session and back, back-pressure both ways, and every end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from dragonfly.errors import ErrorCode, PeerTimedOut, RemoteProtocolError
from dragonfly.peer.connections.pauses import DEAF_S, PAUSE_LIMIT_S
from dragonfly.peer.connections.protocol import CLOSE_LIMIT_S, UNREAD_LIMIT_BYTES, PeerProtocol
from dragonfly.wire.constants import (
    HANDSHAKE_LIMIT_S,
    PING_AFTER_S,
    PONG_LIMIT_S,
    SLICE_BYTES,
    Kind,
)
from dragonfly.wire.events import (
    Event,
    HaveReceived,
    RequestReceived,
    SliceReceived,
)
from tests.doubles.peering import PeerPair
from tests.doubles.wire import frame, frames_of


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock on which nothing may be left."""
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


@pytest.fixture
def pair(clock: Clock) -> Iterator[PeerPair]:
    """An open connection, cut at the end."""
    pair = PeerPair.opened(clock)
    yield pair
    pair.abort()


# -- opening ------------------------------------------


def test_a_handshake_opens_both_sides_and_tells_the_address(pair: PeerPair) -> None:
    """Each side knows the other's HELLO, and may speak."""
    assert pair.left.peer.is_open
    assert pair.right.peer.is_open
    assert pair.left.peer.session.remote is not None
    assert pair.left.peer.address == "192.0.2.2"


def test_a_handshake_that_does_not_come_ends_the_connection(clock: Clock) -> None:
    """The session's deadline is kept on the clock; the goodbye tells why."""
    pair = PeerPair.made(clock)
    pair.right.pipe.connect(pair.right.peer)
    clock.advance(HANDSHAKE_LIMIT_S - 0.1)
    assert not pair.right.closed
    clock.advance(0.1)
    kind, payload = frames_of(bytes(pair.right.pipe.queued))[0]
    assert kind == Kind.BYE
    assert int.from_bytes(payload[:2], "big") == ErrorCode.TIMED_OUT
    clock.advance(CLOSE_LIMIT_S)
    assert isinstance(pair.right.reasons[0], PeerTimedOut)


def test_garbage_is_answered_with_a_goodbye_that_names_it(clock: Clock) -> None:
    """Another protocol on the port: BYE with BAD_MAGIC, then the end, and no traceback."""
    pair = PeerPair.made(clock)
    pair.right.pipe.connect(pair.right.peer)
    pair.right.peer.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    _, payload = frames_of(bytes(pair.right.pipe.queued))[0]
    assert int.from_bytes(payload[:2], "big") == ErrorCode.BAD_MAGIC
    pair.right.pipe.move()
    assert isinstance(pair.right.reasons[0], RemoteProtocolError)
    assert pair.right.opened == 0


# -- writing ------------------------------------------


def test_what_a_listener_says_inside_one_read_is_one_write(pair: PeerPair) -> None:
    """Answers to many messages of one read share a segment: flushes are corked meanwhile."""
    writes: list[int] = []
    write = pair.right.pipe.write

    def answer(peer: PeerProtocol, event: Event) -> None:
        assert isinstance(event, RequestReceived)
        peer.session.reject(event.piece, event.begin, ErrorCode.GONE)
        peer.flush()

    pair.right.on_event = answer
    pair.right.pipe.write = lambda data: (writes.append(len(data)), write(data))[1]  # type: ignore[method-assign]
    for piece in range(5):
        pair.left.peer.session.request(piece, 0, 100)
    pair.left.peer.flush()
    pair.pump()
    assert len(writes) == 1
    assert len(pair.left.events) == 5


def test_a_full_transport_is_not_writable_until_it_drained(pair: PeerPair) -> None:
    """The uploader is told to go on when, and only when, there is room again."""
    told: list[bool] = []
    pair.right.peer.on_writable = lambda: told.append(pair.right.peer.writable)
    pair.left.peer.session.request(0, 0, 32 * 1024)
    pair.left.peer.session.request(1, 0, 32 * 1024)
    pair.left.peer.session.request(2, 0, 32 * 1024)
    pair.left.peer.flush()
    pair.pump()
    for piece in range(3):
        pair.right.peer.session.send_data(piece, 0, b"x" * 32 * 1024)
        pair.right.peer.flush()
    assert not pair.right.peer.writable
    assert not told
    pair.pump()
    assert told == [True]
    assert pair.right.peer.unacked() == 0


def test_unacked_is_asked_of_the_transport(pair: PeerPair) -> None:
    """What waits in the pipe has not been acknowledged; a closed connection owes nothing."""
    pair.left.peer.session.request(0, 0, 100)
    pair.left.peer.flush()
    assert pair.left.peer.unacked() == pair.left.pipe.written - pair.left.pipe.delivered > 0
    pair.abort()
    assert pair.left.peer.unacked() == 0


def test_a_neighbour_that_asks_and_never_reads_is_dropped(pair: PeerPair) -> None:
    """Answers to small questions must not pile up in memory without an end."""
    peer, run = pair.right.peer, b"r" * 8192
    written = 0
    while not pair.right.closed and written < 3 * UNREAD_LIMIT_BYTES:
        peer.session.send_digests(run)
        peer.flush()
        written += len(run)
    assert isinstance(pair.right.reasons[0], PeerTimedOut)
    assert written <= UNREAD_LIMIT_BYTES + pair.right.pipe.high + 2 * len(run)


def test_one_that_reads_slowly_is_not_dropped(pair: PeerPair) -> None:
    """What counts is what was written since the transport last drained."""
    peer, run = pair.right.peer, b"r" * 8192
    for _ in range(8):
        for _ in range(UNREAD_LIMIT_BYTES // len(run) // 2):
            peer.session.send_digests(run)
            peer.flush()
        pair.pump()
    assert not pair.right.closed


# -- reading ------------------------------------------


def test_slices_are_passed_on_as_they_come(pair: PeerPair) -> None:
    """No frame is gathered: each read gives its part of a slice."""
    pair.left.peer.session.request(0, 0, 32 * 1024)
    pair.left.peer.flush()
    pair.pump()
    pair.right.peer.session.send_data(0, 0, bytes(32 * 1024))
    pair.right.peer.flush()
    pair.pump(1000)
    slices = [event for event in pair.left.events if isinstance(event, SliceReceived)]
    assert len(slices) > 30
    assert sum(len(event.data) for event in slices) == 32 * 1024
    assert [event.last for event in slices].count(True) == 1


def test_reading_goes_on_when_the_last_pause_is_taken_back(pair: PeerPair) -> None:
    """Two reasons to pause, two to resume; unknown ones and repetitions are no error."""
    peer = pair.left.peer
    peer.pause("disk")
    peer.pause("rate")
    peer.pause("rate")
    peer.resume("disk")
    peer.resume("nobody")
    assert peer.paused
    assert not pair.left.pipe.reading
    peer.resume("rate")
    assert not peer.paused
    assert pair.left.pipe.reading


def test_a_pause_for_a_time_ends_by_itself(pair: PeerPair, clock: Clock) -> None:
    """A second wish for the same pause does not shorten or prolong it."""
    peer = pair.left.peer
    peer.pause_for("rate", 2.0)
    peer.pause_for("rate", 1.0)
    clock.advance(1.5)
    assert peer.paused
    clock.advance(0.5)
    assert not peer.paused


def test_a_timed_pause_that_was_taken_back_leaves_no_timer(pair: PeerPair, clock: Clock) -> None:
    """The old timer must not end a later pause of the same name."""
    peer = pair.left.peer
    peer.pause_for("rate", 1.0)
    peer.resume("rate")
    clock.advance(0.5)
    peer.pause_for("rate", 1.0)
    clock.advance(0.6)
    assert peer.paused
    clock.advance(0.4)
    assert not peer.paused


def test_a_very_long_timed_pause_is_cut_short_of_the_limit(pair: PeerPair, clock: Clock) -> None:
    """A low rate limit must not make the watchdog end the connection."""
    pair.left.peer.pause_for("rate", 10 * PAUSE_LIMIT_S)
    clock.advance(PAUSE_LIMIT_S / 2)
    assert not pair.left.peer.paused
    assert not pair.left.closed


def test_a_pause_without_end_ends_the_connection(pair: PeerPair, clock: Clock) -> None:
    """A paused socket does not show that the other side is gone."""
    pair.left.peer.pause("disk")
    clock.advance(PAUSE_LIMIT_S)
    assert isinstance(pair.left.reasons[0], PeerTimedOut)


def test_data_that_comes_after_a_pause_is_not_lost(clock: Clock) -> None:
    """Read buffers and TLS spill; the session takes what comes."""
    pair = PeerPair.opened(clock, spill=100_000)
    pair.left.peer.pause("disk")
    pair.right.peer.session.queue_have([1, 2])
    pair.right.peer.session.flush_have()
    pair.right.peer.flush()
    pair.pump()
    assert pair.left.events == [HaveReceived((1, 2))]
    pair.abort()


# -- liveness ------------------------------------------


def test_an_idle_connection_is_kept_alive_by_pings(pair: PeerPair, clock: Clock) -> None:
    """Ten minutes of silence of both owners end nothing."""
    for _ in range(60):
        clock.advance(10.0)
        pair.pump()
    assert not pair.left.closed
    assert not pair.right.closed


def test_a_ping_follows_the_last_byte(clock: Clock) -> None:
    """Thirty seconds after it, also when it was the PONG of the one before."""
    pair = PeerPair.opened(clock, right_clock=Clock())
    pinged = []
    for second in range(95):
        if pair.left.peer.session._pulse._pinged is not None:
            pinged.append(second)
        pair.pump()
        clock.advance(1.0)
    assert pinged == [30, 60, 90]
    pair.left.peer.abort()


def test_a_dead_neighbour_is_noticed(pair: PeerPair, clock: Clock) -> None:
    """No byte and no PONG: the connection ends, and the reason says so."""
    clock.pump([1.0] * int(PING_AFTER_S + PONG_LIMIT_S + CLOSE_LIMIT_S + 1))
    assert isinstance(pair.left.reasons[0], PeerTimedOut)


def test_silence_does_not_count_while_we_do_not_listen(clock: Clock) -> None:
    """Its PONG may lie unread in the socket: after a pause it gets time to be heard."""
    pair = PeerPair.opened(clock, right_clock=Clock())
    clock.pump([1.0] * int(PING_AFTER_S + PONG_LIMIT_S - 1))
    pair.left.peer.pause("disk")
    clock.pump([1.0] * 30)
    assert not pair.left.closed
    pair.left.peer.resume("disk")
    clock.pump([DEAF_S / 4] * 3)
    assert not pair.left.closed
    pair.pump()
    clock.pump([1.0] * 5)
    assert not pair.left.closed
    pair.abort()


def test_silence_counts_again_after_a_pause(clock: Clock) -> None:
    """Nothing came of the chance to be heard: the neighbour is gone."""
    pair = PeerPair.opened(clock, right_clock=Clock())
    clock.pump([1.0] * int(PING_AFTER_S + PONG_LIMIT_S - 1))
    pair.left.peer.pause("disk")
    clock.pump([1.0] * 5)
    pair.left.peer.resume("disk")
    clock.pump([1.0] * int(2 * DEAF_S + CLOSE_LIMIT_S + 1))
    assert isinstance(pair.left.reasons[0], PeerTimedOut)


# -- the end ------------------------------------------


def test_a_goodbye_ends_both_sides_cleanly(pair: PeerPair) -> None:
    """NO_ERROR is no reason for anybody."""
    pair.left.peer.close()
    pair.pump()
    assert pair.left.reasons == [None]
    assert pair.right.reasons == [None]


def test_the_reason_of_a_goodbye_reaches_the_other_side(pair: PeerPair) -> None:
    """Its listener learns code and text."""
    pair.left.peer.close(ErrorCode.WRONG_BYTES, "piece 7")
    pair.pump()
    (reason,) = pair.right.reasons
    assert isinstance(reason, RemoteProtocolError)
    assert reason.code == ErrorCode.WRONG_BYTES
    assert "piece 7" in str(reason)


def test_an_unknown_code_counts_as_internal(pair: PeerPair) -> None:
    """A later version may have more codes."""
    pair.right.peer.dataReceived(frame(Kind.BYE, b"\x27\x0fnew"))
    pair.pump()
    (reason,) = pair.right.reasons
    assert isinstance(reason, RemoteProtocolError)
    assert reason.code == ErrorCode.INTERNAL


def test_a_neighbour_that_does_not_read_the_goodbye_is_aborted(
    pair: PeerPair, clock: Clock
) -> None:
    """Closing waits for the flush, but not for ever; closing twice is once."""
    pair.left.pipe.other.pauseProducing()
    pair.left.peer.close()
    pair.left.peer.close()
    assert not pair.left.closed
    assert not pair.left.peer.is_open
    clock.advance(CLOSE_LIMIT_S)
    assert pair.left.reasons == [None]


def test_events_before_a_violation_count(pair: PeerPair) -> None:
    """A HAVE and garbage in one read: the HAVE is heard, then the connection ends."""
    good = frame(Kind.HAVE, (3).to_bytes(4, "big"))
    pair.left.peer.dataReceived(good + frame(99))
    assert pair.left.events == [HaveReceived((3,))]
    pair.pump()
    assert isinstance(pair.left.reasons[0], RemoteProtocolError)


def test_nothing_is_heard_after_the_listener_closed(pair: PeerPair) -> None:
    """The rest of a read in which somebody hung up is dropped."""
    pair.left.on_event = lambda peer, _: peer.close()
    two = frame(Kind.HAVE, (3).to_bytes(4, "big")) * 2
    pair.left.peer.dataReceived(two)
    pair.left.peer.dataReceived(two)
    assert len(pair.left.events) == 1


def test_an_abort_says_nothing_and_keeps_its_reason(pair: PeerPair) -> None:
    """The other side sees a lost connection."""
    why = PeerTimedOut("enough")
    pair.left.peer.abort(why)
    pair.left.peer.abort(PeerTimedOut("again"))
    assert pair.left.reasons == [why]
    assert len(pair.right.reasons) == 1
    assert pair.right.reasons[0] is not None


def test_a_connection_lost_in_mid_stream_is_told_once(pair: PeerPair) -> None:
    """Whatever is paused, timed or queued then is freed; later calls are no error."""
    peer = pair.left.peer
    peer.pause_for("rate", 3.0)
    peer.pause("disk")
    pair.left.pipe.abortConnection()
    assert len(pair.left.reasons) == 1
    peer.resume("rate")
    peer.resume("disk")
    peer.pause("disk")
    peer.flush()
    peer.close()
    peer.abort()
    assert not peer.writable
    assert peer.on_writable is None
    assert len(pair.left.reasons) == 1


def test_a_transport_that_drains_while_closing_wakes_nobody(pair: PeerPair) -> None:
    """The uploader must not write behind the goodbye."""
    told: list[int] = []
    pair.left.peer.on_writable = lambda: told.append(1)
    pair.left.peer.close()
    pair.left.peer.resumeProducing()
    assert not told


# -- the kernel's backlog ------------------------------------------


def test_a_slice_is_the_most_that_is_written_beyond_the_mark(pair: PeerPair) -> None:
    """With a writer that looks at ``writable``, memory is bounded by mark and slice."""
    size = 32 * 1024
    for piece in range(8):
        pair.left.peer.session.request(piece, 0, size)
    pair.left.peer.flush()
    pair.pump()
    sent = iter(range(8))

    def fill() -> None:
        while pair.right.peer.writable and (piece := next(sent, None)) is not None:
            pair.right.peer.session.send_data(piece, 0, bytes(size))
            pair.right.peer.flush()

    pair.right.peer.on_writable = fill
    fill()
    pair.pump(4096)
    assert len([e for e in pair.left.events if isinstance(e, SliceReceived) and e.last]) == 8
    assert pair.right.pipe.peak <= pair.right.pipe.high + SLICE_BYTES
