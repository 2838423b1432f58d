"""What connections of the supernode's two ports carry, as its metrics tell it."""

from __future__ import annotations

from typing import Any

from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.meter import Meter, MeteredTransport
from dragonfly.peer.protocol import PeerProtocol

__all__ = ["MeteredPeer", "meter_of"]


def meter_of(metrics: SupernodeMetrics, port: str) -> Meter:
    """Count the bytes of one port: ``http`` or ``pieces``."""
    counter = metrics.wire_bytes
    return Meter(counter.labels(port, "in").inc, counter.labels(port, "out").inc)


class MeteredPeer(PeerProtocol):
    """A connection of the piece port that is counted."""

    meter: Meter

    def makeConnection(self, transport: Any) -> None:
        """Begin, and count what is written."""
        super().makeConnection(MeteredTransport(transport, self.meter))  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Count, and go on."""
        self.meter.received(len(data))
        super().dataReceived(data)
