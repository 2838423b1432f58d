"""One peer, without its ports: what it is made of, and in which order that ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragonfly.control.messages import Announced
from dragonfly.net.disk import DiskPool
from dragonfly.net.http import make_client
from dragonfly.net.readgroup import ReadGroup
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.net.tls import PinnedPolicy
from dragonfly.peer.connections.dial import PeerDialler
from dragonfly.peer.equipment import Equipment, Origins, Runtime
from dragonfly.peer.home.home import Home
from dragonfly.peer.settings import PeerSettings
from dragonfly.peer.shelf.shelf import Shelf
from dragonfly.peer.swarm.swarm import Swarm
from dragonfly.peer.tracker.supernodes import Supernodes
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.slots import UploadSlots
from dragonfly.store.piecestore import PieceStore

__all__ = ["Peer"]


class Peer:
    """All parts, wired.

    :param home: locked by the caller.
    :param total: the limit of all downloads together.
    :param announced: how it describes itself to supernodes, with its real port.
    :ivar key: its identity.
    :ivar swarm: its tasks.
    :ivar served_bytes: sent to other peers so far.
    :ivar used_at: when somebody had use of it last.
    """

    def __init__(
        self,
        settings: PeerSettings,
        runtime: Runtime,
        home: Home,
        *,
        total: Throttle,
        announced: Callable[[], Announced],
    ) -> None:
        self._reactor = reactor = runtime.reactor
        pins = home.pins()
        self.key = home.identity()
        self.total = total
        self.tasks = TaskSet(runtime.log)
        self.disk = DiskPool(reactor)
        self.store = PieceStore(settings.store or home.store)
        self.origins = Origins(reactor, runtime.proxies, runtime.trust_at)
        self.served_bytes = 0
        self.used_at = reactor.seconds()
        self._control = make_client(reactor, PinnedPolicy(pins.get, pins.learn))
        self._dialler = PeerDialler(reactor)
        self._readers = ReadGroup(reactor)
        self._upload_limit = Throttle(reactor, settings.total_limit)
        self.uploader = Uploader(
            UploadSlots(),
            reactor,
            self.disk,
            on_served=self._served,
            limit=self._upload_limit,
        )
        self.equipment = Equipment(
            reactor=reactor,
            rng=runtime.rng,
            key=self.key,
            disk=self.disk,
            store=self.store,
            uploader=self.uploader,
            supernodes=Supernodes(self.key, self._control, reactor, pins=str(pins.path)),
            origins=self.origins,
            tasks=self.tasks,
            dial=self._dialler,
            announced=announced,
            total=total,
            readers=self._readers,
        )
        self.swarm = Swarm(self.equipment, Shelf(self.store, self.disk))

    @property
    def uploading(self) -> bool:
        """Whether somebody is being sent something."""
        return self.uploader.active > 0

    def used(self) -> None:
        """Somebody has use of it now."""
        self.used_at = self._reactor.seconds()

    def limit(self, rate: int | None) -> None:
        """Keep to ``rate`` bytes for each second from now on, all downloads together, and all
        uploads together; ``None``: no limit."""
        self.total.set(rate)
        self._upload_limit.set(rate)

    def open(self) -> None:
        """Open the store, if it is not; then there may be downloads.

        :raises StoreError: it is of another version, or cannot be used.
        """
        if not self.disk.running:
            self.store.open()
            self.disk.start()

    async def stop(self) -> None:
        """End the work and leave the swarm. Cancelling is not supported."""
        await self.swarm.stop()
        self._dialler.stop()
        await self.tasks.cancel_all()

    async def close(self) -> None:
        """Write everything, once no connection is left. Cancelling is not supported."""
        self._readers.close()
        self.uploader.stop()
        await self.origins.close()
        await self._control.close()
        if self.disk.running:
            await self.disk.stop()
        self.store.close()

    def _served(self, peer: Any, file: Any, length: int) -> None:
        self.used()
        self.served_bytes += length
        self.swarm.served(peer, file, length)
