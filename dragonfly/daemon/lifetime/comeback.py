"""How a dfdaemon that gave up its home for another one that failed gets it again."""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from dragonfly.errors import DragonflyError
from dragonfly.net.retry import delays
from dragonfly.net.tasks import Task, TaskSet

__all__ = ["FIRST_S", "MOST_S", "Comeback"]

FIRST_S = 1.0
"""Who took the home in between is mostly a peer of dfget, which leaves when it is asked."""

MOST_S = 60.0
"""A disk that is full or gone is looked after by people; an attempt costs next to nothing."""


class Comeback:
    """Tries to be back until it is, later and later.

    :param back: takes the home again, and joins the swarm.
    :param door: runs while it has not come to that: another process may take over there.
    """

    _log = Logger()

    def __init__(
        self,
        back: Callable[[], Deferred[None]],
        door: Service,
        *,
        clock: IReactorTime,
        rng: random.Random,
    ) -> None:
        self._back = back
        self._door = door
        self._clock = clock
        self._rng = rng
        self._tasks = TaskSet(self._log)
        self._trying: Task | None = None

    def start(self) -> None:
        """Begin to try, if it does not already."""
        if self._trying is None or not self._trying.running:
            self._trying = self._tasks.spawn(self._try(), "coming back to the swarm")

    def stop(self) -> None:
        """Try no more. What is under way is given up."""
        trying, self._trying = self._trying, None
        if trying is not None:
            trying.cancel()

    async def _try(self) -> None:
        try:
            for wait_s in delays(self._rng, first_s=FIRST_S, most_s=MOST_S):
                if await self._succeeds(wait_s):
                    break
                self._open_door()
                await deferLater(self._clock, wait_s)
        finally:
            self._close_door()

    async def _succeeds(self, wait_s: float) -> bool:
        try:
            await self._back()
        except CancelledError:
            raise
        except DragonflyError as error:
            self._log.warn(
                "serving from registries only, next attempt in {wait:.1f} s: {error}",
                wait=wait_s,
                error=str(error),
            )
            return False
        except Exception:  # noqa: BLE001 - logged; a bug must not keep us out for ever
            self._log.failure("coming back to the swarm failed, next attempt later")
            return False
        self._log.info("back in the swarm")
        return True

    def _open_door(self) -> None:
        if not self._door.running:
            try:
                self._door.startService()
            except DragonflyError as error:
                self._log.warn("nobody can take over now: {error}", error=str(error))

    def _close_door(self) -> None:
        if self._door.running:
            self._door.stopService()
