"""Answers: framed, counted, pushed back, finished or cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from dragonfly.daemon.http.messages import Headers, Responder
from dragonfly.errors import ClientGone, DigestMismatch, OriginError, OriginUnreachable
from tests.doubles.front import Answers, ClientEnd, Writer, bodies, connect

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Setup:
    """A connection on which one request waits for its answer."""

    def __init__(self, request: bytes = GET, room: int = 1 << 40) -> None:
        self.clock = Clock()
        self.answers = Answers()
        self.end = connect(self.answers, self.clock, room=room)
        self.end.send(request)

    @property
    def responder(self) -> Any:
        """Of the request."""
        return self.answers.last

    def close(self) -> None:
        """Leave no timer behind."""
        self.end.hang_up()
        self.answers.release()
        assert self.clock.getDelayedCalls() == []


def length(number: int) -> Headers:
    """The header that announces a body."""
    return ((b"Content-Length", b"%d" % number),)


# -- framing --------------------------------------------------------------------------


def test_headers_as_given() -> None:
    """Order, case and repetition stay; what speaks of the connection is the front's own."""
    setup = Setup()
    setup.responder.start(
        206,
        (
            (b"content-type", b"a/b"),
            (b"Docker-Content-Digest", b"sha256:00"),
            (b"Set-Cookie", b"a"),
            (b"Connection", b"keep-alive"),
            (b"Set-Cookie", b"b"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Content-Length", b"1"),
            (b"transfer-encoding", b"chunked"),
            (b"Trailer", b"X"),
            (b"DATE", b"Sat, 01 Jan 2000 00:00:00 GMT"),
            (b"X-Empty", b""),
            (b"Content-Length", b"1"),
        ),
        reason=b"Some of It",
    )
    setup.responder.write(b"x")
    setup.responder.finish()
    assert setup.end.got == (
        b"HTTP/1.1 206 Some of It\r\n"
        b"content-type: a/b\r\n"
        b"Docker-Content-Digest: sha256:00\r\n"
        b"Set-Cookie: a\r\n"
        b"Set-Cookie: b\r\n"
        b"Content-Length: 1\r\n"
        b"DATE: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
        b"X-Empty: \r\n"
        b"\r\nx"
    )
    assert setup.responder.status == 206
    assert setup.responder.sent == 1
    assert setup.responder.over
    setup.close()


def test_date_and_reason_are_added() -> None:
    """An answer without them gets a date and the usual words."""
    setup = Setup()
    setup.clock.advance(1)
    setup.responder.start(404, length(0))
    setup.responder.finish()
    assert setup.end.got == (
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n\r\n"
    )
    setup.close()


def test_chunked() -> None:
    """Without a length HTTP/1.1 gets chunks; an empty write is no end."""
    setup = Setup()
    setup.responder.start(200, ())
    setup.responder.write(b"x" * 16)
    setup.responder.write(b"")
    setup.responder.write(b"yz")
    assert setup.end.got.endswith(
        b"Transfer-Encoding: chunked\r\n\r\n10\r\n" + b"x" * 16 + b"\r\n2\r\nyz\r\n"
    )
    setup.responder.finish()
    assert setup.end.got.endswith(b"yz\r\n0\r\n\r\n")
    assert setup.responder.sent == 18
    setup.close()


@pytest.mark.parametrize(
    ("request_line", "status", "headers", "kept"),
    [
        (b"HEAD", 200, length(1000), b"Content-Length: 1000"),
        (b"HEAD", 200, (), b""),
        (b"GET", 304, length(1000), b"Content-Length: 1000"),
        (b"GET", 304, (), b""),
        (b"DELETE", 204, (), b""),
        (b"DELETE", 204, length(0), b""),
    ],
)
def test_no_body(request_line: bytes, status: int, headers: Headers, kept: bytes) -> None:
    """HEAD, 204 and 304 have none, whatever is announced or written; the connection stays."""
    setup = Setup(GET.replace(b"GET", request_line))
    setup.responder.start(status, headers)
    setup.responder.write(b"not sent")
    setup.responder.finish()
    head, _, rest = setup.end.got.partition(b"\r\n\r\n")
    assert rest == b""
    assert (b"Content-Length" in head) is bool(kept)
    assert kept in head
    assert b"chunked" not in head
    assert setup.responder.sent == 0
    setup.end.send(GET)
    assert len(setup.answers.seen) == 2
    setup.close()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (100, ()),
        (101, ()),
        (199, ()),
        (0, ()),
        (1000, ()),
        (200, ((b"A b", b"c"),)),
        (200, ((b"", b"c"),)),
        (200, ((b"A", b"b\r\nC: d"),)),
        (200, ((b"A", b"b\0"),)),
        (200, ((b"Content-Length", b"x"),)),
        (200, ((b"Content-Length", b"-1"),)),
        (200, ((b"Content-Length", b"1"), (b"content-length", b"2"))),
    ],
)
def test_not_http(status: int, headers: Headers) -> None:
    """What cannot be sent is refused before anything is, so another answer may follow."""
    setup = Setup()
    with pytest.raises(OriginError) as caught:
        setup.responder.start(status, headers)
    assert "C: d" not in str(caught.value)
    assert setup.end.got == b""
    assert setup.responder.status == 0
    setup.answers.give(b"instead", 502)
    assert bodies(setup.end.got) == [(502, b"instead")]
    setup.close()


