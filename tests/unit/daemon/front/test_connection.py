"""One connection: requests in order, bodies, keep-alive, limits in size and time."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.http.messages import Responder
from tests.doubles.front import Answers, Body, ClientEnd, bodies, connect

LIMITS = FrontLimits(
    head_bytes=1000,
    header_lines=10,
    target_bytes=300,
    head_s=5,
    idle_s=30,
    body_silence_s=10,
    write_stall_s=100,
    held_bytes=500,
    drain_bytes=50,
    linger_bytes=10_000,
    linger_s=2,
)
GET = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"


class Setup:
    """A connection and its answers."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.answers = Answers()
        self.end = connect(self.answers, self.clock, limits=LIMITS)

    def turn(self) -> None:
        """Let what was put off to the next turn run."""
        self.clock.advance(0)


@pytest.fixture
def setup() -> Setup:
    """A fresh one."""
    return Setup()


def post(length: int, sent: bytes = b"", more: bytes = b"") -> bytes:
    """A request with a body."""
    return b"POST /up HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s" % (more, length, sent)


def said(end: ClientEnd) -> str:
    """The text of the last answer."""
    return bodies(end.got)[-1][1].decode()


def assert_quiet(setup: Setup) -> None:
    """The connection is gone and left no timer."""
    assert setup.end.gone
    assert setup.clock.getDelayedCalls() == []


# -- requests -------------------------------------------------------------------------


def test_head(setup: Setup) -> None:
    """A request comes as it was sent: case, order and repeated lines."""
    setup.end.send(
        b"GET /v2/?n=1 HTTP/1.1\r\nHOST: a\r\nAccept: x/y\r\naccept:  z; q=1 \r\nX-A: \xe9\r\n\r\n"
    )
    head = setup.answers.last.head
    assert (head.method, head.target, head.version) == (b"GET", b"/v2/?n=1", b"1.1")
    assert head.headers == (
        (b"HOST", b"a"),
        (b"Accept", b"x/y"),
        (b"accept", b"z; q=1"),
        (b"X-A", b"\xe9"),
    )
    assert head.client == "192.0.2.7"
    assert setup.answers.last.body.length == 0


def test_keep_alive(setup: Setup) -> None:
    """After an answer the same connection takes the next request."""
    for number in range(3):
        setup.end.send(GET)
        setup.answers.give(b"%d" % number)
    assert bodies(setup.end.got) == [(200, b"0"), (200, b"1"), (200, b"2")]
    assert b"Connection" not in setup.end.got
    assert setup.end.state == "open"


def test_pipelining(setup: Setup) -> None:
    """The next request waits until the one before it is answered."""
    setup.end.send(GET + GET)
    assert len(setup.answers.seen) == 1
    setup.answers.give(b"1")
    setup.turn()
    assert len(setup.answers.seen) == 2
    setup.answers.give(b"2")
    assert bodies(setup.end.got) == [(200, b"1"), (200, b"2")]


def test_pipelining_is_bounded(setup: Setup) -> None:
    """Who sends too far ahead is read no more, until his requests are answered."""
    setup.end.send(GET)
    setup.end.send(GET * 10)
    assert setup.end.reading
    setup.end.send(GET * 10)
    assert not setup.end.reading
    for _ in range(21):
        setup.answers.give()
        setup.turn()
    assert len(setup.answers.seen) == 21
    assert setup.end.reading


def test_pipelined_behind_a_full_pipe() -> None:
    """The next request waits until the client has read the answer before it."""
    clock, answers = Clock(), Answers()
    end = connect(answers, clock, limits=LIMITS, room=100)
    end.send(GET + GET)
    answers.give(b"x" * 1000)
    clock.advance(0)
    assert len(answers.seen) == 1
    end.read()
    clock.advance(0)
    assert len(answers.seen) == 2


def test_close_wanted(setup: Setup) -> None:
    """``Connection: close`` is obeyed and said."""
    setup.end.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n")
    setup.answers.give(b"x")
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert_quiet(setup)


def test_http_1_0(setup: Setup) -> None:
    """HTTP/1.0 closes unless asked to stay."""
    setup.end.send(b"GET / HTTP/1.0\r\n\r\n")
    setup.answers.give(b"x")
    assert setup.end.got.endswith(b"Connection: close\r\n\r\nx")
    assert_quiet(setup)


def test_http_1_0_keep_alive(setup: Setup) -> None:
    """HTTP/1.0 with ``keep-alive`` stays, and is told so."""
    for _ in range(2):
        setup.end.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        setup.answers.give(b"x")
    assert setup.end.got.count(b"\r\nConnection: keep-alive\r\n") == 2
    assert setup.end.state == "open"


