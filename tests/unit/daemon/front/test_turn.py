"""The body of a request while it is answered: pauses, silence, what nobody takes, 100 Continue."""

from __future__ import annotations

import pytest

from tests.doubles.asking import GET, LIMITS, Asking, assert_quiet, post
from tests.doubles.front import Body, bodies


@pytest.fixture
def setup() -> Asking:
    """A fresh one."""
    return Asking()


# -- bodies ---------------------------------------------------------------------------


def test_body(setup: Asking) -> None:
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


def test_chunked_body(setup: Asking) -> None:
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


def test_no_body(setup: Asking) -> None:
    """A body that there is not ends at once."""
    setup.end.send(GET)
    body = Body()
    setup.answers.last.body.deliver(body)
    assert body.log == ["ended"]
    with pytest.raises(RuntimeError, match="taken already"):
        setup.answers.last.body.deliver(body)
    setup.answers.give()


def test_body_is_held(setup: Asking) -> None:
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


def test_body_paused(setup: Asking) -> None:
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


def test_body_paused_inside(setup: Asking) -> None:
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


def test_body_paused_for_ever(setup: Asking) -> None:
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


def test_silent_body(setup: Asking) -> None:
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


def test_broken_body(setup: Asking) -> None:
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


def test_hang_up_in_a_body(setup: Asking) -> None:
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


def test_hang_up_before_the_body_is_taken(setup: Asking) -> None:
    """Who takes it later hears so at once."""
    setup.end.send(post(6, b"abc"))
    setup.end.hang_up()
    body = Body()
    setup.answers.last.body.deliver(body)
    assert len(body.log) == 1
    assert "the client hung up" in str(body.log[0])
    setup.answers.release()


def test_untaken_small_body(setup: Asking) -> None:
    """The rest of a small body is read and dropped, and the connection stays."""
    setup.end.send(post(50, b"x" * 20))
    setup.answers.give(b"1")
    setup.end.send(b"x" * 10)
    setup.end.send(b"x" * 20 + GET)
    setup.turn()
    setup.answers.give(b"2")
    assert bodies(setup.end.got) == [(200, b"1"), (200, b"2")]


def test_untaken_small_body_does_not_come(setup: Asking) -> None:
    """It is waited for only so long."""
    setup.end.send(post(50, b"x" * 20))
    setup.answers.give(b"1")
    setup.clock.advance(LIMITS.body_silence_s)
    assert_quiet(setup)


def test_untaken_large_body(setup: Asking) -> None:
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


def test_answered_before_the_body_ended(setup: Asking) -> None:
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


def test_go_ahead(setup: Asking) -> None:
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


def test_no_go_ahead(setup: Asking) -> None:
    """If the body is not taken, the answer is all, and the connection ends."""
    setup.end.send(post(3, b"", EXPECT))
    setup.answers.give(b"no", 401)
    assert b"100" not in setup.end.got
    assert b"\r\nConnection: close\r\n" in setup.end.got
    assert setup.end.state == "half closed"
    setup.end.hang_up()


def test_no_go_ahead_after_the_answer_began(setup: Asking) -> None:
    """An interim answer does not come after the real one began."""
    setup.end.send(post(3, b"", EXPECT))
    setup.answers.last.start(200, ((b"Content-Length", b"0"),))
    setup.answers.last.body.deliver(Body())
    assert b"100 Continue" not in setup.end.got
    setup.answers.last.finish()
    setup.answers.release()
    setup.end.hang_up()


def test_no_go_ahead_for_http_1_0(setup: Asking) -> None:
    """HTTP/1.0 knows no interim answers."""
    setup.end.send(post(3, b"", EXPECT).replace(b"1.1", b"1.0"))
    setup.answers.last.body.deliver(Body())
    assert setup.end.got == b""
    setup.end.hang_up()
    setup.answers.release()


# -- failing --------------------------------------------------------------------------


def test_bug_in_a_receiver_ends_the_connection(setup: Asking) -> None:
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