def test_bad_reason_is_replaced() -> None:
    """Words that cannot be sent are none."""
    setup = Setup()
    setup.responder.start(200, length(0), reason=b"a\r\nb: c")
    assert setup.end.got.startswith(b"HTTP/1.1 200 OK\r\n")
    setup.close()


# -- the ends -------------------------------------------------------------------------


def test_too_short_is_cut() -> None:
    """Fewer bytes than announced never look complete."""
    setup = Setup()
    setup.responder.start(200, length(5))
    setup.responder.write(b"1234")
    setup.responder.finish()
    assert setup.end.state == "aborted"
    assert setup.responder.over
    setup.close()


def test_too_long_is_cut() -> None:
    """Of more bytes than announced the surplus is not sent; its writer is told to stop."""
    setup = Setup()
    writer, gone = Writer(), []
    setup.responder.on_gone(lambda: gone.append("gone"))
    setup.responder.registerProducer(writer, True)
    setup.responder.start(200, length(5))
    setup.responder.write(b"1234")
    setup.responder.write(b"56")
    assert setup.end.state == "aborted"
    assert setup.end.got.endswith(b"\r\n\r\n1234")
    assert writer.told == ["stop"]
    assert gone == ["gone"]
    setup.responder.write(b"7")
    setup.responder.finish()
    assert setup.responder.sent == 4
    setup.close()


def test_abort() -> None:
    """A cut answer has no end of chunks; the answerer did it himself and is not told."""
    setup = Setup()
    gone: list[str] = []
    writer = Writer()
    setup.responder.on_gone(lambda: gone.append("gone"))
    setup.responder.registerProducer(writer, True)
    setup.responder.start(200, ())
    setup.responder.write(b"abc")
    setup.responder.abort()
    setup.responder.on_gone(lambda: gone.append("gone"))
    assert setup.end.state == "aborted"
    assert setup.end.got.endswith(b"3\r\nabc\r\n")
    assert gone == writer.told == []
    setup.close()


def test_abort_drops_what_waits() -> None:
    """What the client has not taken yet is not sent any more."""
    setup = Setup(room=10)
    setup.responder.start(200, length(3))
    setup.responder.write(b"abc")
    setup.responder.abort()
    assert setup.end.read() == b""
    setup.close()


def test_misuse() -> None:
    """Calls in the wrong order are bugs and say so."""
    setup = Setup()
    with pytest.raises(RuntimeError, match="not started"):
        setup.responder.write(b"x")
    with pytest.raises(RuntimeError, match="not started"):
        setup.responder.finish()
    setup.responder.start(200, length(0))
    with pytest.raises(RuntimeError, match="already"):
        setup.responder.start(200, length(0))
    setup.responder.finish()
    setup.responder.start(200, length(0))
    setup.responder.finish()
    assert setup.end.got.count(b"HTTP/1.1") == 1
    setup.close()


# -- back-pressure --------------------------------------------------------------------


def test_pushing_back() -> None:
    """The writer is paused when the client does not read, and resumed when it has."""
    setup = Setup(room=100)
    writer = Writer()
    setup.responder.start(200, length(1000))
    setup.responder.registerProducer(writer, True)
    setup.responder.write(b"x" * 500)
    assert writer.told == ["pause"]
    setup.end.read(100)
    assert writer.told == ["pause"]
    setup.end.read()
    assert writer.told == ["pause", "resume"]
    setup.responder.unregisterProducer()
    setup.responder.write(b"x" * 500)
    setup.end.read()
    assert writer.told == ["pause", "resume"]
    setup.responder.finish()
    setup.close()


def test_registering_when_full() -> None:
    """Who comes when the pipe is full is paused at once; a second writer is a bug."""
    setup = Setup(room=100)
    setup.responder.start(200, length(1000))
    setup.responder.write(b"x" * 500)
    writer = Writer()
    setup.responder.registerProducer(writer, True)
    assert writer.told == ["pause"]
    with pytest.raises(RuntimeError, match="already"):
        setup.responder.registerProducer(Writer(), True)
    setup.close()
    assert writer.told == ["pause", "stop"]


def test_registering_when_over() -> None:
    """Who comes too late is stopped at once."""
    setup = Setup()
    setup.end.hang_up()
    writer = Writer()
    setup.responder.registerProducer(writer, True)
    setup.responder.unregisterProducer()
    assert writer.told == ["stop"]
    setup.close()