def test_http_1_0_without_length(setup: Setup) -> None:
    """An answer without length to HTTP/1.0 ends with the connection."""
    setup.end.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    setup.answers.give(b"abc", headers=())
    assert setup.end.got.endswith(b"Connection: close\r\n\r\nabc")
    assert b"chunked" not in setup.end.got
    assert setup.end.state == "half closed"
    setup.clock.advance(LIMITS.linger_s)
    assert_quiet(setup)


def test_empty_lines_before_a_request(setup: Setup) -> None:
    """A line too many after a body is no request, and no sign of life."""
    setup.end.send(b"\r\n")
    setup.clock.advance(LIMITS.idle_s - 1)
    setup.end.send(b"\r\n" + GET)
    assert len(setup.answers.seen) == 1
    setup.answers.give()
    setup.end.send(b"\r\n\r\n")
    setup.clock.advance(LIMITS.idle_s)
    assert_quiet(setup)


def test_upgrade_is_not_followed(setup: Setup) -> None:
    """``Upgrade`` is a header like others: the answer may ignore it, and the next request comes."""
    setup.end.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + GET
    )
    setup.answers.give(b"1")
    setup.turn()
    setup.answers.give(b"2")
    assert bodies(setup.end.got) == [(200, b"1"), (200, b"2")]


# -- refusals -------------------------------------------------------------------------

