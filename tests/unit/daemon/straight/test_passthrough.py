"""Straight on: what the registry hears, what the client gets, and how it may end in between."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.daemon.http.marks import FROM_ORIGIN
from dragonfly.daemon.http.messages import RequestHead
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.straight.passthrough import Passthrough
from dragonfly.daemon.upstream.link import CLOSE_S
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import ClientGone, OriginError, OriginUnreachable
from dragonfly.net.throttle import AHEAD_BYTES, Throttle
from tests.doubles.registry import MemoryRegistry, Visit
from tests.doubles.responding import FedBody, HeardResponder, request, routed

REGISTRY = Registry(scheme="http", host="registry.example", port=5000)
PATH = b"/v2/library/x/manifests/1"


class PassthroughTestCase(SynchronousTestCase):
    """A registry in memory, and one client at a time."""

    def setUp(self) -> None:
        """Nothing was asked yet."""
        self.clock = Clock()
        self.registry = MemoryRegistry()
        self.upstream = Upstream(self.clock, endpoints=self.registry)
        self.passthrough = Passthrough(self.upstream, via=b"dragonfly-1")
        self.note = Note(method="GET", target="/", client="")

    def tearDown(self) -> None:
        """No connection and no timer is left."""
        closing = self.upstream.close()
        for visit in self.registry.visits:
            visit.pump()
        self.clock.pump([CLOSE_S])
        self.successResultOf(closing)
        assert self.clock.getDelayedCalls() == []

    def forward(
        self, head: RequestHead | None = None, body: FedBody | None = None
    ) -> tuple[HeardResponder, Deferred[None]]:
        """A request that is on its way."""
        self.responder = HeardResponder(head or request(b"GET", PATH), body)
        self.answering = Deferred.fromCoroutine(
            self.passthrough.answer(
                self.responder, routed(self.responder.head, REGISTRY), self.note
            )
        )
        return self.responder, self.answering

    @property
    def visit(self) -> Visit:
        """The last connection."""
        return self.registry.visit()


class LimitTests(PassthroughTestCase):
    """Where there is a rate limit."""

    def test_a_limit(self) -> None:
        """The registry is read no faster, and the client gets everything."""
        limit = Throttle(self.clock, 20 * AHEAD_BYTES)
        self.passthrough = Passthrough(self.upstream, via=b"dragonfly-1", limit=limit)
        responder, answering = self.forward()
        body = bytes(4 * AHEAD_BYTES)
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertNoResult(answering)
        assert 0 < len(responder.received) < len(body)
        for _ in range(30):
            self.clock.advance(0.01)
            self.visit.pump()
        self.successResultOf(answering)
        assert responder.received == body
        assert limit.waiting == 0

    def test_a_client_that_leaves(self) -> None:
        """Nothing waits for it."""
        limit = Throttle(self.clock, 1000)
        self.passthrough = Passthrough(self.upstream, via=b"dragonfly-1", limit=limit)
        responder, answering = self.forward()
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + bytes(300_000))
        assert limit.waiting == 1
        responder.leave()
        self.successResultOf(answering)
        assert limit.waiting == 0


class RequestTests(PassthroughTestCase):
    """What the registry hears."""

    def test_lines(self) -> None:
        """Those of the client, with another Host, and our name at the end."""
        lines = (b"accept", b"a"), (b"X-y", b""), (b"ACCEPT", b"b"), (b"Connection", b"x-gone")
        self.forward(request(b"GET", PATH + b"?n=1", *lines, (b"X-Gone", b"1")))
        assert self.visit.heard == (
            b"GET /v2/library/x/manifests/1?n=1 HTTP/1.1\r\nHost: registry.example:5000\r\n"
            b"accept: a\r\nX-y: \r\nACCEPT: b\r\nVia: 1.1 dragonfly-1\r\n\r\n"
        )
        self.answering.addErrback(lambda _: None)

    def test_push(self) -> None:
        """An upload in chunks goes on in chunks, at once."""
        body = FedBody(None)
        chunked = (b"Transfer-Encoding", b"chunked")
        responder, answering = self.forward(request(b"PATCH", PATH, chunked), body)
        body.feed(b"abc")
        assert self.visit.heard.endswith(
            b"Transfer-Encoding: chunked\r\nVia: 1.1 dragonfly-1\r\n\r\n3\r\nabc\r\n"
        )
        body.feed(b"de")
        body.end()
        self.visit.answer(b"", b"Location: https://other/v2/x", status=b"202 Accepted")
        self.successResultOf(answering)
        assert responder.ending == "finished"
        assert (b"Location", b"https://other/v2/x") in responder.headers

    def test_expectations(self) -> None:
        """The body is fetched from the client when the registry wants it."""
        body = FedBody(3)
        lines = (b"Content-Length", b"3"), (b"Expect", b"100-continue")
        _, answering = self.forward(request(b"PUT", PATH, *lines), body)
        assert b"Expect: 100-continue\r\n" in self.visit.heard
        assert not body.taken
        self.visit.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert body.taken
        body.feed(b"abc")
        body.end()
        self.visit.answer(status=b"201 Created")
        self.successResultOf(answering)

    def test_refused_expectations(self) -> None:
        """The answer is there, the body never left the client."""
        body = FedBody(3)
        lines = (b"Content-Length", b"3"), (b"Expect", b"100-continue")
        responder, answering = self.forward(request(b"PUT", PATH, *lines), body)
        self.visit.answer(b"who?", b'WWW-Authenticate: Basic realm="x"', status=b"401 Unauthorized")
        self.successResultOf(answering)
        assert not body.taken
        assert (responder.status, bytes(responder.received)) == (401, b"who?")
        assert (b"WWW-Authenticate", b'Basic realm="x"') in responder.headers


class AnswerTests(PassthroughTestCase):
    """What the client gets."""

    def test_answer(self) -> None:
        """Status, phrase, lines, body; and what is remembered of it."""
        responder, answering = self.forward()
        self.visit.say(
            b"HTTP/1.1 203 Odd\r\nContent-Length: 5\r\nx-A: 1\r\nKeep-Alive: timeout=5\r\n"
            b"X-a: 2\r\n\r\nhe"
        )
        self.assertNoResult(answering)
        assert bytes(responder.received) == b"he"
        self.visit.say(b"llo")
        self.successResultOf(answering)
        assert (responder.status, responder.reason) == (203, b"Odd")
        lines = ((b"Content-Length", b"5"), (b"x-A", b"1"), (b"X-a", b"2"))
        assert responder.headers == (*lines, *FROM_ORIGIN)
        assert (bytes(responder.received), responder.ending) == (b"hello", "finished")
        assert self.note.route == "direct"
        assert (self.note.status, self.note.sent, self.note.ending) == (203, 5, "done")
        assert self.note.sources == {"cache": 0, "peers": 0, "cdn": 0, "registry": 5}
        assert self.note.why == ""

    def test_chunks(self) -> None:
        """They are the front's to make again; a length that came with them counts nothing."""
        responder, answering = self.forward()
        self.visit.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        self.successResultOf(answering)
        assert responder.headers == ((b"X", b"y"), *FROM_ORIGIN)
        assert (bytes(responder.received), responder.ending) == (b"abcde", "finished")

    def test_head(self) -> None:
        """A length without a body."""
        responder, answering = self.forward(request(b"HEAD", PATH))
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        self.successResultOf(answering)
        assert responder.headers == ((b"Content-Length", b"1000"), *FROM_ORIGIN)
        assert (responder.sent, responder.ending) == (0, "finished")

    def test_slow_client(self) -> None:
        """The registry waits for it, and is not accused of silence meanwhile."""
        responder, answering = self.forward()
        responder.room = 1000
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(300000))
        assert responder.sent < 70000
        assert not self.visit.theirs.reading
        self.clock.advance(100)
        while not responder.over:
            responder.take(1000)
            self.visit.pump()
        self.successResultOf(answering)
        assert (responder.sent, responder.ending) == (300000, "finished")


