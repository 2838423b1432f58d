"""A directory with the processes of one test: they write their logs there and end with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

import pytest

from tests.e2e.rig.commands import environment

__all__ = ["FAILED", "Program", "Scene", "failed", "gone"]

FAILED = pytest.StashKey[bool]()
"""Set on a test that has failed."""

POLL_S = 0.02
END_S = 15.0
TAIL_BYTES = 6000

_T = TypeVar("_T")


class Program:
    """A child process. Everything it prints goes to ``log``, standard output to ``out``.

    :param out: ``None``: the same as ``log``.
    :param keep: descriptors that it inherits, under the same numbers.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        cwd: Path,
        out: Path | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        self.command = command
        self.log = log
        self._told = False
        with log.open("ab") as errors, (out or log).open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=cwd,
                env=environment(),
                pass_fds=keep,
                start_new_session=True,  # Ctrl-C on the tests is for the tests
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; ``None`` while it runs, negative for the signal that ended it."""
        return self._process.poll()

    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.code is None:
            self._process.send_signal(number)

    def interrupt(self) -> None:
        """What Ctrl-C does on a terminal: SIGINT to its whole process group."""
        if self.code is None:
            os.killpg(self.pid, signal.SIGINT)

    def wait(self, seconds: float = END_S) -> int:
        """Wait for its end and give the exit code.

        :raises AssertionError: it did not end in time; the text has its log.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            name = " ".join(self.command[:6])
            raise AssertionError(
                f"{name} has not ended after {seconds:g} s:\n{tail(self.log)}"
            ) from None

    def tell(self) -> None:
        """Ask it, once, to end."""
        if not self._told:
            self._told = True
            self.send(signal.SIGTERM)

    def end(self) -> None:
        """End it: politely, and if that does not help, by force."""
        self.tell()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """``kill -9`` and wait."""
        self.send(signal.SIGKILL)
        self._process.wait(END_S)


class Scene:
    """Where one test plays.

    :param root: an empty directory with a short name, because Unix sockets go in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._programs: list[Program] = []
        self._endings: list[Callable[[], object]] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        out: Path | None = None,
        keep: Sequence[int] = (),
    ) -> Program:
        """Start a process whose log is ``name.log``; it is ended with the scene."""
        log = self.root / f"{name}.log"
        program = Program(command, log, cwd=cwd or self.root, out=out, keep=keep)
        self._programs.append(program)
        self.at_end(program.end)
        return program

    def at_end(self, ending: Callable[[], object]) -> None:
        """Call this when the test is over; what came last goes first."""
        self._endings.append(ending)

    def wait_until(self, ready: Callable[[], _T | None], what: str, seconds: float = 30.0) -> _T:
        """Poll until ``ready`` gives something true, and give that.

        :raises AssertionError: it did not in time; the text has the logs of all processes.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = ready()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} after {seconds:g} s\n{self.logs()}")
            time.sleep(POLL_S)

    def directory(self, name: str) -> Path:
        """A directory in it, made if it is not there."""
        path = self.root / name
        path.mkdir(exist_ok=True)
        return path

    def logs(self) -> str:
        """The ends of all logs, those of background peers too."""
        found = sorted(self.root.rglob("*.log"))
        return "\n".join(f"--- {path.relative_to(self.root)}\n{tail(path)}" for path in found)

    def close(self) -> None:
        """End everything, all at once, and remove the directory."""
        for program in self._programs:
            program.tell()
        with ExitStack() as stack:
            if "DRAGONFLY_E2E_KEEP" not in os.environ:
                stack.callback(shutil.rmtree, self.root, ignore_errors=True)
            for ending in self._endings:
                stack.callback(ending)


def failed(request: pytest.FixtureRequest) -> bool:
    """Whether the test that a fixture serves has failed: then its logs are worth showing."""
    return bool(request.node.stash.get(FAILED, False))


def tail(log: Path) -> str:
    """The end of a log."""
    with suppress(OSError):
        return log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace")
    return "(cannot be read)"


def gone(pid: int) -> bool:
    """Whether a process is no more: a zombie is none."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return True
    return state in "ZX"
