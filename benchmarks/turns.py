"""Runs a program in a process that measures every turn of its reactor, and leaves a report.

A turn is what happens between two waits of the reactor for something to do: while it lasts,
nothing else of the process is served. A timer that looks how late it is sees a turn only if
it was due meanwhile; here the poll object is wrapped, so none is missed. Of each turn it is
also known for how long its thread had the CPU, and how long it waited for one: on a machine
that has other things to do, that is not the program's doing.

    python benchmarks/turns.py REPORT PROGRAM [ARGUMENT ...]

PROGRAM is a module, or a script if there is a slash in it; REPORT is written once a second, for
processes that are killed, and at the end.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

from twisted.internet import epollreactor, main

BOUNDS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
"""As in the metric of the programs."""

LONG_S = 0.05
EVERY_S = 1.0
REPORT_BYTES = 2048
KINDS = ("by the clock", "without waiting for a CPU", "CPU alone")
"""How turns are measured."""


class Worst:
    """The longest of all turns by one measure, and how many were long."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.at = 0.0
        self.over = 0

    def add(self, seconds: float, now: float) -> None:
        """Count a turn that ended just now."""
        if seconds > self.seconds:
            self.seconds, self.at = seconds, now
        self.over += seconds > LONG_S

    def told(self) -> dict[str, float]:
        """For the report."""
        return {"s": self.seconds, "at": self.at, "over": self.over}


class Turns:
    """What is known of all turns."""

    def __init__(self, report: Path) -> None:
        self._report = os.open(report, os.O_CREAT | os.O_WRONLY, 0o644)
        thread = threading.get_native_id()
        self._waited = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._worst = {kind: Worst() for kind in KINDS}
        self._began = (0.0, 0.0, 0.0)
        self._write_at = 0.0

    def begin(self) -> None:
        """The reactor woke."""
        self._began = self._clocks()

    def end(self) -> None:
        """The reactor has done all there was."""
        if not self._began[0]:
            return
        now = self._clocks()
        wall, cpu, queue = (new - old for new, old in zip(now, self._began, strict=True))
        self._counts[bisect_left(BOUNDS_S, wall)] += 1
        each = zip(self._worst.values(), (wall, wall - queue, cpu), strict=True)
        for worst, seconds in each:
            worst.add(seconds, now[0])
        if now[0] > self._write_at:
            self._write_at = now[0] + EVERY_S
            self.write()

    def _clocks(self) -> tuple[float, float, float]:
        queue_ns = int(os.pread(self._waited, 80, 0).split()[1])
        return time.monotonic(), time.thread_time(), queue_ns / 1e9

    def write(self) -> None:
        """Leave the report."""
        names = (*map(str, BOUNDS_S), "+Inf")
        report = {
            "counts": dict(zip(names, self._counts, strict=True)),
            "worst": {kind: worst.told() for kind, worst in self._worst.items()},
        }
        # In place: a file system may wait for the disk where one file replaces another.
        os.pwrite(self._report, json.dumps(report).ljust(REPORT_BYTES).encode(), 0)


class WatchedPoller:
    """An epoll object that says when it waits."""

    def __init__(self, poller: Any, turns: Turns) -> None:
        self._poller = poller
        self._turns = turns

    def poll(self, timeout: float, most: int) -> Any:
        """Wait: the turn ends before, and the next begins after it."""
        self._turns.end()
        try:
            return self._poller.poll(timeout, most)
        finally:
            self._turns.begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)


def watch(report: Path) -> Turns:
    """Install a reactor whose turns are measured."""
    reactor = epollreactor.EPollReactor()
    turns = Turns(report)
    reactor._poller = WatchedPoller(reactor._poller, turns)  # type: ignore[assignment]
    # Not at exit: twistd ends itself by the signal that it was sent.
    reactor.addSystemEventTrigger("after", "shutdown", turns.write)
    main.installReactor(reactor)
    return turns


def run(program: str) -> None:
    """Run a module or a script."""
    if os.sep in program:
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    REPORT, PROGRAM = Path(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    # Beside this file lie modules that have nothing to do with what runs now.
    sys.path.pop(0)
    watch(REPORT)
    run(PROGRAM)
