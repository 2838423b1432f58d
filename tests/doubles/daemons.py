"""Real dfdaemons in this process, on ports of the kernel's choice, and a client for them.

::

    daemon = await Daemon.started(tmp_path / "home", origin.url(""), node)
    answer = await daemon.get("/v2/a/blobs/sha256:...")
    assert answer.body == body
    await daemon.stop()
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers

from dragonfly.config import DaemonConfig, RegistryMirror
from dragonfly.config.proxies import ProxyRule
from dragonfly.daemon.composition import make_daemon
from dragonfly.daemon.service import DaemonService
from dragonfly.net.proxies import Proxies
from tests.doubles.peers import Supernode

__all__ = ["Answer", "Daemon"]


@attrs.frozen
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class _Collector(Protocol):
    """Takes a body; ``whole`` fails if it ends early."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self._data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was all."""
        if reason.check(ResponseDone):
            self.whole.callback(self._data)
        else:
            self.whole.errback(reason)


class Daemon:
    """A dfdaemon with a home of its own."""

    def __init__(self, service: DaemonService) -> None:
        self.service = service
        self._agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        self._running = True

    @classmethod
    async def started(
        cls,
        home: Path,
        registry: str,
        /,
        *nodes: Supernode,
        proxies: Proxies | None = None,
        rules: Sequence[ProxyRule] = (),
        **config: Any,
    ) -> Daemon:
        """Make one that mirrors ``registry``, and start it; ``rules`` are its ``proxies:``."""
        given = DaemonConfig(
            **{
                "registry": RegistryMirror(remote=registry),
                "nodes": tuple(node.node for node in nodes),
                "proxies": tuple(rules),
                "work_home": str(home),
                "port": 0,
                "peer_port": 0,
                "status_port": 0,
                **config,
            }
        )
        service = make_daemon(given, reactor, proxies=proxies)
        service.privilegedStartService()
        service.startService()
        return cls(service)

    @property
    def port(self) -> int:
        """The mirror's."""
        return self.service.ports.front.port

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask the mirror."""
        return await self._ask(self.port, path, headers or {})

    async def status(self, path: str) -> Answer:
        """Ask the status port."""
        return await self._ask(self.service.ports.status.port, path, {})

    async def _ask(self, port: int, path: str, headers: Mapping[str, str]) -> Answer:
        url = f"http://127.0.0.1:{port}{path}".encode()
        lines = Headers({name: [value] for name, value in headers.items()})
        response = await self._agent.request(b"GET", url, lines)
        collector = _Collector()
        response.deliverBody(collector)
        body = await collector.whole
        found = {
            name.decode().lower(): values[-1].decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        return Answer(response.code, found, body)

    async def stop(self) -> None:
        """Stop it, if it runs."""
        if self._running:
            self._running = False
            await self.service.stopService()
