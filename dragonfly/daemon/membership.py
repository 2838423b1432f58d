"""A dfdaemon's part in the swarm: the peer of its home, given up or had again."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from twisted.application.service import MultiService

from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.daemon.place import Place
from dragonfly.net.fanout import OneShot
from dragonfly.net.origin import OriginClient
from dragonfly.net.trust import Trust
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.service import PeerService
from dragonfly.task.identity import Name

__all__ = ["Membership"]


class Membership:
    """Holds the home and its peer until :meth:`part`, and again from :meth:`rejoin` on.

    :param make: makes another peer of the home, with a piece port that is open, and the
        limit of the one before.
    :ivar peer: the one there is, or was.
    """

    def __init__(self, peer: PeerService, make: Callable[..., PeerService], place: Place) -> None:
        self.peer = peer
        self._make = make
        self._place = place
        self._kept: socket.socket | None = None

    def fetch(self, request: FetchRequest) -> Transferring:
        """Have the peer of now fetch that."""
        return self.peer.fetch(request)

    def holds(self, name: Name) -> bool:
        """Whether the peer of now has all of it, or some."""
        return self.peer.holds(name)

    def client(self, trust: Trust, loopback: bool) -> OriginClient:
        """What asks origins."""
        return self.peer.origins.get(trust, loopback)

    def keep_port(self) -> None:
        """Let the piece port stay open when the peer is gone, for whoever comes."""
        self._kept = self._kept or self.peer.pieces.duplicate()

    @property
    def kept_port(self) -> int | None:
        """The descriptor of the port that was kept; ``None``: none."""
        return None if self._kept is None else self._kept.fileno()

    async def part(self) -> None:
        """Leave the swarm, and give up the home."""
        await self.peer.stopService()
        self._place.unlock()

    async def rejoin(self, parent: MultiService) -> None:
        """Have another peer take the place of the one that left; *parent* runs it.

        If that fails it may be tried again.

        :raises HomeBusy: another process has the home.
        :raises HomeUnusable: it cannot be used any more.
        :raises StoreError: the same of the store.
        """
        self._place.lock()
        try:
            peer = self._another()
            await _run(peer, parent)
        except BaseException:
            self._place.unlock()
            raise
        parent.services.remove(self.peer)
        self.peer.origins.close()  # they were used on when it had left; not those that are busy
        self.peer = peer
        self.close()
        self._kept = None

    def _another(self) -> PeerService:
        kept = self.kept_port  # socket.dup() would make all copies block
        opened = None if kept is None else socket.socket(fileno=os.dup(kept))
        try:
            peer = self._make(opened=opened, total=self.peer.total)
        except BaseException:
            if opened is not None:
                opened.close()
            raise
        peer.succession = self.peer.succession
        return peer

    def close(self) -> None:
        """Close the port that was kept."""
        if self._kept is not None:
            self._kept.close()


async def _run(peer: PeerService, parent: MultiService) -> None:
    """Start it, all of it or nothing."""
    try:
        peer.setServiceParent(parent)  # type: ignore[no-untyped-call]
    except BaseException:
        parent.services.remove(peer)
        stopped: OneShot[object] = OneShot()
        peer.stopService().addBoth(stopped.fire)
        await stopped.wait()  # who cancels does not stop the stopping
        raise
