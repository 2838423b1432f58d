"""Processes of the lab: started on a host, measured, ended by us alone."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rig import cpu_seconds, peak_mib

__all__ = ["Meter", "Process", "end_all"]

END_S = 10.0


class Process:
    """A program that runs on a host.

    :param within: from :meth:`~labrig.net.Net.inside`.
    :param log: where its output goes.
    :param ready: hand it a pipe as ``--ready-fd`` and wait there for its first word in
        :meth:`wait_ready`.
    """

    def __init__(
        self, within: Sequence[str], command: Sequence[str], log: Path, *, ready: bool = False
    ) -> None:
        self.log = log
        self._pipe: int | None = None
        theirs = None
        if ready:
            self._pipe, theirs = os.pipe()
            command = [*command, "--ready-fd", str(theirs)]
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                [*within, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                pass_fds=() if theirs is None else (theirs,),
                start_new_session=True,
            )
        if theirs is not None:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child.poll() is None

    def wait_ready(self, seconds: float = 120.0) -> None:
        """Wait for its first word; ends the lab if it is not ``ready``."""
        if self._pipe is None:
            return
        pipe, self._pipe = self._pipe, None
        readable = select.select([pipe], [], [], seconds)[0]
        word = os.read(pipe, 4096).decode() if readable else "not ready in time"
        os.close(pipe)
        if not word.startswith("ready"):
            sys.exit(f"{self.log}: {word or 'ended'}\n{self.log.read_text()[-2000:]}")

    def ended(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        with suppress(ProcessLookupError):
            self._child.send_signal(number)


def end_all(processes: Sequence[Process]) -> None:
    """End processes, whatever state they are in, and wait for it."""
    for process in processes:
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + END_S
    for process in processes:
        if not process.ended(max(0.0, deadline - time.monotonic())):
            process.signal(signal.SIGKILL)
            process.ended(END_S)


class Meter:
    """What processes use from :meth:`start` on.

    :param pids: by name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}

    def start(self) -> None:
        """Note where everybody is."""
        self._before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def read(self, name: str) -> None:
        """Note what one process has used; the last word about one that is about to go."""
        with suppress(OSError, IndexError):
            pid = self._pids[name]
            used, peak = cpu_seconds(pid), peak_mib(pid)
            if peak:  # a dead process has none
                self.cpu_s[name] = used - self._before[name]
                self.peak_mib[name] = peak

    def read_all(self) -> None:
        """Note what all have used."""
        for name in self._pids:
            self.read(name)
