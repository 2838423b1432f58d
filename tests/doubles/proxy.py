"""A real HTTP proxy: absolute-form and CONNECT. All names are 127.0.0.1 to it.

::

    proxy = FakeProxy(reactor, login=("user", "secret"))
    await proxy.start()
    ... Proxies.of({"ALL_PROXY": proxy.url()}) ...
    assert proxy.targets == [b"CONNECT registry.example:5001"]
    await proxy.stop()
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from dragonfly.net.fanout import OneShot

__all__ = ["FakeProxy"]


class FakeProxy:
    """The proxy, on 127.0.0.1 and a port of the kernel's choice.

    :param login: user and password that it asks for; else 407.
    :param tls: key and certificate, for an https proxy.

    :ivar refuses: the status with which it answers everything; 0: none.
    :ivar says: what it says to everything instead of an answer; empty: nothing.
    :ivar heads: of the requests, as they came.
    :ivar connections: how many were accepted.
    """

    def __init__(
        self, reactor: Any, *, login: tuple[str, str] | None = None, tls: Any = None
    ) -> None:
        self.login = login
        self.refuses = 0
        self.says: bytes | None = None
        self.heads: list[bytes] = []
        self.connections = 0
        self.reactor = reactor
        self.open: set[_Half] = set()
        self._tls = tls
        self._port: Any = None

    async def start(self) -> None:
        """Listen."""
        factory: Any = Factory.forProtocol(lambda: _Client(self))
        factory.noisy = False
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, False, factory, self.reactor)
        self._port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def stop(self) -> None:
        """Stop listening, and cut everything."""
        await self._port.stopListening()
        for half in list(self.open):
            half.abort()
        for half in list(self.open):
            await half.gone.wait()

    @property
    def port(self) -> int:
        """Its number."""
        port: int = self._port.getHost().port
        return port

    def url(self, *, host: str = "127.0.0.1", userinfo: str = "") -> str:
        """For the variables."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{userinfo}{'@' if userinfo else ''}{host}:{self.port}"

    @property
    def targets(self) -> list[bytes]:
        """Method and target of the requests."""
        return [head.partition(b" HTTP/")[0] for head in self.heads]

    def admits(self, head: bytes) -> bool:
        """Whether the login is right."""
        if self.login is None:
            return True
        right = b64encode(":".join(self.login).encode())
        return b"\r\nProxy-Authorization: Basic " + right + b"\r\n" in head + b"\r\n"


class _Half(Protocol):
    """One end of what is being passed on."""

    def __init__(self, proxy: FakeProxy) -> None:
        self.proxy = proxy
        self.other: _Half | None = None
        self.gone: OneShot[None] = OneShot()

    @property
    def wire(self) -> Any:
        """The transport."""
        return self.transport

    def connectionMade(self) -> None:
        """To be cut in the end."""
        self.proxy.open.add(self)

    def join(self, other: _Half) -> None:
        """From now on what comes here goes there, as fast as it is taken, and back."""
        self.other, other.other = other, self
        self.wire.registerProducer(other.wire, True)
        other.wire.registerProducer(self.wire, True)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        assert self.other is not None
        self.other.wire.write(data)

    def abort(self) -> None:
        """At once."""
        self.wire.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Both ends go."""
        self.proxy.open.discard(self)
        other, self.other = self.other, None
        if other is not None:
            other.other = None
            other.wire.unregisterProducer()
            other.wire.loseConnection()
        self.gone.fire(None)


class _Client(_Half):
    """A client; it asks one origin by all its requests, none of which has a body."""

    def __init__(self, proxy: FakeProxy) -> None:
        super().__init__(proxy)
        self._received = b""
        self._tunnel = False
        self._busy = False

    def connectionMade(self) -> None:
        """Count."""
        super().connectionMade()
        self.proxy.connections += 1

    def dataReceived(self, data: bytes) -> None:
        """A request, or bytes of a tunnel."""
        if self._tunnel:
            super().dataReceived(data)
            return
        self._received += data
        while not self._busy and not self._tunnel and b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._heard(head)

    def _heard(self, head: bytes) -> None:
        proxy = self.proxy
        proxy.heads.append(head)
        refused = proxy.refuses or (0 if proxy.admits(head) else 407)
        if proxy.says is not None:
            self.wire.write(proxy.says)
        elif refused:
            answer = b"HTTP/1.1 %d No\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno"
            self.wire.write(answer % refused)
        elif head.startswith(b"CONNECT "):
            port = int(head.split()[1].rpartition(b":")[2])
            self._dial(port).addCallback(self._tunnelled)
        else:
            url = urlsplit(head.split()[1])
            self._forward(head, url.port or 80)

    def _forward(self, head: bytes, port: int) -> None:
        method, target, rest = head.split(b" ", 2)
        origin_form = b"/" + target.split(b"/", 3)[3]
        lines = [b" ".join((method, origin_form, rest)), b"Via: 1.1 fake", b"", b""]
        first, *others = lines[0].split(b"\r\n")
        kept = [line for line in others if not line.lower().startswith(b"proxy-")]
        data = b"\r\n".join((first, *kept, *lines[1:]))
        if self.other is not None:
            self.other.wire.write(data)
        else:
            self._dial(port).addCallback(lambda _: super(_Client, self).dataReceived(data))

    def _dial(self, port: int) -> Deferred[Any]:
        self._busy = True
        endpoint = TCP4ClientEndpoint(self.proxy.reactor, "127.0.0.1", port)
        dialled: Deferred[Any] = connectProtocol(endpoint, _Half(self.proxy))
        return dialled.addCallbacks(self._dialled, self._failed)

    def _dialled(self, half: _Half) -> None:
        self._busy = False
        self.join(half)

    def _failed(self, failure: Failure) -> Failure:
        self.wire.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        self._busy = False
        return failure

    def _tunnelled(self, _: object) -> None:
        self._tunnel = True
        self.wire.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        more, self._received = self._received, b""
        if more:
            super().dataReceived(more)
