"""Background coroutines that are named, logged when they fail, and stopped together."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import DragonflyError
from dragonfly.net.fanout import OneShot

__all__ = ["Task", "TaskSet"]


class Task:
    """One running coroutine of a :class:`TaskSet`."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._running: Deferred[None] | None = None

    @property
    def running(self) -> bool:
        """False once the coroutine returned, failed or was cancelled."""
        return self._running is not None

    def cancel(self) -> None:
        """Cancel what the coroutine is waiting for; nothing if it ended already."""
        if self._running is not None:
            self._running.cancel()


class TaskSet:
    """The only place where a coroutine is started without being awaited.

    An error of ours is logged as one warning line, anything else as a failure
    with its traceback: nothing is lost silently.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._tasks: set[Task] = set()
        self._closed = False
        self._idle: OneShot[None] = OneShot()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, object], what: str) -> Task:
        """Run *coroutine* now until its first wait, and look after it from then on.

        :param what: what it does, for the log: ``"fetch of task 1f3a"``.
        :return: a handle that can cancel it.  After :meth:`cancel_all` nothing
            starts any more: the coroutine is closed unrun.
        """
        task = Task(what)
        if self._closed:
            coroutine.close()
            return task
        running: Deferred[Any] = Deferred.fromCoroutine(coroutine)
        # Registered before the callbacks: it may have ended already.
        task._running = running  # noqa: SLF001
        self._tasks.add(task)
        running.addErrback(self._report, what)
        running.addBoth(self._ended, task)
        return task

    def cancel_all(self) -> Deferred[None]:
        """Cancel every task and refuse new ones.

        The Deferred fires when the last one has ended; a task that cleans up
        with awaits of its own is waited for.  Cancelling it stops the waiting
        only.
        """
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        if not self._tasks:
            self._idle.fire(None)
        return self._idle.wait()

    def _report(self, failure: Failure, what: str) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(DragonflyError):
            self._log.warn("{what}: {error}", what=what, error=str(failure.value))
        else:
            self._log.failure("{what} failed", failure=failure, what=what)

    def _ended(self, _result: object, task: Task) -> None:
        task._running = None  # noqa: SLF001
        self._tasks.discard(task)
        if self._closed and not self._tasks:
            self._idle.fire(None)
