"""The peer role as one service: its ports, and in which order it starts and ends.

``dfget server`` runs it for a home; a proxy can run it inside itself: it then serves the
dfgets of that home, too, because it holds the same lock and the same socket.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import attrs
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

import dragonfly
from dragonfly.control.messages import Announced
from dragonfly.errors import TaskError
from dragonfly.net.fanout import OneShot
from dragonfly.net.lateness import Lateness
from dragonfly.net.listen import BoundService
from dragonfly.net.throttle import Throttle
from dragonfly.peer.connections.acceptor import Acceptor
from dragonfly.peer.download.download import Download
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.equipment import Origins, Runtime
from dragonfly.peer.home.home import Home
from dragonfly.peer.home.local import LocalFactory, LocalServer
from dragonfly.peer.home.localport import LocalPort
from dragonfly.peer.home.succession import Succession
from dragonfly.peer.peer import Peer
from dragonfly.peer.settings import PeerSettings
from dragonfly.peer.swarm.room import Room
from dragonfly.signatures import SigningKey
from dragonfly.task.identity import Name

__all__ = ["CLOSE_S", "WATCH_S", "PeerService", "make_peer"]

WATCH_S = 1.0
"""How often idle tasks, and an idle process, are looked for."""

CLOSE_S = 2.0
"""How long connections may take to end by themselves when the service stops."""


def make_peer(
    settings: PeerSettings,
    runtime: Runtime,
    *,
    opened: socket.socket | None = None,
    total: Throttle | None = None,
) -> PeerService:
    """Compose a peer; takes the home's lock, touches no port yet.

    :param opened: for other peers, listened on already; instead of the port in ``settings``.
    :param total: the limit of all downloads together, where there is one already.
    :raises HomeBusy: another process serves this home.
    :raises HomeUnusable: it cannot be used; the text says why.
    """
    home = Home(settings.home)
    home.lock()
    try:
        return PeerService(settings, runtime, home, opened=opened, total=total)
    except BaseException:
        home.unlock()
        raise


class PeerService(MultiService):
    """All parts of a peer, wired; use :func:`make_peer`.

    :ivar pieces: the port for other peers.
    :ivar swarm: its tasks.
    :ivar total: the limit of all its downloads together.
    :ivar lateness: of the process's reactor; whoever runs the service has it sampled.
    :ivar succession: how another process takes its place, asked for on the home's socket;
        ``None``: not at all.
    :ivar finished: fires with the reason when there is no more to do here: the peer was
        idle for long, or asked to stop. Whoever runs the service stops it then.
    """

    def __init__(
        self,
        settings: PeerSettings,
        runtime: Runtime,
        home: Home,
        *,
        opened: socket.socket | None = None,
        total: Throttle | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.finished: OneShot[str] = OneShot()
        self.succession: Succession | None = None
        self.lateness = Lateness()
        self._settings = settings
        self._reactor = runtime.reactor
        self._log: Logger = runtime.log
        self._home = home
        self._downloads: set[Download] = set()
        self._clients = 0
        self.total = total or Throttle(self._reactor, settings.total_limit)
        self._peer = Peer(settings, runtime, home, total=self.total, announced=self.announced)
        self.swarm = self._peer.swarm
        self._make_parts(opened)
        self._watch = LoopingCall(self._look)
        self._watch.clock = self._reactor

    # -- composition ------------------------------------------------------------------------

    def _make_parts(self, opened: socket.socket | None) -> None:
        reactor, peer = self._reactor, self._peer
        self._acceptor = Acceptor(self.swarm.get, key=peer.key, clock=reactor)
        self.pieces = BoundService(
            reactor, self._settings.port, self._acceptor, what="piece port", opened=opened
        )
        self._local = LocalFactory(
            LocalServer(
                fetch=self.fetch,
                stop=lambda: self.finished.fire("asked to stop"),
                status=self.status,
                used=self._client_came,
                clock=reactor,
                succession=lambda: self.succession,
            )
        )
        parts = [self.pieces, LocalPort(reactor, self._home, self._local)]
        if self._settings.keep_free:
            parts.insert(0, Room(peer.store.root, peer.disk, self.swarm, reactor))
        for part in parts:
            part.setServiceParent(self)

    @property
    def key(self) -> SigningKey:
        """Its identity."""
        return self._peer.key

    @property
    def origins(self) -> Origins:
        """Its clients for origins; they end with it."""
        return self._peer.origins

    @property
    def served_bytes(self) -> int:
        """Sent to other peers so far."""
        return self._peer.served_bytes

    def announced(self) -> Announced:
        """How this peer describes itself to supernodes."""
        return Announced(
            port=self.pieces.port,
            address=self._settings.address or None,
            hostname=socket.gethostname(),
            version=dragonfly.__version__,
        )

    # -- life -----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Open the store and bind the port.

        :raises StoreError: the store is of another version, or cannot be used.
        :raises ListenError: the port cannot be had.
        """
        self._peer.open()
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Serve. The errors are those of :meth:`privilegedStartService`, and
        ``HomeUnusable`` if the home's socket cannot be made."""
        self._peer.open()
        super().startService()  # type: ignore[no-untyped-call]
        self._peer.used()
        self._watch.start(WATCH_S, now=False).addErrback(self._broke)
        self._peer.tasks.spawn(self.swarm.shelf.index(), "reading what an earlier run left")
        self._log.info(
            "peer ready: home={home} pieces={port}",
            home=str(self._home.root),
            port=self.pieces.port,
        )

    def stopService(self) -> Deferred[None]:
        """Stop accepting, end the work, leave the swarm, write everything, unlock the home.

        Bounded in time, whatever neighbours and supernodes do. Cancelling is not supported.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._watch.running:
            self._watch.stop()
        await super().stopService()  # type: ignore[no-untyped-call]
        self._acceptor.close()
        for download in list(self._downloads):
            download.cancel()
        await self._peer.stop()
        await self._connections_end()
        await self._peer.close()
        self._home.unlock()

    async def _connections_end(self) -> None:
        """Wait a moment for goodbyes to go out, then cut what is left."""
        deadline = self._reactor.seconds() + CLOSE_S
        while self._open_connections() and self._reactor.seconds() < deadline:
            await deferLater(self._reactor, 0.01)
        self._acceptor.abort()
        for protocol in list(self._local.connected):
            protocol.transport.abortConnection()  # type: ignore[union-attr]

    def _open_connections(self) -> int:
        return len(self._acceptor) + len(self._local.connected)

    # -- work -----------------------------------------------------------------------------

    def fetch(self, request: FetchRequest) -> Download:
        """Begin a download; it is under way when this returns.

        :raises TaskError: the service does not run.
        """
        if not self.running:
            raise TaskError("this peer is stopping")
        if request.total_limit is not None:
            self.limit(request.total_limit)
        download = Download(request, self._peer.equipment, self.swarm)
        self._downloads.add(download)
        download.done.wait().addBoth(self._ended, download)
        download.start()
        return download

    def limit(self, rate: int | None) -> None:
        """Keep to ``rate`` bytes for each second from now on, all downloads together, and all
        uploads together; ``None``: no limit."""
        self._peer.limit(rate)

    def holds(self, name: Name) -> bool:
        """Whether that is in work here, so that an admitted caller needs no supernode."""
        return self.swarm.running(name) is not None

    def _ended(self, _: object, download: Download) -> None:
        self._downloads.discard(download)
        self._peer.used()

    def status(self) -> dict[str, Any]:
        """What the home's socket tells of this process."""
        return {
            "version": dragonfly.__version__,
            "pid": os.getpid(),
            "role": self._settings.role,
            "home": str(self._home.root),
            "port": self.pieces.port,
            "clients": self._clients,
            "uploading": self._peer.uploading,
            "downloads": len(self._downloads),
            "reactor_lateness": self.lateness.told(),
            "tasks": [
                {
                    "task": each.content.task.hex(),
                    "length": each.content.layout.length,
                    "complete": each.content.complete,
                    "neighbours": len(each.links),
                    "bytes": attrs.asdict(each.tally),
                }
                for each in self.swarm.transfers
            ],
        }

    # -- use and idleness --------------------------------------------------------------------

    def _client_came(self, change: int) -> None:
        self._clients += change
        self._peer.used()

    def _look(self) -> None:
        self.swarm.expire(self._settings.expire_s, share_s=self._settings.share_s)
        alive_s = self._settings.alive_s
        idle_s = self._reactor.seconds() - self._peer.used_at
        if alive_s is None or self._clients or self._downloads or idle_s < alive_s:
            return
        self.finished.fire(f"idle for {idle_s:.0f} s")

    def _broke(self, failure: Failure) -> None:
        self._log.failure("watching for idle tasks", failure)
