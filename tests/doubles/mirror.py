"""A whole mirror in one process, on loopback: front, desk, peer; and a client that looks closely.

::

    mirror = Mirror(peer, parse_registry(origin.url("")), reactor)
    mirror.start()
    answer = await mirror.get("/v2/x/blobs/sha256:...")
    assert answer.complete and answer.body == body
    await mirror.stop()
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import h11
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from dragonfly.daemon.blobs.blob import Blobs
from dragonfly.daemon.blobs.swarmaccess import SwarmAccess, SwarmSettings
from dragonfly.daemon.desk import Desk
from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rule, Rules
from dragonfly.daemon.straight.namecheck import NameCheck
from dragonfly.daemon.straight.passthrough import Passthrough
from dragonfly.daemon.upstream.upstream import Upstream
from tests.doubles.peers import Peer

__all__ = ["Answer", "Mirror", "Visitor"]

VIA = b"dfdaemon-of-a-test"


@attrs.define(eq=False)
class Answer:
    """What a client got.

    :ivar complete: by its framing, all of it came.
    """

    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytearray = attrs.field(factory=bytearray, repr=False)
    complete: bool = False


class Visitor(Protocol):
    """A client with one request on one connection.

    :ivar done: fires with the :class:`Answer` when it is complete or the connection is gone.
    """

    def __init__(self, request: bytes, method: str = "GET") -> None:
        self.answer = Answer()
        self.done: Deferred[Answer] = Deferred()
        self._request = request
        self._http = h11.Connection(h11.CLIENT)
        self._http.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self._http.send(h11.EndOfMessage())

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.write(self._request)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Take it."""
        self._http.receive_data(data)
        self._take()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was it."""
        if not self.answer.complete and reason.check(type(connectionDone.value)):
            self._http.receive_data(b"")
            self._take()
        self._end()

    def hang_up(self) -> None:
        """As clients do."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _take(self) -> None:
        try:
            while True:
                event: Any = self._http.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                    return
                self._saw(event)
        except h11.RemoteProtocolError:
            return  # cut

    def _saw(self, event: Any) -> None:
        if isinstance(event, h11.Response):
            self.answer.status = event.status_code
            self.answer.headers = {
                name.decode(): value.decode("latin-1") for name, value in event.headers
            }
        elif isinstance(event, h11.Data):
            self.answer.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.answer.complete = True
            self.transport.loseConnection()  # type: ignore[union-attr]
            self._end()

    def _end(self) -> None:
        if not self.done.called:
            self.done.callback(self.answer)


class Mirror:
    """Everything between a client and ``registry`` but the daemon's configuration.

    :param rules: before the one for layers.
    :param known: other registries that the operator describes.
    :ivar notes: of all requests that are over.
    """

    def __init__(
        self,
        peer: Peer,
        registry: Registry,
        reactor: Any,
        *,
        rules: Iterable[Rule] = (),
        known: Iterable[Registry] = (),
        **settings: Any,
    ) -> None:
        self.notes: list[Note] = []
        self._reactor = reactor
        self._upstream = Upstream(reactor)
        passthrough = Passthrough(self._upstream, via=VIA)
        service = peer.service
        self.blobs = Blobs(
            SwarmAccess(
                SwarmSettings(**{"nodes": peer.nodes, **settings}),
                fetch=service.fetch,
                holds=service.holds,
                clock=reactor,
            ),
            client=service.origins.get,
            straight_on=NameCheck(passthrough.answer).answer,
            clock=reactor,
            limit=service.total,
            via=VIA,
            boundary=lambda: b"b0undary",
        )
        desk = Desk(
            Router(Registries(registry, known), Rules(rules), hosts_in_paths=False),
            blobs=self.blobs,
            passthrough=passthrough,
            via=VIA,
            log=self.notes.append,
            clock=reactor,
        )
        self._front = FrontFactory(desk.answer, clock=reactor)
        self._port: Any = None

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self._port.getHost().port
        return number

    def start(self) -> None:
        """Listen."""
        self._port = self._reactor.listenTCP(0, self._front, interface="127.0.0.1")

    async def stop(self) -> None:
        """End all of it."""
        await self._port.stopListening()
        self._front.abort()
        await self._front.drain()
        await self._upstream.close()

    async def visit(self, path: str, *lines: str, method: str = "GET") -> Visitor:
        """Begin a request; the visitor has what comes of it."""
        head = (f"{method} {path} HTTP/1.1", "Host: mirror", "Connection: close", *lines, "", "")
        visitor = Visitor("\r\n".join(head).encode(), method)
        endpoint = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self.port)
        await connectProtocol(endpoint, visitor)
        return visitor

    async def get(self, path: str, *lines: str) -> Answer:
        """Ask, and give the whole answer."""
        return await (await self.visit(path, *lines)).done

    async def head(self, path: str, *lines: str) -> Answer:
        """Ask for the head alone."""
        return await (await self.visit(path, *lines, method="HEAD")).done