def test_pull_producer() -> None:
    """One that wants to be asked is asked once in each turn while there is room."""
    setup = Setup(room=100)
    setup.responder.start(200, ())

    class Asked(Writer):
        def resumeProducing(self) -> None:
            super().resumeProducing()
            setup.responder.write(b"x" * 70)

    asked = Asked()
    setup.end.dataBuffer = b""
    setup.responder.registerProducer(asked, False)
    setup.end.room = -1  # nothing is taken any more
    for _ in range(3):
        setup.clock.advance(0)
    assert asked.told == ["resume"]
    setup.end.read()
    setup.clock.advance(0)
    assert asked.told == ["resume", "resume"]
    setup.end.read()
    setup.responder.unregisterProducer()
    setup.clock.advance(0)
    assert asked.told == ["resume", "resume"]
    setup.responder.registerProducer(asked, False)
    setup.end.hang_up()
    assert asked.told[-1] == "stop"
    setup.close()


# -- answers that fail ----------------------------------------------------------------


def answering(by: Callable[[Responder], Any]) -> tuple[ClientEnd, Clock]:
    """A client whose request is answered by that."""

    async def answer(responder: Responder) -> None:
        by(responder)

    clock = Clock()
    end = connect(answer, clock)
    end.send(GET)
    return end, clock


def raising(error: Exception, *, started: bool = False) -> Callable[[Responder], None]:
    """Fails, perhaps after the start."""

    def fail(responder: Responder) -> None:
        if started:
            responder.start(200, ())
            responder.write(b"abc")
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (OriginUnreachable("registry a: connection refused"), 502, "registry a: connection"),
        (DigestMismatch("blob b: wrong"), 500, "blob b: wrong"),
        (ClientGone("the body fell silent"), 400, "the body fell silent"),
        (CancelledError(), 500, "given up"),
    ],
)
def test_error_before_the_start(error: Exception, status: int, text: str) -> None:
    """Our errors are answered with their text; the connection stays."""
    end, _ = answering(raising(error))
    assert bodies(end.got)[0][0] == status
    assert text in bodies(end.got)[0][1].decode()
    assert b"\r\nContent-Type: text/plain; charset=utf-8\r\n" in end.got
    assert end.state == "open"
    end.hang_up()


def test_error_after_the_start() -> None:
    """The connection is cut."""
    end, _ = answering(raising(OriginUnreachable("cut"), started=True))
    assert end.state == "aborted"
    assert end.got.endswith(b"3\r\nabc\r\n")


@pytest.mark.parametrize("started", [False, True])
def test_bug(no_silent_failures: list[Any], started: bool) -> None:
    """Anything else is logged as a bug, and the client learns nothing of it."""
    end, _ = answering(raising(ZeroDivisionError("secret"), started=started))
    assert [failure.type for failure in no_silent_failures] == [ZeroDivisionError]
    no_silent_failures.clear()
    assert b"secret" not in end.got
    if started:
        assert end.state == "aborted"
    else:
        assert bodies(end.got) == [(500, b"internal error\n")]
    end.hang_up()


def test_answer_by_a_deferred() -> None:
    """Whatever can be awaited is an answer."""
    clock = Clock()
    later: Deferred[None] = Deferred()
    end = connect(lambda responder: later, clock)
    end.send(GET)
    later.errback(OriginUnreachable("no registry"))
    assert bodies(end.got) == [(502, b"no registry\n")]
    end.hang_up()


@pytest.mark.parametrize("started", [False, True])
def test_left_unanswered(started: bool) -> None:
    """An answer that just returns is an internal error, or a cut."""
    said: list[str] = []

    def observe(event: Any) -> None:
        said.append(str(event.get("log_format")))

    def forget(responder: Responder) -> None:
        if started:
            responder.start(200, length(3))

    globalLogPublisher.addObserver(observe)
    end, _ = answering(forget)
    globalLogPublisher.removeObserver(observe)
    assert "a request was left without a complete answer" in said
    assert end.state == ("aborted" if started else "open")
    if not started:
        assert bodies(end.got) == [(500, b"internal error\n")]
    end.hang_up()


def test_error_when_the_client_is_gone() -> None:
    """Then it interests nobody."""
    setup = Setup()
    setup.end.hang_up()
    waiting = setup.answers.waiting.pop()
    waiting.errback(OriginUnreachable("nobody reads this"))
    assert setup.end.got == b""
    setup.close()


def test_answer_is_not_cancelled(no_silent_failures: list[Any]) -> None:
    """A client that hangs up is told by ``on_gone`` only; a bug there stops no other call."""
    setup = Setup()
    told: list[str] = []
    setup.responder.on_gone([].pop)
    setup.responder.on_gone(lambda: told.append("second"))
    setup.end.hang_up()
    assert told == ["second"]
    assert [failure.type for failure in no_silent_failures] == [IndexError]
    no_silent_failures.clear()
    assert not setup.answers.waiting[0].called
    setup.close()


def test_stopped_writer_may_abort() -> None:
    """A writer that aborts when it is stopped does not keep ``on_gone`` from being told."""
    setup = Setup()
    told: list[str] = []

    class Aborting(Writer):
        def stopProducing(self) -> None:
            setup.responder.abort()

    setup.responder.on_gone(lambda: told.append("gone"))
    setup.responder.registerProducer(Aborting(), True)
    setup.end.hang_up()
    assert told == ["gone"]
    setup.close()
