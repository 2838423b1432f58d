"""One call at a time for each key; who comes meanwhile shares the next one.

A registration is judged by what the origin said after it was asked for, so a caller may
share a call that begins after he came, and none that began before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from dragonfly.net.fanout import OneShot
from dragonfly.net.tasks import TaskSet

__all__ = ["Registrations"]

T = TypeVar("T")


class Registrations(Generic[T]):
    """Calls under way and calls to come.

    :param tasks: runs the calls; they outlive callers who give up.
    """

    def __init__(self, tasks: TaskSet) -> None:
        self._tasks = tasks
        self._running: set[Hashable] = set()
        self._next: dict[Hashable, tuple[OneShot[T], Callable[[], Awaitable[T]]]] = {}

    def ask(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> Deferred[T]:
        """Give the result of a ``call`` that has not begun yet.

        Cancelling gives up this caller's part; what the call raises all its callers get.
        """
        if key not in self._next:
            self._next[key] = (OneShot(), call)
        shot = self._next[key][0]
        if key not in self._running:
            self._begin(key)
        return shot.wait()

    def _begin(self, key: Hashable) -> None:
        shot, call = self._next.pop(key)
        self._running.add(key)
        self._tasks.spawn(self._run(key, shot, call), "registration")

    async def _run(self, key: Hashable, shot: OneShot[T], call: Callable[[], Awaitable[T]]) -> None:
        try:
            shot.fire(await call())
        except CancelledError as error:
            shot.fail(error)
            raise
        except Exception as error:  # noqa: BLE001 - it is the callers' result
            shot.fail(error)
        finally:
            self._running.discard(key)
            if key in self._next:
                self._begin(key)
