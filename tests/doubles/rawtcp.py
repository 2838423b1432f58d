"""Bytes on real sockets, exactly as a test writes them and as the other side wrote them.

::

    async def script(line: RawLine) -> None:
        await line.head()
        line.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nOK")

    server = RawServer(reactor, script)
    await server.start()
    line = await RawLine.connect(reactor, server.port)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from dragonfly.net.fanout import OneShot

__all__ = ["RawLine", "RawServer"]


class RawLine(Protocol):
    """One connection.

    :ivar received: all that came.
    :ivar gone: fires when the connection is lost, with whether it was closed in good order.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.gone: OneShot[bool] = OneShot()
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    @classmethod
    async def connect(cls, reactor: Any, port: int) -> RawLine:
        """Connect to a port of 127.0.0.1."""
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
        line: Any = await endpoint.connect(Factory.forProtocol(cls))
        return line

    @property
    def wire(self) -> Any:
        """The transport."""
        return self.transport

    def write(self, data: bytes) -> None:
        """Send it."""
        self.wire.write(data)

    def close(self) -> None:
        """In good order."""
        self.wire.loseConnection()

    def reset(self) -> None:
        """Cut, if it is still there."""
        if not self.gone.fired:
            self.wire.abortConnection()

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait until that holds of what came.

        :raises ConnectionLost: it never will.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append((there, waiting))
        self._look()
        await waiting

    async def head(self) -> bytes:
        """Take everything up to the next empty line away and return it."""
        await self.until(lambda: b"\r\n\r\n" in self.received)
        return self._take(self.received.index(b"\r\n\r\n") + 4)

    async def take(self, count: int) -> bytes:
        """Take so many bytes away and return them."""
        await self.until(lambda: len(self.received) >= count)
        return self._take(count)

    async def rest(self) -> bytes:
        """All that comes until the connection ends, however that is."""
        await self.gone.wait()
        return self._take(len(self.received))

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell those who wait."""
        self._look()
        waiting, self._waiting = self._waiting, []
        for _, each in waiting:
            each.errback(ConnectionLost())
        self.gone.fire(reason.type is connectionDone.type)

    def _take(self, count: int) -> bytes:
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    def _look(self) -> None:
        for entry in list(self._waiting):
            if entry in self._waiting and entry[0]():
                self._waiting.remove(entry)
                entry[1].callback(None)


class RawServer:
    """Runs a script for each connection, on 127.0.0.1 and a port of the kernel's choice.

    :param tls: key and certificate.
    :ivar lines: all connections, in order.
    """

    def __init__(
        self, reactor: Any, script: Callable[[RawLine], Awaitable[None]], *, tls: Any = None
    ) -> None:
        self.lines: list[RawLine] = []
        self.script = script
        self._reactor = reactor
        self._tls = tls
        self._port: Any = None
        self._running: list[Deferred[None]] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._port.getHost().port
        return port

    async def start(self) -> None:
        """Listen."""
        factory: Any = _Factory(self)
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, False, factory, self._reactor)
        self._port = self._reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def leave(self) -> None:
        """Stop listening."""
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()

    async def stop(self) -> None:
        """Stop listening, cut what is open, and raise what a script raised."""
        await self.leave()
        for line in self.lines:
            line.reset()
        for line in self.lines:
            await line.gone.wait()
        for running in self._running:
            running.cancel()
            await running

    def run(self, line: RawLine) -> None:
        """Run the script; losing the connection ends it, and that is all right."""
        self.lines.append(line)
        running = Deferred.fromCoroutine(self._script(line))
        self._running.append(running)

    async def _script(self, line: RawLine) -> None:
        with suppress(CancelledError, ConnectionLost):
            await self.script(line)


class _Line(RawLine):
    def __init__(self, server: RawServer) -> None:
        super().__init__()
        self._server = server

    def connectionMade(self) -> None:
        self._server.run(self)


class _Factory(Factory):
    noisy = False

    def __init__(self, server: RawServer) -> None:
        self._server = server

    def buildProtocol(self, addr: Any) -> RawLine:
        return _Line(self._server)
