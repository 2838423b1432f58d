"""Waiting on behalf of a client, no longer than he would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.http.messages import Responder
from dragonfly.errors import NoSources
from dragonfly.net.calloff import call_off

__all__ = ["LOOK_S", "HungUp", "Vigil"]

LOOK_S = 0.5
"""How often it is looked whether something moves: waits are counted in seconds."""

T = TypeVar("T")


class HungUp(Exception):
    """The client hung up; nothing is wrong with that."""


class Vigil:
    """The waits of one answer, one at a time.

    Only what is being waited for is ever cancelled, never the coroutine that waits: a client
    may well go while that is running, from inside a write.
    """

    def __init__(self, responder: Responder, clock: IReactorTime) -> None:
        self._responder = responder
        self._clock = clock
        self._work: Deferred[Any] | None = None
        self._why: Exception | None = None
        responder.on_gone(lambda: self._end(HungUp()))

    async def wait(self, work: Deferred[T], late: Callable[[], str] = str) -> T:
        """Give the result of ``work``, which must stop when it is cancelled.

        :param late: looked at every :data:`LOOK_S`; a text: it took too long, and how long.
        :raises HungUp: the client hung up; ``work`` was cancelled.
        :raises NoSources: it took too long; ``work`` was cancelled.
        """
        self._why, self._work = None, work
        if self._responder.over:
            self._end(HungUp())
        timer = self._clock.callLater(LOOK_S, self._look, late)
        self._timer = timer
        try:
            return await work
        except CancelledError:
            if self._why is not None:
                raise self._why from None
            raise
        finally:
            self._work = None
            call_off(self._timer)

    def _look(self, late: Callable[[], str]) -> None:
        why = late()
        if why:
            self._end(NoSources(why))
        else:
            self._timer = self._clock.callLater(LOOK_S, self._look, late)

    def _end(self, why: Exception) -> None:
        work, self._work = self._work, None
        if work is not None:
            self._why = why
            work.cancel()
