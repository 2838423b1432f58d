"""``dfget server``: the peer process of a home, from its flags to its end.

Whoever starts it may hand it a pipe (``--ready-fd``); it says one word there, once it
serves or knows that it will not, and closes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.dfget.options import ServerOptions, parse_server
from dragonfly.dfget.report import EXIT_OK, exit_code
from dragonfly.errors import DragonflyError, HomeBusy
from dragonfly.net.allocator import keep_buffers
from dragonfly.net.collector import pass_over_what_is_there
from dragonfly.net.lateness import LatenessSampler
from dragonfly.net.logs import log_to
from dragonfly.net.openfiles import allow_open_files
from dragonfly.net.proxies import Proxies
from dragonfly.peer.equipment import Runtime
from dragonfly.peer.service import PeerService, make_peer
from dragonfly.peer.settings import PeerSettings

__all__ = ["Word", "main", "make_service", "run", "runtime_of", "settings_of"]

_log = Logger("dragonfly.dfget.server")


def main(argv: Sequence[str]) -> int:
    """Serve the home until told to end, or idle for ``--alivetime``; give the exit code.

    :raises SystemExit: for ``--help`` and wrong usage.
    """
    options = parse_server(argv)
    word = Word(options.ready_fd)
    log_to(sys.stderr, verbose=options.verbose)
    allow_open_files()
    keep_buffers()
    from twisted.internet import reactor  # noqa: PLC0415 - the command decides when

    pass_over_what_is_there()
    return run(lambda: make_service(options, reactor), reactor, word)


def make_service(options: ServerOptions, reactor: Any) -> PeerService:
    """Compose the peer, and the sampler of its reactor, which its status tells of.

    :raises ConfigError: the environment names a proxy that cannot be used.
    """
    service = make_peer(settings_of(options), runtime_of(reactor, os.environ))
    sampler = LatenessSampler(reactor, service.lateness.observe)
    sampler.setServiceParent(service)  # type: ignore[no-untyped-call]
    return service


def runtime_of(reactor: Any, environment: Mapping[str, str]) -> Runtime:
    """What the peer of a dfget runs with.

    :param environment: names the proxies that origins are reached through.
    :raises ConfigError: one of them is none that can be used.
    """
    return Runtime(reactor=reactor, proxies=Proxies.of(environment))


def settings_of(options: ServerOptions) -> PeerSettings:
    """What the flags mean for the service."""
    return PeerSettings(
        home=Path(options.home),
        port=options.port,
        address=options.ip,
        alive_s=options.alivetime or None,
        expire_s=options.expiretime,
    )


class Word:
    """What is said on the pipe of whoever started this process: once.

    :param fd: its writing end, ``None`` if nobody listens.
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def say(self, word: str, text: str = "") -> None:
        """Say ``ready``, ``busy`` or ``failed`` and why, and close the pipe."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        line = f"{word} {' '.join(text.split())}".rstrip() + "\n"
        with suppress(OSError):  # nobody waits any more: serve all the same
            os.write(fd, line.encode("utf-8", "replace"))
        with suppress(OSError):
            os.close(fd)


def run(make: Callable[[], PeerService], reactor: Any, word: Word) -> int:
    """Run the service that ``make`` gives until it is finished; give the exit code.

    Signals that end processes stop it in order.
    """
    try:
        service = make()
        service.privilegedStartService()
        service.startService()
    except DragonflyError as error:
        return _refuse(error, word)

    def finished(why: str) -> None:
        _log.info("peer ends: {why}", why=why)
        if reactor.running:
            reactor.stop()

    def stop() -> Deferred[None]:
        return service.stopService().addErrback(lambda failure: _log.failure("stopping", failure))

    service.finished.wait().addCallback(finished)
    reactor.addSystemEventTrigger("before", "shutdown", stop)
    word.say("ready")
    reactor.run()
    return EXIT_OK


def _refuse(error: DragonflyError, word: Word) -> int:
    """Say why there will be no peer here."""
    _log.error("no peer here: {error}", error=str(error))
    word.say("busy" if isinstance(error, HomeBusy) else "failed", str(error))
    return exit_code(error)
