"""SIGUSR2: another process of the same command takes over; or it does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure

from dragonfly.daemon.lifetime.renewal import Renewal, environment_of_next
from dragonfly.errors import ConfigError
from tests.doubles.logs import logged


class Process:
    """A shell that was started."""

    pid = 4711
    gone = False

    def __init__(self, protocol: Any, command: Sequence[str], env: Any, fds: Any) -> None:
        self.protocol, self.command, self.env, self.fds = protocol, command, env, fds
        self.signals: list[str] = []

    def signalProcess(self, name: str) -> None:
        """Send it."""
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)

    def end(self, reason: Exception) -> None:
        """It ends."""
        self.protocol.processEnded(Failure(reason))


class Reactor:
    """Starts nothing."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.calls: list[Callable[[], Any]] = []
        self.endings: list[Callable[[], Any]] = []
        self.error: OSError | None = None

    def callFromThread(self, call: Callable[[], Any]) -> None:
        """Later."""
        self.calls.append(call)

    def addSystemEventTrigger(self, phase: str, event: str, call: Callable[[], Any]) -> None:
        """Later."""
        assert (phase, event) == ("before", "shutdown")
        self.endings.append(call)

    def spawnProcess(
        self, protocol: Any, path: str, args: Sequence[str], env: Any, childFDs: Any
    ) -> Process:
        """Pretend."""
        if self.error is not None:
            raise self.error
        assert path == args[0] == "/bin/sh"
        assert signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.processes.append(Process(protocol, args[4:], env, childFDs))
        return self.processes[-1]


class Scene:
    """A process that runs, and has this number."""

    def __init__(self, pid: int = 99) -> None:
        self.reactor = Reactor()
        self.command: list[str] | ConfigError = ["dfdaemon", "--takeover"]
        self.renewal = Renewal(self.reactor, self._command, {"A": "b"}, pid=pid)

    def _command(self) -> list[str]:
        if isinstance(self.command, ConfigError):
            raise self.command
        return self.command

    @property
    def process(self) -> Process:
        """The last one."""
        return self.reactor.processes[-1]


@pytest.fixture
def scene() -> Scene:
    """One."""
    return Scene()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged."""
    with logged() as found:
        yield found


def test_a_signal_starts_it(scene: Scene) -> None:
    """On the reactor's thread; with our streams; and no more when it is stopped."""
    before = signal.getsignal(signal.SIGUSR2)
    scene.renewal.startService()
    os.kill(os.getpid(), signal.SIGUSR2)
    assert scene.reactor.processes == []
    scene.reactor.calls.pop()()
    assert scene.process.command == ["dfdaemon", "--takeover"]
    assert (scene.process.env, scene.process.fds) == ({"A": "b"}, {0: 0, 1: 1, 2: 2})
    scene.renewal.stopService()
    assert signal.getsignal(signal.SIGUSR2) is before


STARTING = """
import os, signal
from types import SimpleNamespace
from dragonfly.daemon.lifetime.renewal import Renewal

calls = []
reactor = SimpleNamespace(callFromThread=calls.append, addSystemEventTrigger=lambda *_: None)
os.kill(os.getpid(), signal.SIGUSR2)
Renewal(reactor, list, {}, pid=2).startService()
print(len(calls))
os.kill(os.getpid(), signal.SIGUSR2)
print(len(calls))
"""


def test_a_signal_that_comes_while_it_is_starting() -> None:
    """It was meant for the one before; the next one is heard."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        done = subprocess.run(
            [sys.executable, "-c", STARTING], capture_output=True, text=True, check=False
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n1\n", "")


def test_what_is_meant_for_one_process_alone_is_not_handed_on() -> None:
    """The rest is."""
    environment = {
        "PATH": "/bin",
        "NOTIFY_SOCKET": "/run/n",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "7",
        "LISTEN_PID": "7",
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "dfdaemon",
    }
    assert list(environment_of_next(environment)) == ["PATH", "NOTIFY_SOCKET", "WATCHDOG_USEC"]


@pytest.mark.parametrize(
    ("reason", "how"),
    [
        (ProcessTerminated(exitCode=2), "with exit code 2"),
        (ProcessDone(0), "with exit code 0"),
        (ProcessTerminated(signal=9), "by signal 9"),
    ],
)
def test_one_that_ends_early(scene: Scene, lines: list[str], reason: Exception, how: str) -> None:
    """The log says how; another one may come."""
    scene.renewal.begin()
    scene.process.end(reason)
    assert f"the new dfdaemon ended {how}" in lines[-1]
    scene.renewal.begin()
    assert len(scene.reactor.processes) == 2


def test_one_at_a_time(scene: Scene, lines: list[str]) -> None:
    """The second signal is told."""
    scene.renewal.begin()
    scene.renewal.begin()
    assert len(scene.reactor.processes) == 1
    assert "starting already, below process 4711" in lines[-1]


def test_it_is_let_go(scene: Scene) -> None:
    """It is nobody's child when the shell is gone; it belongs to the same service."""
    scene.renewal.begin()
    done = scene.renewal.let_go(os.getpid())
    results: list[bool] = []
    done.addCallback(results.append)
    assert (scene.process.signals, results) == (["KILL"], [])
    scene.process.end(ProcessTerminated(signal=9))
    assert results == [True]
    scene.renewal.begin()
    assert len(scene.reactor.processes) == 1


def test_its_shell_is_gone_already(scene: Scene) -> None:
    """Its end is not known yet."""
    scene.renewal.begin()
    scene.process.gone = True
    results: list[bool] = []
    scene.renewal.let_go(os.getpid()).addCallback(results.append)
    scene.process.end(ProcessDone(0))
    assert results == [True]


@pytest.mark.parametrize("pid", [None, 2**30])
def test_one_that_was_started_elsewhere(scene: Scene, pid: int | None) -> None:
    """The service manager does not hear of it."""
    results: list[bool] = []
    scene.renewal.let_go(pid).addCallback(results.append)
    assert results == [False]


def test_none_while_it_ends(scene: Scene, lines: list[str]) -> None:
    """A signal meant for the others does no harm."""
    scene.renewal.startService()
    scene.reactor.endings.pop()()
    scene.renewal.begin()
    scene.renewal.stopService()
    assert scene.reactor.processes == []
    assert "process 99, is ending" in lines[-1]


def test_none_can_be_started(scene: Scene, lines: list[str]) -> None:
    """The reason is logged; it may be tried again."""
    scene.reactor.error = OSError(12, "no memory")
    scene.renewal.begin()
    assert "no upgrade: [Errno 12] no memory" in lines[-1]
    scene.reactor.error = None
    scene.command = ConfigError("not so")
    scene.renewal.begin()
    assert "no upgrade: not so" in lines[-1]
    scene.command = ["dfdaemon"]
    scene.renewal.begin()
    assert len(scene.reactor.processes) == 1


def test_the_first_process_of_a_container(lines: list[str]) -> None:
    """The container would end with it."""
    scene = Scene(pid=1)
    scene.renewal.begin()
    assert scene.reactor.processes == []
    assert "start another container" in lines[-1]
