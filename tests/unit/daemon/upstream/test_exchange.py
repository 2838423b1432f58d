"""One request and its answer: what is sent, what is handed out, and what an answer may not be."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.daemon.upstream.limits import UpstreamLimits
from dragonfly.daemon.upstream.link import MAX_HEAD
from dragonfly.errors import ClientGone, OriginError, OriginTruncated, OriginUnreachable
from tests.doubles.responding import FedBody
from tests.doubles.upstream import Taker, UpstreamTestCase

LIMITS = UpstreamLimits()


class AnswerTests(UpstreamTestCase):
    """What is handed out."""

    def test_request(self) -> None:
        """Byte by byte: order, case and repetitions."""
        self.ask(b"GET", None, (b"accept", b"a"), (b"ACCEPT", b"b"), (b"Accept", b"a"))
        assert self.visit(1).heard == (
            b"GET /v2/ HTTP/1.1\r\nHost: registry.example\r\n"
            b"accept: a\r\nACCEPT: b\r\nAccept: a\r\n\r\n"
        )

    def test_head(self) -> None:
        """Status, phrase and lines as they came; the body waits."""
        exchange = self.exchange(
            b"HTTP/1.1 404 Gone fishing\r\nx-A: 1\r\nX-a: 2\r\nContent-Length: 3\r\n\r\nabc"
        )
        assert (exchange.status, exchange.reason) == (404, b"Gone fishing")
        assert exchange.headers == ((b"x-A", b"1"), (b"X-a", b"2"), (b"Content-Length", b"3"))
        assert exchange.length == 3
        assert exchange.received == 0
        assert self.body(exchange) == b"abc"
        assert exchange.received == 3

    def test_chunks(self) -> None:
        """Extensions and trailers are for nobody; the length is what came."""
        exchange = self.exchange(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
        )
        assert exchange.length is None
        assert self.body(exchange) == b"abcde"

    def test_until_it_closes(self) -> None:
        """An old server's body ends with the connection."""
        exchange = self.exchange(b"HTTP/1.0 200 OK\r\n\r\nabc")
        taker = Taker()
        exchange.deliver(taker)
        assert taker.taken == b"abc"
        assert not taker.ended
        self.visit(1).close()
        assert taker.ended

    def test_no_bodies(self) -> None:
        """HEAD, 204 and 304 have none, whatever length they announce."""
        announcing = b"\r\nContent-Length: 1000\r\n\r\n"
        for method, status in ((b"HEAD", b"200"), (b"GET", b"304"), (b"GET", b"204")):
            exchange = self.exchange(b"HTTP/1.1 " + status + announcing, method)
            assert (b"Content-Length", b"1000") in exchange.headers
            assert self.body(exchange) == b""
        self.visit(1)

    def test_provisional_answers(self) -> None:
        """Early hints are for browsers."""
        exchange = self.exchange(
            b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
        )
        assert exchange.status == 204
        assert exchange.headers == ()
        exchange.abort()

    def test_byte_by_byte(self) -> None:
        """However it is cut into reads."""
        asking, taker = self.ask(), Taker()
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n":
            self.visit(1).say(bytes([byte]))
        self.successResultOf(asking).deliver(taker)
        assert not taker.ended
        self.visit(1).say(b"\r\n")
        assert (taker.taken, taker.ended) == (b"abc", True)


