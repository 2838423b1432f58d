"""Bytes of connections as they are on the wire, TLS included, counted for the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from zope.interface import directlyProvides, providedBy

__all__ = ["Meter", "MeteredTransport"]


@attrs.frozen
class Meter:
    """Told of all bytes of some connections."""

    received: Callable[[float], object]
    sent: Callable[[float], object]


class MeteredTransport:
    """A transport that tells ``meter`` what is written; in all else it is ``transport``."""

    def __init__(self, transport: Any, meter: Meter) -> None:
        self._transport = transport
        self._sent = meter.sent
        directlyProvides(self, providedBy(transport))

    def write(self, data: bytes) -> None:
        """Write, and count."""
        self._sent(len(data))
        self._transport.write(data)

    def writeSequence(self, chunks: Iterable[bytes]) -> None:
        """Write, and count."""
        chunks = list(chunks)
        self._sent(sum(map(len, chunks)))
        self._transport.writeSequence(chunks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
