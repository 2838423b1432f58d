"""Outgoing piece connections."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from dragonfly.peer.connections.protocol import PeerProtocol

__all__ = ["CONNECT_S", "PeerDialler"]

CONNECT_S = 3.0
"""A neighbour that does not answer a SYN for so long is reported as dead; there are others."""


class PeerDialler:
    """Connects protocols to neighbours.

    :param reactor: TCP and time.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._under_way: set[Deferred[Any]] = set()

    def __call__(self, address: str, port: int, peer: PeerProtocol) -> Deferred[object]:
        """Connect ``peer``; fails when that does not work within :data:`CONNECT_S`.

        Cancelling stops the attempt.
        """
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint = kind(self._reactor, address, port, CONNECT_S)
        attempt: Deferred[Any] = endpoint.connect(_One(peer))
        self._under_way.add(attempt)

        def ended(result: object) -> object:
            self._under_way.discard(attempt)
            return result

        return attempt.addBoth(ended)

    def stop(self) -> None:
        """Give up all attempts."""
        for attempt in list(self._under_way):
            attempt.cancel()


class _One(Factory):
    noisy = False

    def __init__(self, peer: PeerProtocol) -> None:
        self._peer = peer

    def buildProtocol(self, addr: IAddress | None) -> PeerProtocol:  # noqa: ARG002
        return self._peer
