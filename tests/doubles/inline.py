"""A reactor and threads that do everything at once, and coroutines that need not wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.net.disk import DiskPool

__all__ = ["InlineReactor", "InlineThreads", "inline_disk", "result_of"]


class InlineReactor(Clock):
    """A clock whose threads are the caller's own."""

    def callFromThread(self, call: Any, *args: Any) -> None:
        """Call now."""
        call(*args)


class InlineThreads:
    """Threads that have done what they are given, but for what they :meth:`hold`."""

    def __init__(self) -> None:
        self._held: deque[Any] | None = None

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""

    def callInThread(self, func: Any, *args: Any) -> None:
        """Call now, or at the end of the block."""
        if self._held is not None:
            self._held.append(lambda: func(*args))
        else:
            func(*args)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let jobs wait until the block ends, as they do where threads are threads."""
        held = self._held = deque()
        yield
        while held:  # what a job brings about waits for its turn, too
            held.popleft()()
        self._held = None


def inline_disk(reactor: InlineReactor, threads: InlineThreads | None = None) -> DiskPool:
    """A started pool whose jobs are done when they are given, unless ``threads`` hold them."""
    disk = DiskPool(reactor, threads=threads or InlineThreads())  # type: ignore[arg-type]
    disk.start()
    return disk


def result_of(coroutine: Any) -> Any:
    """Give what a coroutine returns without waiting, or raise what it raises.

    :raises AssertionError: it waits.
    """
    heard: list[Any] = []
    Deferred.fromCoroutine(coroutine).addBoth(heard.append)
    assert heard, "it waits for something"
    if isinstance(heard[0], Failure):
        heard[0].raiseException()
    return heard[0]
