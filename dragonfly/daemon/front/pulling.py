"""A producer that is asked for each piece, made one that is only told to stop."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IPullProducer, IPushProducer, IReactorTime
from zope.interface import implementer

__all__ = ["Pulling"]


@implementer(IPushProducer)
class Pulling:
    """Asks *producer* once in each turn of the reactor, unless paused."""

    def __init__(self, producer: IPullProducer, clock: IReactorTime) -> None:
        self._producer = producer
        self._clock = clock
        self._turn: IDelayedCall | None = None
        self._paused = False

    def pauseProducing(self) -> None:
        """Ask no more."""
        self._paused = True
        self.release()

    def resumeProducing(self) -> None:
        """Ask on, from the next turn."""
        self._paused = False
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._ask)

    def stopProducing(self) -> None:
        """Stop it for good."""
        self.pauseProducing()
        self._producer.stopProducing()

    def release(self) -> None:
        """Leave it alone: it was unregistered."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()

    def _ask(self) -> None:
        # Set up first: what is asked may pause, or unregister itself.
        self._turn = self._clock.callLater(0, self._ask)
        self._producer.resumeProducing()