class BackPressureTests(UpstreamTestCase):
    """A registry is read no faster than its answer is taken."""

    def test_nothing_is_read_ahead(self) -> None:
        """Before the body is taken, and while it is paused, the connection stands still."""
        exchange = self.exchange(
            b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + bytes(400000)
        )
        visit, taker = self.visit(1), Taker()
        assert not visit.theirs.reading
        waiting = len(visit.ours.queued)
        assert waiting > 400000 - 2 * 65536
        taker.more = exchange.pause
        exchange.deliver(taker)
        visit.pump()
        assert 0 < len(taker.taken) <= 65536
        assert len(visit.ours.queued) == waiting
        taker.more = lambda: None
        exchange.resume()
        visit.pump()
        assert len(taker.taken) == 400000
        assert taker.ended

    def test_pausing_from_inside(self) -> None:
        """Whoever pauses gets nothing more, chunks that were read already included."""
        exchange = self.exchange(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
        )
        taker = Taker()
        taker.more = exchange.pause
        exchange.deliver(taker)
        assert taker.taken == b"a"
        exchange.resume()
        assert (taker.taken, taker.ended) == (b"ab", False)
        exchange.resume()
        assert taker.ended

    def test_pausing_first(self) -> None:
        """A pause that comes before the body is taken counts."""
        exchange = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        taker = Taker()
        exchange.pause()
        exchange.deliver(taker)
        assert taker.taken == b""
        exchange.resume()
        assert taker.ended

    def test_what_was_read_before_the_loss_is_handed_out(self) -> None:
        """A registry that closes after its answer took nothing back."""
        exchange = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        self.visit(1).close()
        assert self.body(exchange) == b"abc"

    def test_upload(self) -> None:
        """A registry that takes nothing pauses the client; nothing is kept here."""
        body, fed = FedBody(2 << 20), [0]

        def feed() -> None:
            while not body.paused and fed[0] < 2 << 20:
                fed[0] += 16384  # before the call, which may call us again
                body.feed(bytes(16384))
            if fed[0] == 2 << 20 and not body.paused:
                fed[0] += 1
                body.end()

        body.on_resume = feed
        asking = self.ask(b"PUT", body)
        visit = self.visit(1)
        assert body.paused
        assert len(visit.theirs.queued) < 65536 + 2 * 16384
        heard = visit.heard
        assert visit.theirs.peak < 65536 + 2 * 16384
        assert heard.endswith(bytes(2 << 20))
        assert body.pauses > 10
        visit.answer(status=b"201 Created")
        assert self.body(self.successResultOf(asking)) == b""


class UploadTests(UpstreamTestCase):
    """Bodies of requests."""

    def test_length(self) -> None:
        """Sent as it comes."""
        body = FedBody(6)
        asking = self.ask(b"PUT", body)
        body.feed(b"abc")
        assert self.visit(1).heard.endswith(b"Content-Length: 6\r\n\r\nabc")
        body.feed(b"def")
        body.end()
        assert self.visit(1).heard.endswith(b"abcdef")
        self.visit(1).answer()
        self.successResultOf(asking).let_go()

    def test_chunks(self) -> None:
        """With chunks of our own."""
        body = FedBody(None)
        self.ask(b"PATCH", body)
        body.feed(b"abc")
        body.feed(b"defgh")
        body.end()
        assert self.visit(1).heard.endswith(
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
        )

    def test_client_breaks_off(self) -> None:
        """The registry is cut off: what it has must not look complete."""
        body = FedBody(6)
        asking = self.ask(b"PUT", body)
        body.feed(b"abc")
        body.lose()
        assert "incomplete" in self.failed(asking, ClientGone)
        assert self.visit(1).lost

    def test_early_refusal(self) -> None:
        """An answer that comes while the body flows is handed out; its end ends both."""
        body, taker = FedBody(1 << 30), Taker()
        asking = self.ask(b"PUT", body)
        body.feed(b"abc")
        self.visit(1).answer(b"too large", status=b"413 Content Too Large")
        exchange = self.successResultOf(asking)
        assert exchange.status == 413
        body.feed(b"def")
        exchange.deliver(taker)
        assert (taker.taken, taker.ended) == (b"too large", True)
        body.feed(b"ghi")
        self.visit(1).pump()
        assert self.visit(1).lost

    def test_early_promise(self) -> None:
        """A registry that answers well before it has everything still gets everything."""
        body, taker = FedBody(6), Taker()
        asking = self.ask(b"PUT", body)
        self.visit(1).answer(b"fine", status=b"201 Created")
        self.successResultOf(asking).deliver(taker)
        body.feed(b"abcdef")
        assert not taker.ended
        body.end()
        assert taker.ended
        assert self.visit(1).heard.endswith(b"abcdef")
        self.ask()
        self.visit(1)

    def test_refused_upload_is_reset(self) -> None:
        """A registry that hangs up in the middle of a body has not answered."""
        body = FedBody(6)
        asking = self.ask(b"PUT", body)
        body.feed(b"abc")
        self.visit(1).reset()
        assert "lost before it answered" in self.failed(asking, OriginUnreachable)
        body.feed(b"def")
        body.end()

    def test_registry_takes_nothing(self) -> None:
        """It has its time; then the client hears of it."""
        body = FedBody(1 << 30)
        asking = self.ask(b"PUT", body)
        body.feed(bytes(100000))
        assert body.paused
        self.clock.advance(LIMITS.silence_s - 1)
        self.assertNoResult(asking)
        self.clock.advance(1)
        text = self.failed(asking, OriginUnreachable)
        assert text == "http://registry.example: it took none of the request's body for 60 s"

    def test_a_slow_client_is_not_the_registrys_fault(self) -> None:
        """While the body comes, the time for the answer has not begun."""
        body = FedBody(6)
        asking = self.ask(b"PUT", body)
        self.clock.advance(1000)
        self.assertNoResult(asking)
        body.feed(b"abcdef")
        body.end()
        self.clock.advance(LIMITS.answer_s)
        assert "no answer in 60 s" in self.failed(asking, OriginUnreachable)