REFUSED = {
    "a TLS handshake": (b"\x16\x03\x01", 400, "TLS handshake"),
    "binary": (b"\x00\x01", 400, "not an HTTP request"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", 400, "not an HTTP request"),
    "no request line": (b"hello\r\n\r\n", 400, "not an HTTP request"),
    "HTTP/0.9": (b"GET /\r\n", 400, "not an HTTP request"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.0 and HTTP/1.1"),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "CONNECT"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "more than one Host"),
    "space before colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "malformed"),
    "a NUL": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400, "malformed"),
    "unknown coding": (
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        501,
        "no transfer coding but chunked",
    ),
    "both lengths": (post(3, b"abc", b"Transfer-Encoding: chunked\r\n"), 400, "both"),
    "two lengths": (post(3, b"abc", b"Content-Length: 4\r\n"), 400, "contradict"),
    "a length with a sign": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
        400,
        "not a number",
    ),
    "chunks in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "HTTP/1.0 has no",
    ),
    "many lines": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 10 + b"\r\n", 431, "11 header"),
    "a long head at once": (
        b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 1000 + b"\r\n\r\n",
        431,
        "more than 1000",
    ),
    "a long head": (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 1000, 431, "than 1000 bytes"),
    "a long target at once": (
        b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        414,
        "300 bytes",
    ),
    "a long target": (b"GET /" + b"a" * 400, 414, "300 bytes"),
    "a very long target": (b"GET /" + b"a" * 2000, 414, "300 bytes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(setup: Setup, what: str) -> None:
    """What cannot be answered is told why in plain HTTP, at once, and the connection ends."""
    sent, status, text = REFUSED[what]
    setup.end.send(sent)
    assert bodies(setup.end.got)[-1][0] == status
    assert text in said(setup.end)
    assert setup.end.got.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert setup.answers.seen == []
    assert setup.end.state == "half closed"
    setup.clock.advance(LIMITS.linger_s)
    assert_quiet(setup)


def test_refused_in_turn(setup: Setup) -> None:
    """A request that makes no sense is refused after the answers to those before it."""
    setup.end.send(GET + b"nonsense\r\n\r\n")
    setup.answers.give(b"1")
    setup.turn()
    assert [status for status, _ in bodies(setup.end.got)] == [200, 400]
    setup.end.hang_up()


def test_no_secrets_in_refusals(setup: Setup) -> None:
    """What was wrong is not quoted."""
    setup.end.send(b"GET /?secret HTTP/1.1\r\nHost: a\r\nAuthorization secret\r\n\r\n")
    assert b"secret" not in setup.end.got
    setup.end.hang_up()


def test_lingering_is_bounded(setup: Setup) -> None:
    """A client that sends on after a refusal is read for a while, then cut off."""
    setup.end.send(b"\x16\x03\x01")
    for _ in range(20):
        setup.end.send(b"x" * 1000)
    assert_quiet(setup)


# -- times ----------------------------------------------------------------------------


def test_slow_head(setup: Setup) -> None:
    """A head must be complete in its time, however its bytes dribble in."""
    for number in range(20):
        setup.end.send(GET[number : number + 1])
        setup.clock.advance(0.24)
    assert setup.end.state == "open"
    setup.clock.advance(0.24)
    assert bodies(setup.end.got)[0][0] == 408
    setup.clock.advance(LIMITS.linger_s)
    assert_quiet(setup)


def test_slow_head_after_an_answer(setup: Setup) -> None:
    """The same for a request of which a part came with the one before it."""
    setup.end.send(GET + GET[:5])
    setup.answers.give()
    setup.turn()
    setup.clock.advance(LIMITS.head_s)
    assert bodies(setup.end.got)[-1][0] == 408
    setup.end.hang_up()


def test_idle(setup: Setup) -> None:
    """A connection without a request is closed without a word, also a new one."""
    setup.clock.advance(LIMITS.idle_s)
    assert setup.end.got == b""
    assert_quiet(setup)


def test_idle_between_requests(setup: Setup) -> None:
    """The time counts from the last answer, and does not count while one is given."""
    setup.end.send(GET)
    setup.clock.advance(LIMITS.idle_s * 2)
    setup.answers.give()
    setup.clock.advance(LIMITS.idle_s - 1)
    assert setup.end.state == "open"
    setup.clock.advance(1)
    assert_quiet(setup)


def test_client_takes_nothing() -> None:
    """A client that takes nothing of an answer for the whole time is cut off."""
    clock, answers = Clock(), Answers()
    end = connect(answers, clock, limits=LIMITS, room=100)
    gone: list[str] = []
    end.send(GET)
    answers.last.start(200, ())
    answers.last.on_gone(lambda: gone.append("gone"))
    answers.last.write(b"x" * 1000)
    clock.advance(LIMITS.write_stall_s - 1)
    assert end.state == "open"
    clock.advance(1)
    assert end.state == "aborted"
    assert gone == ["gone"]
    answers.release()


def test_slow_client() -> None:
    """One that takes a little each time is not."""
    clock, answers = Clock(), Answers()
    end = connect(answers, clock, limits=LIMITS, room=100)
    end.send(GET)
    answers.last.start(200, ())
    answers.last.write(b"x" * 1000)
    for _ in range(5):
        clock.advance(LIMITS.write_stall_s - 1)
        end.read(10)
    assert end.state == "open"
    clock.advance(LIMITS.write_stall_s)
    clock.advance(LIMITS.write_stall_s)
    assert end.state == "aborted"
    answers.release()


def test_client_does_not_take_the_end() -> None:
    """A closed connection whose rest nobody takes is cut off as well."""
    clock, answers = Clock(), Answers()
    end = connect(answers, clock, limits=LIMITS, room=100)
    end.send(GET.replace(b"1.1", b"1.0"))
    answers.give(b"x" * 1000)
    assert end.state == "open"
    clock.advance(LIMITS.write_stall_s)
    assert end.state == "aborted"
    assert clock.getDelayedCalls() == []


# -- bodies ---------------------------------------------------------------------------


def test_body(setup: Setup) -> None:
    """A body flows once it is taken, from what is here already on."""
    setup.end.send(post(6, b"abc"))
    responder = setup.answers.last
    assert responder.body.length == 6
    body = Body()
    responder.body.deliver(body)
    setup.end.send(b"def" + GET)
    assert body.whole == b"abcdef"
    assert body.log[-1] == "ended"
    setup.answers.give(b"1")
    setup.turn()
    assert len(setup.answers.seen) == 2
    setup.answers.give(b"2")
    assert bodies(setup.end.got) == [(200, b"1"), (200, b"2")]


def test_chunked_body(setup: Setup) -> None:
    """Chunks are taken apart, trailers dropped."""
    setup.end.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
    )
    body = Body()
    assert setup.answers.last.body.length is None
    setup.answers.last.body.deliver(body)
    assert body.whole == b"abcde"
    assert body.log[-1] == "ended"
    setup.answers.give()
    setup.end.send(GET)
    assert len(setup.answers.seen) == 2
    setup.answers.give()


def test_no_body(setup: Setup) -> None:
    """A body that there is not ends at once."""
    setup.end.send(GET)
    body = Body()
    setup.answers.last.body.deliver(body)
    assert body.log == ["ended"]
    with pytest.raises(RuntimeError, match="taken already"):
        setup.answers.last.body.deliver(body)
    setup.answers.give()


