"""The disk pool's threads, without threads: jobs run when a test says so.

::

    threads = HandThreads()
    disk = DiskPool(threads, threads=threads)
    disk.run("file", work)      # waits
    threads.run()               # until nothing waits any more

With ``direct=True`` every job runs inside of the call that gave it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from dragonfly.net.disk import DiskPool

__all__ = ["HandThreads", "direct_disk"]


@implementer(IReactorFromThreads)
class HandThreads:
    """A thread pool and the reactor's way back from it, in one thread."""

    def __init__(self, *, direct: bool = False) -> None:
        self.direct = direct
        self.started = False
        self._waiting: deque[Callable[[], object]] = deque()

    def start(self) -> None:
        """Nothing has to be started."""
        self.started = True

    def stop(self) -> None:
        """Run what waits; a pool ends only then."""
        self.run()
        self.started = False

    def callInThread(self, func: Callable[..., object], *args: Any) -> None:
        """Let the job wait, or run it."""
        if self.direct:
            func(*args)
        else:
            self._waiting.append(lambda: func(*args))

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002 - the interface's name
        """Nothing else runs: call it now."""
        callable(*args, **kwargs)

    @property
    def waiting(self) -> int:
        """Hops that wait for :meth:`run`."""
        return len(self._waiting)

    def run(self, hops: int | None = None) -> None:
        """Run what waits, and what comes from it; at most ``hops`` of them."""
        while self._waiting and hops != 0:
            self._waiting.popleft()()
            hops = None if hops is None else hops - 1


def direct_disk() -> DiskPool:
    """A disk pool whose jobs run at once."""
    threads = HandThreads(direct=True)
    disk = DiskPool(threads, threads=threads)
    disk.start()
    return disk
