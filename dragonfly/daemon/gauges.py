"""Numbers that are looked up when somebody asks for them."""

from __future__ import annotations

from dragonfly.daemon.front import FrontFactory
from dragonfly.daemon.tunnels import Tunnels
from dragonfly.metrics import DaemonMetrics
from dragonfly.peer.service import PeerService

__all__ = ["Gauges"]


class Gauges:
    """Brings what nobody counts along the way up to date."""

    def __init__(
        self, metrics: DaemonMetrics, clients: FrontFactory, tunnels: Tunnels, peer: PeerService
    ) -> None:
        self._metrics = metrics
        self._tunnels = tunnels
        self._clients = clients
        self._peer = peer
        self._served = 0

    def update(self) -> None:
        """Look everything up."""
        metrics, peer = self._metrics, self._peer
        metrics.connections.set(self._clients.open)
        metrics.tunnels.set(self._tunnels.count)
        metrics.tasks.set(len(peer.swarm.transfers))
        metrics.stored_tasks.set(len(peer.swarm.shelf))
        metrics.uploaded_bytes.inc(peer.served_bytes - self._served)
        self._served = peer.served_bytes
