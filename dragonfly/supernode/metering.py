"""What connections of the supernode's two ports carry, as its metrics tell it."""

from __future__ import annotations

from collections.abc import Iterable

from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.meter import Meter
from dragonfly.peer.connections.protocol import PeerProtocol

__all__ = ["PieceTraffic", "meter_of"]


def meter_of(metrics: SupernodeMetrics, port: str) -> Meter:
    """Count the bytes of one port: ``http`` or ``pieces``."""
    counter = metrics.wire_bytes
    return Meter(counter.labels(port, "in").inc, counter.labels(port, "out").inc)


class PieceTraffic:
    """The bytes of the piece port, counted when somebody looks: its connections count their own,
    and a transport that did it for them would keep them from writing to their sockets at once."""

    def __init__(self, metrics: SupernodeMetrics) -> None:
        self._meter = meter_of(metrics, "pieces")
        self._untold_in = self._untold_out = 0

    def ended(self, peer: PeerProtocol) -> None:
        """A connection is gone; it will be counted for the last time."""
        self._untold_in += peer.heard_bytes
        self._untold_out += peer.written_bytes

    def tell(self, peers: Iterable[PeerProtocol]) -> None:
        """Tell the metrics all bytes since the last time.

        :param peers: all connections that are open.
        """
        heard, written = self._untold_in, self._untold_out
        for peer in peers:
            heard += peer.heard_bytes
            written += peer.written_bytes
        self._meter.received(heard)
        self._meter.sent(written)
        self._untold_in -= heard
        self._untold_out -= written