def test_body_is_held(setup: Setup) -> None:
    """Of a body that nobody takes only so much is read; taking it reads on."""
    setup.end.send(post(2000))
    setup.end.send(b"x" * 501)
    assert not setup.end.reading
    body = Body()
    setup.answers.last.body.deliver(body)
    assert setup.end.reading
    setup.end.send(b"x" * 1499)
    assert len(body.whole) == 2000
    setup.answers.give()


def test_body_paused(setup: Setup) -> None:
    """A paused body is not read; what was read waits."""
    setup.end.send(post(9))
    body = Body()
    incoming = setup.answers.last.body
    incoming.deliver(body)
    incoming.pause()
    assert not setup.end.reading
    setup.end.protocol.dataReceived(b"abc")  # as TLS does
    assert body.whole == b""
    incoming.resume()
    assert body.whole == b"abc"
    assert setup.end.reading
    setup.clock.advance(LIMITS.body_silence_s - 1)
    setup.end.send(b"abcdef")
    assert body.log[-1] == "ended"
    setup.answers.give()


def test_body_paused_inside(setup: Setup) -> None:
    """A receiver may pause, and go on, inside the call that brings it bytes."""
    setup.end.send(post(6))
    incoming = setup.answers.last.body

    class Picky(Body):
        def body_data(self, data: bytes) -> None:
            super().body_data(data)
            incoming.pause()
            if data == b"abc":
                incoming.resume()

    body = Picky()
    incoming.deliver(body)
    setup.end.send(b"abc")
    assert setup.end.reading
    setup.end.send(b"def")
    assert body.log == [b"abc", b"def"]
    assert not setup.end.reading
    incoming.resume()
    assert body.log == [b"abc", b"def", "ended"]
    setup.answers.give()


def test_body_paused_for_ever(setup: Setup) -> None:
    """A pause hides the client's end, so it has one of its own."""
    setup.end.send(post(9))
    body = Body()
    setup.answers.last.body.deliver(body)
    setup.answers.last.body.pause()
    setup.clock.advance(LIMITS.write_stall_s)
    assert "left paused for 100 s" in str(body.log[-1])
    assert setup.end.reading
    setup.end.hang_up()
    setup.answers.release()


def test_silent_body(setup: Setup) -> None:
    """A body that falls silent is lost; the answer can still be given, the last one here."""
    setup.end.send(post(6))
    body = Body()
    setup.answers.last.body.deliver(body)
    setup.clock.advance(LIMITS.body_silence_s - 1)
    setup.end.send(b"a")
    setup.clock.advance(LIMITS.body_silence_s - 1)
    assert body.log == [b"a"]
    setup.clock.advance(1)
    assert "nothing came for 10 s" in str(body.log[-1])
    setup.answers.give(b"late", 408)
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert setup.end.state == "half closed"
    setup.end.hang_up()


def test_broken_body(setup: Setup) -> None:
    """A body whose framing breaks is lost, and nothing after it is read."""
    setup.end.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    body = Body()
    setup.answers.last.body.deliver(body)
    setup.end.send(b"3\r\nabc\r\nzz\r\n" + GET)
    assert body.log[0] == b"abc"
    assert "a chunk of the request's body is malformed" in str(body.log[1])
    setup.end.send(GET)
    setup.answers.give(b"", 400)
    setup.turn()
    assert len(setup.answers.seen) == 1
    setup.end.hang_up()


def test_hang_up_in_a_body(setup: Setup) -> None:
    """The receiver and who waits for the client's end hear of it, once."""
    gone: list[str] = []
    setup.end.send(post(6, b"abc"))
    body = Body()
    setup.answers.last.on_gone(lambda: gone.append("gone"))
    setup.answers.last.body.deliver(body)
    setup.end.hang_up()
    assert body.log[0] == b"abc"
    assert "the client hung up" in str(body.log[1])
    assert gone == ["gone"]
    setup.answers.last.on_gone(lambda: gone.append("at once"))
    assert gone == ["gone", "at once"]
    setup.answers.give(b"to nobody")
    assert setup.answers.last.status == 0
    assert_quiet(setup)


def test_hang_up_before_the_body_is_taken(setup: Setup) -> None:
    """Who takes it later hears so at once."""
    setup.end.send(post(6, b"abc"))
    setup.end.hang_up()
    body = Body()
    setup.answers.last.body.deliver(body)
    assert len(body.log) == 1
    assert "the client hung up" in str(body.log[0])
    setup.answers.release()


