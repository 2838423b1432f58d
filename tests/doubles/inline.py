"""A reactor and threads that do everything at once, and coroutines that need not wait."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.net.disk import DiskPool

__all__ = ["InlineReactor", "inline_disk", "result_of"]


class InlineReactor(Clock):
    """A clock whose threads are the caller's own."""

    def callFromThread(self, call: Any, *args: Any) -> None:
        """Call now."""
        call(*args)


class _InlineThreads:
    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""

    def callInThread(self, func: Any, *args: Any) -> None:
        """Call now."""
        func(*args)


def inline_disk(reactor: InlineReactor) -> DiskPool:
    """A started pool whose jobs are done when they are given."""
    disk = DiskPool(reactor, threads=_InlineThreads())  # type: ignore[arg-type]
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
