"""A client of registries with a registry in memory."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.daemon.http.messages import Headers
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.daemon.upstream.link import CLOSE_S
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import DragonflyError
from dragonfly.net.proxies import Proxies
from tests.doubles.registry import MemoryRegistry, Visit
from tests.doubles.responding import FedBody

__all__ = ["REGISTRY", "Taker", "UpstreamTestCase"]

REGISTRY = Registry(scheme="http", host="registry.example", port=80)
HOST: Headers = ((b"Host", b"registry.example"),)


class Taker:
    """Takes the body of an answer."""

    def __init__(self) -> None:
        self.taken = b""
        self.ended = False
        self.error: Exception | None = None
        self.more = lambda: None

    def body_data(self, data: bytes) -> None:
        """Keep it."""
        self.taken += data
        self.more()

    def body_ended(self) -> None:
        """Once."""
        assert not self.ended
        assert self.error is None
        self.ended = True

    def body_lost(self, error: Exception) -> None:
        """Once."""
        assert not self.ended
        assert self.error is None
        self.error = error


class UpstreamTestCase(SynchronousTestCase):
    """A client with a registry in memory.

    :cvar proxies: what is between the two, by the client's rules.
    """

    proxies = Proxies()

    def setUp(self) -> None:
        """Nothing was asked yet."""
        self.clock = Clock()
        self.registry = MemoryRegistry()
        self.upstream = Upstream(self.clock, endpoints=self.registry, proxies=self.proxies)
        self.asked: list[Deferred[Exchange]] = []

    def tearDown(self) -> None:
        """However it went: no connection and no timer is left."""
        for asking in self.asked:
            asking.addErrback(lambda _: None)  # what a test did not look at
        closing = self.upstream.close()
        for visit in self.registry.visits:
            visit.pump()
        self.clock.pump([CLOSE_S])
        self.successResultOf(closing)
        assert self.clock.getDelayedCalls() == []
        assert all(not visit.theirs.connected for visit in self.registry.visits)

    def ask(
        self,
        method: bytes = b"GET",
        body: FedBody | None = None,
        *lines: tuple[bytes, bytes],
        registry: Registry = REGISTRY,
        expects: bool = False,
    ) -> Deferred[Exchange]:
        """Ask for /v2/."""
        length = body.length if body is not None else 0
        framed: Headers = ((b"Transfer-Encoding", b"chunked"),)
        if length is not None:
            framed = ((b"Content-Length", b"%d" % length),) if length else ()
        headers = (*HOST, *lines, *framed)
        asking = self.upstream.ask(registry, method, b"/v2/", headers, body, expects=expects)
        self.asked.append(Deferred.fromCoroutine(asking))
        return self.asked[-1]

    def visit(self, count: int) -> Visit:
        """The last of so many connections."""
        return self.registry.visit(count)

    def exchange(self, answer: bytes, method: bytes = b"GET") -> Exchange:
        """An exchange with this answer."""
        asking = self.ask(method)
        self.registry.visit().say(answer)
        return self.successResultOf(asking)

    def body(self, exchange: Exchange) -> bytes:
        """Its whole body."""
        taker = Taker()
        exchange.deliver(taker)
        self.registry.visit().pump()
        assert taker.ended
        return taker.taken

    def failed(self, asking: Deferred[Exchange], kind: type[DragonflyError]) -> str:
        """The text of the error, of exactly that class."""
        error = self.failureResultOf(asking, kind).value
        assert type(error) is kind
        return str(error)
