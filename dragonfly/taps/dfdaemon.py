"""``dfdaemon``: the daemon in the foreground, without ``twistd``'s own options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from dragonfly import __version__
from dragonfly.config import DAEMON_SAMPLE
from dragonfly.errors import DragonflyError
from dragonfly.net.logs import log_to
from dragonfly.taps.commandline import next_command
from dragonfly.taps.daemon import DEFAULT_FILE, Options, makeService

__all__ = ["main", "run"]

_log = Logger("dragonfly.dfdaemon")

_OTHERS = f"""
  dfdaemon version            prints dfdaemon {__version__}
  dfdaemon config default     prints a configuration file with all defaults
  dfdaemon setup ENGINE       points containerd, docker, crio or podman at it
  dfdaemon doctor             checks it, and whether engines come to it
  dfdaemon gen-ca             makes the authority for hijack_https
"""


def _setup(arguments: Sequence[str]) -> int:
    from dragonfly.setup.cli import main as setup  # noqa: PLC0415 - the daemon needs none of it

    return setup(arguments, DEFAULT_FILE)


def _doctor(arguments: Sequence[str]) -> int:
    from dragonfly.setup.doctor import main as doctor  # noqa: PLC0415 - as above

    return doctor(arguments, DEFAULT_FILE)


def _gen_ca(arguments: Sequence[str]) -> int:
    from dragonfly.taps.genca import main as gen_ca  # noqa: PLC0415 - as above

    return gen_ca(arguments)


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "setup": _setup,
    "doctor": _doctor,
    "gen-ca": _gen_ca,
}
"""Commands that do not run the daemon; each takes the arguments behind its name."""


class _Command(Options):
    synopsis = f"Usage: dfdaemon {Options.synopsis}"

    def opt_version(self) -> None:
        """print the version and end"""
        print(f"dfdaemon {__version__}")
        sys.exit(0)

    def getUsage(self, width: int | None = None) -> str:
        """The flags, and what else there is."""
        return f"{super().getUsage(width).rstrip()}\n{_OTHERS}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code.

    :raises SystemExit: for ``--help``, and where it cannot run; the text says why.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["version"]:
        print(f"dfdaemon {__version__}")
        return 0
    if arguments == ["config", "default"]:
        print(DAEMON_SAMPLE, end="")
        return 0
    if arguments and arguments[0] in _COMMANDS:
        return _COMMANDS[arguments[0]](arguments[1:])
    options = _Command()
    try:
        options.parseOptions(arguments)  # type: ignore[no-untyped-call]
    except usage.UsageError as error:
        print(f"dfdaemon: {error}\nTry 'dfdaemon --help'.", file=sys.stderr)
        return 2
    log_to(sys.stderr, verbose=options.parsed.verbose)
    from twisted.internet import reactor  # noqa: PLC0415 - the command decides when

    return run(makeService(options, reactor, command=next_command), reactor)


def run(service: IService, reactor: Any) -> int:
    """Run the service until a signal ends it in order; give the exit code.

    :raises ListenError: a port cannot be had, which ends the process with that text.
    """
    try:
        service.privilegedStartService()
        service.startService()
    except DragonflyError as error:
        if isinstance(error, SystemExit):
            raise
        print(f"dfdaemon: {error}", file=sys.stderr)
        return 1

    def stop() -> Deferred[Any]:
        return maybeDeferred(service.stopService).addErrback(_failed)

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    reactor.run()
    return 0


def _failed(failure: Failure) -> None:
    _log.failure("stopping", failure)