class ExpectTests(UpstreamTestCase):
    """100-continue."""

    def expecting(self) -> tuple[Deferred[Exchange], FedBody]:
        """A client that waits."""
        body = FedBody(3)
        asking = self.ask(b"PUT", body, (b"Expect", b"100-continue"), expects=True)
        assert b"Expect: 100-continue\r\n" in self.visit(1).heard
        assert not body.taken
        return asking, body

    def test_go_on(self) -> None:
        """The registry says so."""
        asking, body = self.expecting()
        self.visit(1).say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert body.taken
        body.feed(b"abc")
        body.end()
        self.clock.advance(LIMITS.continue_s + 1)
        self.visit(1).answer(status=b"201 Created")
        assert self.body(self.successResultOf(asking)) == b""
        self.ask()
        self.visit(1)

    def test_it_does_not_know(self) -> None:
        """After a second the body is sent without its word, which may still come."""
        asking, body = self.expecting()
        self.clock.advance(LIMITS.continue_s)
        assert body.taken
        self.visit(1).say(b"HTTP/1.1 100 Continue\r\n\r\n")
        body.feed(b"abc")
        body.end()
        self.visit(1).answer(status=b"201 Created")
        self.successResultOf(asking).let_go()

    def test_no(self) -> None:
        """The answer is handed out, the body stays with the client, the connection ends."""
        asking, body = self.expecting()
        self.visit(1).answer(b"no", status=b"401 Unauthorized")
        assert self.body(self.successResultOf(asking)) == b"no"
        self.clock.advance(LIMITS.continue_s + 1)
        assert not body.taken
        self.visit(1).pump()
        assert self.visit(1).lost


