"""Requests of one connection in order: keep-alive, refusals, limits in size and time."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.daemon.http.messages import Responder
from tests.doubles.asking import GET, LIMITS, Asking, assert_quiet, post, said
from tests.doubles.front import Answers, bodies, connect


@pytest.fixture
def setup() -> Asking:
    """A fresh one."""
    return Asking()


# -- requests -------------------------------------------------------------------------


def test_head(setup: Asking) -> None:
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


def test_a_target_as_it_was_typed(setup: Asking) -> None:
    """What is not ASCII is spelled as in URLs, wherever it is cut; headers stay as they are."""
    for split in range(20):
        stream = "GET /é?q=\u00fc HTTP/1.1\r\nHost: a\r\nX-A: \u00fc\r\n\r\n".encode()
        setup.end.send(stream[:split])
        setup.end.send(stream[split:])
        head = setup.answers.last.head
        assert head.target == b"/%C3%A9?q=%C3%BC"
        assert head.headers[-1] == (b"X-A", "\u00fc".encode())
        setup.answers.give()


def test_keep_alive(setup: Asking) -> None:
    """After an answer the same connection takes the next request."""
    for number in range(3):
        setup.end.send(GET)
        setup.answers.give(b"%d" % number)
    assert bodies(setup.end.got) == [(200, b"0"), (200, b"1"), (200, b"2")]
    assert b"Connection" not in setup.end.got
    assert setup.end.state == "open"


def test_pipelining(setup: Asking) -> None:
    """The next request waits until the one before it is answered."""
    setup.end.send(GET + GET)
    assert len(setup.answers.seen) == 1
    setup.answers.give(b"1")
    setup.turn()
    assert len(setup.answers.seen) == 2
    setup.answers.give(b"2")
    assert bodies(setup.end.got) == [(200, b"1"), (200, b"2")]


def test_pipelining_is_bounded(setup: Asking) -> None:
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


def test_close_wanted(setup: Asking) -> None:
    """``Connection: close`` is obeyed and said."""
    setup.end.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n")
    setup.answers.give(b"x")
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert_quiet(setup)


def test_http_1_0(setup: Asking) -> None:
    """HTTP/1.0 closes unless asked to stay."""
    setup.end.send(b"GET / HTTP/1.0\r\n\r\n")
    setup.answers.give(b"x")
    assert setup.end.got.endswith(b"Connection: close\r\n\r\nx")
    assert_quiet(setup)


def test_http_1_0_keep_alive(setup: Asking) -> None:
    """HTTP/1.0 with ``keep-alive`` stays, and is told so."""
    for _ in range(2):
        setup.end.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        setup.answers.give(b"x")
    assert setup.end.got.count(b"\r\nConnection: keep-alive\r\n") == 2
    assert setup.end.state == "open"


def test_http_1_0_without_length(setup: Asking) -> None:
    """An answer without length to HTTP/1.0 ends with the connection."""
    setup.end.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    setup.answers.give(b"abc", headers=())
    assert setup.end.got.endswith(b"Connection: close\r\n\r\nabc")
    assert b"chunked" not in setup.end.got
    assert setup.end.state == "half closed"
    setup.clock.advance(LIMITS.linger_s)
    assert_quiet(setup)


def test_empty_lines_before_a_request(setup: Asking) -> None:
    """A line too many after a body is no request, and no sign of life."""
    setup.end.send(b"\r\n")
    setup.clock.advance(LIMITS.idle_s - 1)
    setup.end.send(b"\r\n" + GET)
    assert len(setup.answers.seen) == 1
    setup.answers.give()
    setup.end.send(b"\r\n\r\n")
    setup.clock.advance(LIMITS.idle_s)
    assert_quiet(setup)


def test_upgrade_is_not_followed(setup: Asking) -> None:
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
def test_refused(setup: Asking, what: str) -> None:
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


def test_refused_in_turn(setup: Asking) -> None:
    """A request that makes no sense is refused after the answers to those before it."""
    setup.end.send(GET + b"nonsense\r\n\r\n")
    setup.answers.give(b"1")
    setup.turn()
    assert [status for status, _ in bodies(setup.end.got)] == [200, 400]
    setup.end.hang_up()


def test_no_secrets_in_refusals(setup: Asking) -> None:
    """What was wrong is not quoted."""
    setup.end.send(b"GET /?secret HTTP/1.1\r\nHost: a\r\nAuthorization secret\r\n\r\n")
    assert b"secret" not in setup.end.got
    setup.end.hang_up()


def test_lingering_is_bounded(setup: Asking) -> None:
    """A client that sends on after a refusal is read for a while, then cut off."""
    setup.end.send(b"\x16\x03\x01")
    for _ in range(20):
        setup.end.send(b"x" * 1000)
    assert_quiet(setup)


# -- times ----------------------------------------------------------------------------


def test_slow_head(setup: Asking) -> None:
    """A head must be complete in its time, however its bytes dribble in."""
    for number in range(20):
        setup.end.send(GET[number : number + 1])
        setup.clock.advance(0.24)
    assert setup.end.state == "open"
    setup.clock.advance(0.24)
    assert bodies(setup.end.got)[0][0] == 408
    setup.clock.advance(LIMITS.linger_s)
    assert_quiet(setup)


def test_slow_head_after_an_answer(setup: Asking) -> None:
    """The same for a request of which a part came with the one before it."""
    setup.end.send(GET + GET[:5])
    setup.answers.give()
    setup.turn()
    setup.clock.advance(LIMITS.head_s)
    assert bodies(setup.end.got)[-1][0] == 408
    setup.end.hang_up()


def test_idle(setup: Asking) -> None:
    """A connection without a request is closed without a word, also a new one."""
    setup.clock.advance(LIMITS.idle_s)
    assert setup.end.got == b""
    assert_quiet(setup)


def test_idle_between_requests(setup: Asking) -> None:
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
