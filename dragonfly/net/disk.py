"""Disk and hash work off the reactor's thread: bounded, in order for each file.

Apart from the reactor's own pool, which also resolves names. A hop to a thread and back
costs some 94 us, so all jobs that wait for one file go in one hop, and the results of a hop
come back in one call: many small pieces share the price of one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from dragonfly.net.fanout import OneShot

__all__ = ["BATCH_JOBS", "KEY_HIGH_BYTES", "THREADS", "TOTAL_HIGH_BYTES", "DiskPool", "Threads"]

THREADS = 4
"""Enough to keep a disk busy and hash beside it; hashing beyond the cores gains nothing."""

TOTAL_HIGH_BYTES = 64 * 1024 * 1024
"""Bytes waiting in all jobs above which everybody is paused; a peer is to stay under 100 MiB."""

KEY_HIGH_BYTES = 16 * 1024 * 1024
"""Bytes waiting for one file above which its feeders are paused: eight large pieces' parts."""

BATCH_JOBS = 64
"""Jobs of one file in one hop; more would keep other files waiting for a thread."""

_T = TypeVar("_T")


class Threads(Protocol):
    """The part of a thread pool that is needed here."""

    def start(self) -> object:
        """Begin to run what is given."""

    def stop(self) -> object:
        """Run what was given to its end; blocks."""

    def callInThread(self, func: Callable[..., object], *args: Any) -> object:
        """Run ``func`` in a thread."""


@attrs.define(eq=False)
class _Job:
    work: Callable[[], Any]
    cost: int
    answer: Deferred[Any] | None = None


@attrs.define(eq=False)
class _Line:
    """What waits for one file; ``running`` are the jobs of the hop under way."""

    waiting: deque[_Job] = attrs.field(factory=deque)
    running: list[_Job] = attrs.field(factory=list)
    queued: int = 0
    drained: OneShot[None] | None = None


class DiskPool:
    """Runs blocking jobs in its own threads, those of one key one after another.

    :param threads: the thread pool; made here if not given.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        *,
        threads: Threads | None = None,
        total_high: int = TOTAL_HIGH_BYTES,
        key_high: int = KEY_HIGH_BYTES,
    ) -> None:
        self._reactor = reactor
        self._threads = threads or ThreadPool(minthreads=0, maxthreads=THREADS, name="disk")
        self._total_high = total_high
        self._key_high = key_high
        self._lines: dict[Hashable, _Line] = {}
        self._queued = 0
        self._started = False
        self._stopping: OneShot[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._started and self._stopping is None

    def start(self) -> None:
        """Start the threads."""
        self._started = True
        self._threads.start()

    def stop(self) -> Deferred[None]:
        """Let all jobs given so far run to their end, then end the threads.

        Cancelling gives up waiting, not the stop.
        """
        if self._stopping is None:
            self._stopping = OneShot()
            self._stop_if_idle()
        return self._stopping.wait()

    def run(
        self, key: Hashable, work: Callable[..., _T], *args: Any, cost: int = 0
    ) -> Deferred[_T]:
        """Run ``work(*args)`` in a thread, after all earlier jobs of ``key``.

        :param cost: bytes that the job holds, for :meth:`full`.
        :return: fires with the result, or with what the job raised. Cancelling drops a job
            that has not begun; one that has runs on, and its answer is dropped.
        """
        if self._stopping is not None:
            raise RuntimeError("the disk pool has stopped")
        line = self._lines.setdefault(key, _Line())
        job = _Job(lambda: work(*args), cost)
        answer: Deferred[_T] = Deferred(lambda _: self._cancel(key, job))
        job.answer = answer
        line.waiting.append(job)
        line.queued += cost
        self._queued += cost
        if not line.running:
            self._hop(key, line)
        return answer

    def full(self, key: Hashable) -> bool:
        """Tell whether so much waits, for ``key`` or in all, that its feeder should pause."""
        line = self._lines.get(key)
        return line is not None and (
            line.queued >= self._key_high or (line.queued > 0 and self._queued >= self._total_high)
        )

    def drained(self, key: Hashable) -> Deferred[None]:
        """Fire when less than half of what makes ``key`` :meth:`full` waits for it.

        Cancelling gives up waiting only.
        """
        line = self._lines.get(key)
        if line is None or self._is_low(line):
            return succeed(None)
        if line.drained is None:
            line.drained = OneShot()
        return line.drained.wait()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait or are being worked on."""
        return self._queued

    # -- one hop ---------------------------------------------------------------------

    def _hop(self, key: Hashable, line: _Line) -> None:
        while line.waiting and len(line.running) < BATCH_JOBS:
            line.running.append(line.waiting.popleft())
        self._threads.callInThread(self._work, key, list(line.running))

    def _work(self, key: Hashable, jobs: list[_Job]) -> None:
        """Run in a thread: nothing of ours but the list is touched here."""
        results = []
        for job in jobs:
            try:
                results.append(job.work())
            except BaseException:  # noqa: BLE001, PERF203 - it belongs to whoever gave the job
                results.append(Failure())
        self._reactor.callFromThread(self._worked, key, jobs, results)

    def _worked(self, key: Hashable, jobs: list[_Job], results: list[Any]) -> None:
        """Settle the books before anybody is told: what they do next must see them."""
        line = self._lines[key]
        line.running = []
        cost = sum(job.cost for job in jobs)
        line.queued -= cost
        self._queued -= cost
        if line.waiting:
            self._hop(key, line)
        drained = None
        if self._is_low(line):
            drained, line.drained = line.drained, None
        if not line.waiting and not line.running and line.drained is None:
            del self._lines[key]
        for job, result in zip(jobs, results, strict=True):
            self._tell(job, result)
        if drained is not None:
            drained.fire(None)
        self._stop_if_idle()

    def _tell(self, job: _Job, result: Any) -> None:
        answer, job.answer = job.answer, None
        if answer is not None:
            answer.callback(result)  # a Failure makes it an errback

    def _cancel(self, key: Hashable, job: _Job) -> None:
        job.answer = None
        line = self._lines.get(key)
        if line is not None and job in line.waiting:
            line.waiting.remove(job)
            line.queued -= job.cost
            self._queued -= job.cost

    def _is_low(self, line: _Line) -> bool:
        return line.queued * 2 < self._key_high and (
            not line.queued or self._queued * 2 < self._total_high
        )

    def _stop_if_idle(self) -> None:
        if self._stopping is not None and not self._stopping.fired and not self._lines:
            self._threads.stop()
            self._stopping.fire(None)
