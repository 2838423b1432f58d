"""A registry in memory that says what a test tells it to say, byte by byte.

::

    registry = MemoryRegistry()
    upstream = Upstream(Clock(), endpoints=registry)
    ...
    visit = registry.visit()            # the last connection
    assert visit.heard.startswith(b"GET /v2/ HTTP/1.1")
    visit.say(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nOK")
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.daemon.routing.registry import Registry
from tests.doubles.bounded_pipe import BoundedPipe, pump

__all__ = ["MemoryRegistry", "Visit"]


class Visit(Protocol):
    """One connection, seen from the registry.

    :ivar ours: the end that the registry writes to.
    :ivar theirs: the end that is under test.
    """

    def __init__(self, ours: BoundedPipe, theirs: BoundedPipe) -> None:
        self.ours = ours
        self.theirs = theirs
        self.received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Noted."""
        self.lost = True

    @property
    def heard(self) -> bytes:
        """All that came, now."""
        self.pump()
        return bytes(self.received)

    def pump(self) -> None:
        """Move everything that can move."""
        pump(self.ours, self.theirs)

    def say(self, data: bytes) -> None:
        """Send it."""
        self.ours.write(data)
        self.pump()

    def answer(self, body: bytes = b"", *lines: bytes, status: bytes = b"200 OK") -> None:
        """Send a whole answer."""
        head = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines, b"", b"")
        self.say(b"\r\n".join(head) + body)

    def close(self) -> None:
        """Close in good order."""
        self.ours.loseConnection()
        self.pump()

    def reset(self) -> None:
        """Cut."""
        self.ours.abortConnection()


class MemoryRegistry:
    """Takes connections.

    :ivar visits: all of them, in order.
    :ivar refuses: connecting fails with this.
    :ivar silent: connecting takes for ever.
    :ivar cancelled: how many attempts were given up.
    """

    def __init__(self, *, high: int = 65536, spill: int = 0) -> None:
        self.visits: list[Visit] = []
        self.refuses: Exception | None = None
        self.silent = False
        self.cancelled = 0
        self._high = high
        self._spill = spill

    def endpoint(self, registry: Registry) -> IStreamClientEndpoint:
        """There is one way to it."""
        return _Endpoint(self)

    def plain(self, registry: Registry) -> IStreamClientEndpoint:
        """The same."""
        return _Endpoint(self)

    def visit(self, count: int | None = None) -> Visit:
        """The last connection; there must be so many."""
        if count is not None:
            assert len(self.visits) == count
        return self.visits[-1]

    def connect(self, factory: Any) -> Deferred[Any]:
        """What the endpoint does."""
        if self.silent:
            return Deferred(self._give_up)
        if self.refuses is not None:
            return fail(self.refuses)
        theirs, ours = BoundedPipe.pair(high=self._high, spill=self._spill)
        visit = Visit(ours, theirs)
        ours.connect(visit)
        protocol = factory.buildProtocol(None)
        theirs.connect(protocol)
        self.visits.append(visit)
        return succeed(protocol)

    def _give_up(self, _: object) -> None:
        self.cancelled += 1


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return self._registry.connect(protocolFactory)