def test_untaken_small_body(setup: Setup) -> None:
    """The rest of a small body is read and dropped, and the connection stays."""
    setup.end.send(post(50, b"x" * 20))
    setup.answers.give(b"1")
    setup.end.send(b"x" * 10)
    setup.end.send(b"x" * 20 + GET)
    setup.turn()
    setup.answers.give(b"2")
    assert bodies(setup.end.got) == [(200, b"1"), (200, b"2")]


def test_untaken_small_body_does_not_come(setup: Setup) -> None:
    """It is waited for only so long."""
    setup.end.send(post(50, b"x" * 20))
    setup.answers.give(b"1")
    setup.clock.advance(LIMITS.body_silence_s)
    assert_quiet(setup)


def test_untaken_large_body(setup: Setup) -> None:
    """A large one ends the connection, as is said; what comes of it is dropped meanwhile."""
    setup.end.send(post(2000, b"x" * 600))
    assert not setup.end.reading
    setup.answers.give(b"no", 413)
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert setup.end.state == "half closed"
    assert setup.end.reading
    setup.end.send(b"x" * 1400)
    setup.clock.advance(LIMITS.linger_s)
    assert_quiet(setup)


def test_answered_before_the_body_ended(setup: Setup) -> None:
    """An answer may come first; the receiver learns that it gets no more."""
    setup.end.send(post(2000, b"x" * 100))
    body = Body()
    setup.answers.last.body.deliver(body)
    setup.answers.give(b"no", 401)
    assert "the answer was complete before it" in str(body.log[-1])
    setup.end.send(b"x" * 100)
    assert len(body.whole) == 100
    assert setup.end.state == "half closed"
    setup.end.hang_up()


# -- 100 Continue ---------------------------------------------------------------------

EXPECT = b"Expect: 100-continue\r\n"


def test_go_ahead(setup: Setup) -> None:
    """A client that waits is told to go on when its body is taken, once."""
    setup.end.send(post(3, b"", EXPECT))
    assert setup.end.got == b""
    body = Body()
    setup.answers.last.body.deliver(body)
    setup.answers.last.body.pause()
    setup.answers.last.body.resume()
    assert setup.end.got == b"HTTP/1.1 100 Continue\r\n\r\n"
    setup.end.send(b"abc" + GET)
    assert body.log == [b"abc", "ended"]
    setup.answers.give(b"1")
    assert setup.end.got.count(b"100 Continue") == 1
    setup.turn()
    assert len(setup.answers.seen) == 2
    setup.answers.give()


def test_no_go_ahead(setup: Setup) -> None:
    """If the body is not taken, the answer is all, and the connection ends."""
    setup.end.send(post(3, b"", EXPECT))
    setup.answers.give(b"no", 401)
    assert b"100" not in setup.end.got
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert setup.end.state == "half closed"
    setup.end.hang_up()


def test_no_go_ahead_after_the_answer_began(setup: Setup) -> None:
    """An interim answer does not come after the real one began."""
    setup.end.send(post(3, b"", EXPECT))
    setup.answers.last.start(200, ((b"Content-Length", b"0"),))
    setup.answers.last.body.deliver(Body())
    assert b"100 Continue" not in setup.end.got
    setup.answers.last.finish()
    setup.answers.release()
    setup.end.hang_up()


def test_no_go_ahead_for_http_1_0(setup: Setup) -> None:
    """HTTP/1.0 knows no interim answers."""
    setup.end.send(post(3, b"", EXPECT).replace(b"1.1", b"1.0"))
    setup.answers.last.body.deliver(Body())
    assert setup.end.got == b""
    setup.end.hang_up()
    setup.answers.release()


# -- failing --------------------------------------------------------------------------


def test_bug_in_a_receiver_ends_the_connection(setup: Setup) -> None:
    """What a receiver raises goes to Twisted, which cuts the connection and logs it."""

    class Buggy(Body):
        def body_data(self, data: bytes) -> None:
            raise ZeroDivisionError

    setup.end.send(post(6))
    setup.answers.last.body.deliver(Buggy())
    with pytest.raises(ZeroDivisionError):
        setup.end.send(b"abc")
    setup.end.hang_up()
    setup.answers.release()


def test_many_pipelined_requests() -> None:
    """A thousand requests in one go, answered at once, do not nest."""
    clock = Clock()

    async def answer(responder: Responder) -> None:
        responder.start(204, ())
        responder.finish()

    end = connect(answer, clock)
    end.send(GET * 1000)
    for _ in range(1000):
        clock.advance(0)
    assert end.got.count(b"HTTP/1.1 204 ") == 1000