class EndingTests(PassthroughTestCase):
    """How it may end in between."""

    def test_unreachable(self) -> None:
        """The front says 502; nothing was started."""
        self.registry.refuses = Refused()
        responder, answering = self.forward()
        error = self.failureResultOf(answering, OriginUnreachable).value
        assert str(error) == "http://registry.example:5000: connection refused"
        assert (responder.status, responder.ending) == (0, "")

    def test_cut(self) -> None:
        """A body that cannot be completed ends in a cut, and it is said why."""
        responder, answering = self.forward()
        self.note.because("no supernode is configured")
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        self.visit.close()
        self.successResultOf(answering)
        assert (bytes(responder.received), responder.ending) == (b"he", "aborted")
        assert responder.producer is None
        assert (self.note.ending, self.note.sent, self.note.status) == ("aborted", 2, 200)
        assert self.note.why.startswith("no supernode is configured; then: ")
        assert "the body ended after 2 of 5 bytes" in self.note.why

    def test_gone_on_the_way(self) -> None:
        """A client that does not wait for the connection."""
        self.registry.silent = True
        responder, answering = self.forward()
        responder.leave()
        self.successResultOf(answering)
        assert self.registry.cancelled == 1
        assert self.note.ending == "gone"

    def test_gone_before_the_answer(self) -> None:
        """The registry need not answer."""
        responder, answering = self.forward()
        responder.leave()
        self.successResultOf(answering)
        assert self.visit.lost
        assert self.note.ending == "gone"

    def test_gone_before_we_began(self) -> None:
        """The registry is not even asked for long."""
        self.responder = HeardResponder(request(b"GET", PATH))
        self.responder.leave()
        answer = self.passthrough.answer(
            self.responder, routed(self.responder.head, REGISTRY), self.note
        )
        self.successResultOf(Deferred.fromCoroutine(answer))
        assert all(visit.lost for visit in self.registry.visits)
        assert self.note.ending == "gone"

    def test_gone_in_the_middle(self) -> None:
        """A large rest is cut."""
        responder, answering = self.forward()
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nhe")
        responder.leave()
        self.successResultOf(answering)
        assert self.visit.lost
        assert (self.note.ending, self.note.sent, self.note.status) == ("gone", 2, 200)

    def test_gone_near_the_end(self) -> None:
        """A small rest is read, for the sake of the connection; the client gets none of it."""
        responder, answering = self.forward()
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        responder.leave()
        self.successResultOf(answering)
        self.visit.say(b"llo")
        assert not self.visit.lost
        assert bytes(responder.received) == b"he"
        self.forward()
        self.registry.visit(1).answer()
        self.successResultOf(self.answering)

    def test_gone_while_uploading(self) -> None:
        """What the registry has must not look complete."""
        body = FedBody(None)
        responder, answering = self.forward(request(b"PATCH", PATH), body)
        body.feed(b"abc")
        responder.leave()
        body.lose()
        self.successResultOf(answering)
        assert self.visit.lost
        assert not self.visit.heard.endswith(b"0\r\n\r\n")
        assert self.note.ending == "gone"

    def test_silent_while_uploading(self) -> None:
        """What the front says of a client that is still there is raised to it."""
        body = FedBody(6)
        _, answering = self.forward(request(b"PUT", PATH), body)
        body.feed(b"abc")
        body.lose()
        self.failureResultOf(answering, ClientGone)
        assert self.visit.lost

    def test_early_refusal(self) -> None:
        """The client hears it while it is sending."""
        body = FedBody(1 << 40)
        responder, answering = self.forward(request(b"PUT", PATH), body)
        body.feed(bytes(100000))
        assert body.paused
        self.visit.ours.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        self.visit.pump()
        self.successResultOf(answering)
        assert (responder.status, bytes(responder.received)) == (413, b"big")
        assert responder.ending == "finished"
        body.feed(b"more")

    def test_unsendable_answer(self) -> None:
        """A head that the front cannot send: nothing was started, and the registry is cut off."""
        responder, answering = self.forward()
        responder.refuses = OriginError("no")
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        self.failureResultOf(answering, OriginError)
        assert self.visit.lost
        assert responder.ending == ""

    def test_cancelled(self) -> None:
        """Both connections are cut: before the answer, and in the middle of it."""
        _, answering = self.forward()
        answering.cancel()
        self.failureResultOf(answering, CancelledError)
        assert self.visit.lost
        responder, answering = self.forward()
        self.visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        answering.cancel()
        self.failureResultOf(answering, CancelledError)
        assert self.visit.lost
        assert responder.ending == "aborted"
        assert self.note.ending == "aborted"
