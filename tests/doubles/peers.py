"""Real peers and a real supernode in one process, on loopback.

::

    node = await Supernode.started(tmp_path / "node")
    peer = await Peer.started(tmp_path / "peer", node)
    download = await peer.get(origin.url("/file"))
    assert peer.bytes_of(download) == body
    await peer.stop()
    await node.stop()
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import Logger

from dragonfly.config import Node, SupernodeConfig
from dragonfly.control.messages import Neighbour
from dragonfly.net.proxies import Proxies
from dragonfly.peer.download.download import Download
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.equipment import Runtime
from dragonfly.peer.service import PeerService, make_peer
from dragonfly.peer.settings import PeerSettings
from dragonfly.task.layout import Layout

__all__ = ["Peer", "Recorder", "Supernode", "until"]


async def until(happened: Callable[[], object]) -> None:
    """Wait until ``happened`` says yes.

    :raises AssertionError: it does not within some ten seconds.
    """
    for _ in range(2000):
        if happened():
            return
        await deferLater(reactor, 0.005)
    raise AssertionError("it did not happen")


class Supernode:
    """A supernode on ports of the kernel's choice; it can be stopped and started again."""

    def __init__(self, home: Path, *, proxies: Proxies | None = None, **config: Any) -> None:
        self.home = home
        self._proxies = proxies
        self._config = config
        self.port = 0
        self.pieces = 0
        self.service: Any = None

    @classmethod
    async def started(
        cls, home: Path, *, proxies: Proxies | None = None, **config: Any
    ) -> Supernode:
        """Make one and start it."""
        node = cls(home, proxies=proxies, **config)
        node.start()
        return node

    def start(self) -> None:
        """Start it, on the ports that it had before."""
        from dragonfly.supernode.service import make_supernode  # noqa: PLC0415 - imports klein

        config = SupernodeConfig(
            port=self.port, download_port=self.pieces, home_dir=str(self.home), **self._config
        )
        self.service = make_supernode(config, reactor, rng=random.Random(1), proxies=self._proxies)
        self.service.privilegedStartService()
        self.service.startService()
        self.port, self.pieces = self.service.http.port, self.service.pieces.port

    @property
    def node(self) -> Node:
        """How peers name it."""
        return Node(host="127.0.0.1", port=self.port)

    async def stop(self) -> None:
        """Stop it, if it runs."""
        service, self.service = self.service, None
        if service is not None:
            await service.stopService()


class Peer:
    """A peer service with a home of its own."""

    def __init__(self, service: PeerService, nodes: tuple[Node, ...]) -> None:
        self.service = service
        self.nodes = nodes
        self._running = True

    @property
    def neighbour(self) -> Neighbour:
        """How other peers dial it."""
        key = self.service.key.public
        return Neighbour(key=key, address="127.0.0.1", port=self.service.pieces.port)

    @classmethod
    async def started(
        cls, home: Path, *nodes: Supernode, proxies: Proxies | None = None, **settings: Any
    ) -> Peer:
        """Make one that knows ``nodes``, and start it."""
        log = Logger("dragonfly.tests")
        runtime = Runtime(reactor=reactor, log=log, proxies=proxies or Proxies())
        service = make_peer(PeerSettings(home=home, **settings), runtime)
        service.privilegedStartService()
        service.startService()
        return cls(service, tuple(each.node for each in nodes))

    def fetch(self, url: str, **wishes: Any) -> Download:
        """Begin a download."""
        return self.service.fetch(FetchRequest(url=url, nodes=self.nodes, **wishes))

    async def get(self, url: str, **wishes: Any) -> Download:
        """Download to the end; what it fails with is raised."""
        download = self.fetch(url, **wishes)
        await download.done.wait()
        return download

    @staticmethod
    def bytes_of(download: Download) -> bytes:
        """What was downloaded."""
        return download.path.read_bytes()

    async def stop(self) -> None:
        """Stop it, if it runs."""
        if self._running:
            self._running = False
            await self.service.stopService()


class Recorder:
    """A listener of a download that writes down what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.ranges: list[tuple[int, int]] = []
        self.layouts: list[Layout] = []
        self.restarts = 0
        self.ended: list[Exception | None] = []

    def on_layout(self, layout: Layout) -> None:
        """Write it down."""
        self.layouts.append(layout)

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """Write them down."""
        self.ranges += ranges

    def on_notice(self, text: str) -> None:
        """Write it down."""
        self.notices.append(text)

    def on_restart(self) -> None:
        """Count."""
        self.restarts += 1
        self.ranges.clear()

    def on_done(self) -> None:
        """Write it down."""
        self.ended.append(None)

    def on_failed(self, error: Exception) -> None:
        """Write it down."""
        self.ended.append(error)

    @property
    def total(self) -> int:
        """Bytes in all ranges."""
        return sum(end - begin for begin, end in self.ranges)
