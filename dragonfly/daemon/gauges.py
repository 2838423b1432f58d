"""Numbers that are looked up when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.tunnels.tunnels import Tunnels
from dragonfly.metrics import DaemonMetrics
from dragonfly.peer.service import PeerService

__all__ = ["Gauges"]


class Gauges:
    """Brings what nobody counts along the way up to date.

    :param peer: gives the peer, which may become another one.
    """

    def __init__(
        self,
        metrics: DaemonMetrics,
        clients: FrontFactory,
        tunnels: Tunnels,
        peer: Callable[[], PeerService],
    ) -> None:
        self._metrics = metrics
        self._tunnels = tunnels
        self._clients = clients
        self._peer = peer
        self._served = 0

    def update(self) -> None:
        """Look everything up."""
        metrics, peer = self._metrics, self._peer()
        metrics.connections.set(self._clients.open)
        metrics.tunnels.set(self._tunnels.count)
        metrics.tasks.set(len(peer.swarm.transfers))
        metrics.stored_tasks.set(len(peer.swarm.shelf))
        before = min(self._served, peer.served_bytes)  # another peer counts anew
        metrics.uploaded_bytes.inc(peer.served_bytes - before)
        self._served = peer.served_bytes
