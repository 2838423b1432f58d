"""SIGUSR2: dfdaemon runs its own command line anew, which takes its place: an upgrade.

The new process must not be a child of the old one when that ends, and not even before: a
service manager hears at once of the end of its own children only. So there is a shell in
between, which ends with the new process and its exit code, or is ended when the new process
serves; who has lost its parent is the service manager's child.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import ConfigError
from dragonfly.net.fanout import OneShot

__all__ = ["Renewal", "environment_of_next"]

_SHELL = "/bin/sh"
_SCRIPT = '"$@"; exit $?'
_SIGNAL = frozenset({signal.SIGUSR2})
_STREAMS = {0: 0, 1: 1, 2: 2}
"""Its log is ours."""

_OURS = frozenset({"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"})


def environment_of_next(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that takes the place of this one: without what is meant
    for this one alone. The sockets come by another way; the watchdog wants to hear of both."""
    return {name: value for name, value in environment.items() if name not in _OURS}


class _Shell(ProcessProtocol):
    """The parent of the next process."""

    def __init__(self) -> None:
        self.ended: OneShot[object] = OneShot()

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and waited for."""
        self.ended.fire(reason.value)


class Renewal(Service):
    """While it runs, SIGUSR2 starts the next process; started in the main thread.

    :param command: gives the command line; may raise ``ConfigError``, whose text says why
        there is none.
    :param environment: of this process.
    :param pid: of this process.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        command: Callable[[], Sequence[str]],
        environment: Mapping[str, str],
        *,
        pid: int,
    ) -> None:
        self._reactor = reactor
        self._command = command
        self._environment = environment
        self._pid = pid
        self._shell: _Shell | None = None
        self._process: IProcessTransport | None = None
        self._over = False
        self._before: Any = None

    def startService(self) -> None:
        """Listen to the signal."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.addSystemEventTrigger("before", "shutdown", self._ends)
        # What came while this process was starting was not meant for it, see _start.
        self._before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNAL)
        signal.signal(signal.SIGUSR2, self._came)

    def stopService(self) -> None:
        """Leave it to whoever had it before."""
        super().stopService()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGUSR2, self._before)

    def begin(self) -> None:
        """Start the next process, unless one is on its way; the log says why not."""
        if self._over:
            self._log.info("SIGUSR2: this dfdaemon, process {pid}, is ending", pid=self._pid)
        elif self._process is not None:
            self._log.warn(
                "SIGUSR2: a new dfdaemon is starting already, below process {pid}",
                pid=self._process.pid,
            )
        else:
            self._start()

    def let_go(self, pid: int | None) -> Deferred[bool]:
        """Another process serves: have it be nobody's child, if it was started here. Begin no
        other from now on.

        :param pid: its number, if it is known.
        :return: fires with whether it belongs to the same service as this one. Cannot be
            cancelled.
        """
        self._over = True
        ours = pid is not None and _same_service(pid)
        if self._process is None or self._shell is None:
            return succeed(ours)
        ended = self._shell.ended.wait().addCallback(lambda _: ours)
        with suppress(ProcessExitedAlready):
            self._process.signalProcess("KILL")
        return ended

    def _ends(self) -> None:
        self._over = True

    # -- inside -------------------------------------------------------------------------------

    def _came(self, *_: object) -> None:
        self._reactor.callFromThread(self.begin)

    def _start(self) -> None:
        try:
            if self._pid == 1:  # a container ends with it
                raise ConfigError("process 1 cannot be replaced: start another container")
            shell = self._shell = _Shell()
            self._process = self._spawn(shell, self._command())
        except (ConfigError, OSError) as error:
            self._log.error("SIGUSR2: no upgrade: {error}", error=str(error))
            return
        self._log.info("SIGUSR2: starting a new dfdaemon, which takes over from this one")
        shell.ended.wait().addCallback(self._ended)

    def _spawn(self, shell: _Shell, command: Sequence[str]) -> IProcessTransport:
        # A signal for all processes of a service would kill those that do not know it yet.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNAL)
        try:
            process: IProcessTransport = self._reactor.spawnProcess(
                shell,
                _SHELL,
                [_SHELL, "-c", _SCRIPT, _SHELL, *command],
                env=environment_of_next(self._environment),
                childFDs=_STREAMS,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return process

    def _ended(self, why: Any) -> None:
        self._process = self._shell = None
        if self._over:
            return
        code = getattr(why, "exitCode", None)
        how = f"with exit code {code}" if code is not None else f"by signal {why.signal}"
        self._log.error(
            "the new dfdaemon ended {how}, see above: process {pid} serves on",
            how=how,
            pid=self._pid,
        )


def _same_service(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process is in our control group, which is what a service manager goes by."""
    try:
        return (proc / str(pid) / "cgroup").read_bytes() == (proc / "self/cgroup").read_bytes()
    except OSError:
        return False
