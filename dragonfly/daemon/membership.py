"""A dfdaemon's part in the swarm: the peer of its home, given up or had again."""

from __future__ import annotations

import socket
from collections.abc import Callable

from twisted.application.service import MultiService

from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.daemon.place import Place
from dragonfly.net.origin import OriginClient
from dragonfly.net.trust import Trust
from dragonfly.peer.request import FetchRequest
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
        self._kept = self.peer.pieces.duplicate()

    async def part(self) -> None:
        """Leave the swarm, and give up the home."""
        await self.peer.stopService()
        self._place.unlock()

    def rejoin(self, parent: MultiService) -> None:
        """Have another peer take the place of the one that left; *parent* runs it.

        :raises HomeBusy: another process has the home.
        :raises HomeUnusable: it cannot be used any more.
        """
        self._place.lock()
        try:
            peer = self._make(opened=self._kept, total=self.peer.total)
        except BaseException:
            self._place.unlock()
            raise
        self._kept = None
        parent.services.remove(self.peer)
        peer.succession = self.peer.succession
        self.peer = peer
        peer.setServiceParent(parent)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the port that was kept."""
        if self._kept is not None:
            self._kept.close()
