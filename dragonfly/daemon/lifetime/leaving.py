"""How a dfdaemon gets out of the way: the home is given up soon, answers may go on for longer."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.net.calloff import call_off
from dragonfly.net.deadline import deadline
from dragonfly.net.fanout import OneShot

__all__ = ["CUT_S", "SWARM_S", "Leaving"]

SWARM_S = 3.0
"""Most answers end in so long. The others go on from the registry then, because the next
process of this home waits for it."""

CUT_S = 1.0
"""A connection that is cut is gone in the reactor's next turn."""


class Leaving:
    """Ends the answers of ``clients``, and the part in the swarm, which ``part`` ends.

    :param part: returns when the home is free; what was read from there goes on elsewhere.
    """

    _log = Logger()

    def __init__(
        self,
        clients: FrontFactory,
        part: Callable[[], Coroutine[Any, Any, None]],
        *,
        clock: IReactorTime,
    ) -> None:
        self._clients = clients
        self._part = part
        self._clock = clock
        self._parted: OneShot[None] | None = None
        self._cutting: IDelayedCall | None = None

    def part(self) -> Deferred[None]:
        """Leave the swarm, once, whoever asks; fires when the home is free, or fails.

        Asking after a failure tries it again. Cancelling stops the waiting only.
        """
        if self._parted is None:
            parted = self._parted = OneShot()
            parting = Deferred.fromCoroutine(self._part())
            waiting = parted.wait()
            parting.addCallbacks(parted.fire, self._broke)
            return waiting
        return self._parted.wait()

    def _broke(self, failure: Failure) -> None:
        parted, self._parted = self._parted, None
        if parted is not None:
            parted.fail(failure)

    def stay(self) -> None:
        """It has joined the swarm again, and may leave once more."""
        self._parted = None

    async def drain(self, seconds: float) -> None:
        """Let answers go on for that long, then cut them; leave the swarm meanwhile.

        Idle connections close at once.
        """
        cut = self._cutting = self._clock.callLater(seconds, self._cut)
        try:
            with suppress(defer.TimeoutError):
                await deadline(self._clients.drain(), SWARM_S, self._clock)
            await self.part()
            with suppress(defer.TimeoutError):
                left_s = max(0.0, cut.getTime() - self._clock.seconds()) if cut.active() else 0.0
                await deadline(self._clients.drain(), left_s + CUT_S, self._clock)
        finally:
            call_off(cut)

    def hurry(self, seconds: float) -> None:
        """Let answers that are being drained go on for so long at most from now on."""
        cut = self._cutting
        if cut is not None and cut.active() and cut.getTime() > self._clock.seconds() + seconds:
            cut.reset(seconds)

    def _cut(self) -> None:
        if self._clients.open:
            self._log.info("cutting {count} connections", count=self._clients.open)
            self._clients.abort()