class BrokenTests(UpstreamTestCase):
    """Registries that do not speak HTTP, or stop in the middle of it."""

    def test_garbage(self) -> None:
        """Whatever it is: said once, without repeating it."""
        for count, garbage in enumerate(
            (
                b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
                b"HTTP/2.0 OK\r\n\r\n",
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nBad Name: s3cret\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
            )
        ):
            asking = self.ask()
            self.visit(count + 1).say(garbage)
            text = self.failed(asking, OriginError)
            assert text == "http://registry.example: the answer is not HTTP/1.1"
            assert self.visit(count + 1).lost

    def test_oversized_heads(self) -> None:
        """Lines without end are not collected."""
        asking = self.ask()
        self.visit(1).say(b"HTTP/1.1 200 OK\r\n")
        for _ in range(MAX_HEAD // 1024 + 1):
            self.visit(1).say(b"X-More: " + bytes(b"a" * 1014) + b"\r\n")
        assert "longer than 65536 bytes" in self.failed(asking, OriginError)

    def test_large_heads(self) -> None:
        """What real servers send is far from the limit."""
        exchange = self.exchange(b"HTTP/1.1 204 OK\r\nX-More: " + bytes(b"a" * 60000) + b"\r\n\r\n")
        assert len(exchange.headers[0][1]) == 60000
        exchange.abort()

    def lost(self, answer: bytes, end: str) -> OriginTruncated:
        """The error of a body that ends like that."""
        taker = Taker()
        self.exchange(answer).deliver(taker)
        getattr(self.registry.visit(), end)()
        assert not taker.ended
        assert isinstance(taker.error, OriginTruncated)
        return taker.error

    def test_cut(self) -> None:
        """Short of its length, of its last chunk, or without a proper close: not complete."""
        head = b"HTTP/1.1 200 OK\r\n"
        error = self.lost(head + b"Content-Length: 6\r\n\r\nabc", "close")
        assert str(error) == (
            "http://registry.example: the body ended after 3 of 6 bytes (the connection was closed)"
        )
        error = self.lost(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "close")
        assert "after 3 bytes (the connection was closed)" in str(error)
        error = self.lost(b"HTTP/1.0 200 OK\r\n\r\nabc", "reset")
        assert "after 3 bytes (the connection was lost)" in str(error)

    def test_cut_before_it_is_taken(self) -> None:
        """What had come is handed out first, then the error."""
        exchange, taker = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"), Taker()
        self.visit(1).reset()
        exchange.deliver(taker)
        assert taker.taken == b"abc"
        assert isinstance(taker.error, OriginTruncated)

    def test_broken_chunks(self) -> None:
        """A body whose framing makes no sense is not complete either."""
        error = self.lost(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", "pump"
        )
        assert "after 3 bytes (its framing is broken)" in str(error)

    def test_stall(self) -> None:
        """Silence ends it, after as long as it takes."""
        exchange, taker = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"), Taker()
        exchange.deliver(taker)
        self.clock.advance(LIMITS.silence_s - 1)
        self.visit(1).say(b"d")
        self.clock.advance(LIMITS.silence_s - 1)
        assert taker.error is None
        self.clock.advance(1)
        assert str(taker.error) == (
            "http://registry.example: the body fell silent for 60 s after 4 of 6 bytes"
        )
        assert self.visit(1).lost

    def test_pauses_are_not_silence(self) -> None:
        """A slow reader does not make the registry guilty, but nothing waits for ever."""
        exchange, taker = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"), Taker()
        exchange.deliver(taker)
        exchange.pause()
        self.clock.advance(LIMITS.silence_s * 2)
        assert taker.error is None
        exchange.resume()
        self.clock.advance(LIMITS.silence_s - 1)
        assert taker.error is None
        exchange.pause()
        self.clock.advance(LIMITS.pause_s)
        assert "was left paused for 600 s" in str(taker.error)

    def test_nobody_takes_it(self) -> None:
        """An answer that is forgotten does not keep its connection."""
        exchange, taker = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"), Taker()
        self.clock.advance(LIMITS.pause_s)
        assert self.visit(1).lost
        exchange.deliver(taker)
        assert isinstance(taker.error, OriginTruncated)

    def test_dribbled_heads(self) -> None:
        """A head that comes byte by byte has no more time than one that does not come."""
        asking = self.ask()
        for _ in range(int(LIMITS.answer_s)):
            self.visit(1).say(b"HTTP/1.1 103 Wait\r\n\r\n")
            self.clock.advance(1)
        text = self.failed(asking, OriginUnreachable)
        assert text == "http://registry.example: no answer in 60 s"
        assert self.visit(1).lost


class EndTests(UpstreamTestCase):
    """Letting go, and stopping."""

    def test_a_short_rest_is_read(self) -> None:
        """The connection is worth it."""
        exchange = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        exchange.let_go()
        self.visit(1).say(b"def")
        self.ask()
        self.visit(1)

    def test_a_short_rest_that_does_not_come(self) -> None:
        """It is not worth much."""
        exchange = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        exchange.let_go()
        self.clock.advance(LIMITS.linger_s)
        assert self.visit(1).lost

    def test_a_long_rest_is_cut(self) -> None:
        """Nor is a gigabyte, or nobody knows how much."""
        for framing in (b"Content-Length: 1000000", b"Transfer-Encoding: chunked"):
            self.exchange(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n").let_go()
            assert self.registry.visit().lost

    def test_an_upload_is_cut(self) -> None:
        """The rest of the request will not come."""
        body = FedBody(6)
        asking = self.ask(b"PUT", body)
        self.visit(1).answer()
        self.successResultOf(asking).let_go()
        assert self.visit(1).lost

    def test_aborting(self) -> None:
        """Not a byte more."""
        exchange, taker = self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"), Taker()
        exchange.deliver(taker)
        exchange.abort()
        for call in (exchange.pause, exchange.resume, exchange.abort, exchange.let_go):
            call()
        assert self.visit(1).lost
        assert (taker.taken, taker.ended, taker.error) == (b"", False, None)
