"""A consumer that pauses its producer inside ``write``, as transports do."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

__all__ = ["Consumer"]


@implementer(IConsumer)
class Consumer:
    """Takes bytes, and pauses when it has ``room`` bytes.

    :ivar broken: raised by ``write``.
    :ivar eager: resume the producer inside ``write``.
    """

    def __init__(self, room: int = 1 << 40) -> None:
        self.taken = b""
        self.room = room
        self.producer: Any = None
        self.broken: Exception | None = None
        self.eager = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """One at a time."""
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """It has ended."""
        assert self.producer is not None
        self.producer = None

    def write(self, data: bytes) -> None:
        """Keep it; pause inside the call, as transports do."""
        if self.broken is not None:
            raise self.broken
        self.taken += data
        if len(self.taken) >= self.room:
            self.producer.pauseProducing()
        if self.eager:
            self.producer.resumeProducing()
