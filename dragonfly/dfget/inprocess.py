"""Being the peer oneself, for one download: without a background process, or without a home.

The reactor runs in a thread of its own, the command goes on in the main thread as always:
it talks to the peer over the home's socket, and signals interrupt it there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import attrs
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.dfget.client import Conversation, Result, connect
from dragonfly.dfget.fetch import Fetch
from dragonfly.dfget.options import Options
from dragonfly.dfget.progress import Console
from dragonfly.dfget.server import runtime_of, settings_of
from dragonfly.dfget.spawn import Background
from dragonfly.errors import DragonflyError, HomeBusy, PeerGone, StoreError
from dragonfly.net.logs import log_to
from dragonfly.peer.home.sockpath import socket_path
from dragonfly.peer.service import PeerService, make_peer

__all__ = ["Inside", "Neighbour", "run_inside"]

_log = Logger("dragonfly.dfget.inprocess")

STOP_S = 10.0
"""So long the peer may take to end; what it keeps is safe on disk at any moment."""


def run_inside(options: Options, fetch: Fetch, console: Console, *, temporary: bool) -> Result:
    """Download with a peer inside this process, which ends with it.

    :param temporary: use a home that is removed afterwards, because the user's own is of
        no use. Else the user's home; if another process serves it, that one is used, or a
        temporary home if it does not answer.

    The errors are those of :meth:`Fetch.run`. When interrupted, what is in the user's home
    stays and is continued next time.
    """
    log_to(sys.stderr if options.verbose else None, verbose=options.verbose)
    if not temporary:
        try:
            return _at_home(options, fetch, Path(options.home))
        except HomeBusy:
            console.debug(f"another process serves the home {options.home}: using it")
            try:
                return fetch.run(Neighbour(options, console))
            except PeerGone as error:
                console.notice(f"{error}; using a temporary home for this download")
        except StoreError as error:
            console.notice(f"{error}; using a temporary home for this download")
    home = Path(tempfile.mkdtemp(prefix="dfget-"))
    try:
        return _at_home(options, fetch, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _at_home(options: Options, fetch: Fetch, home: Path) -> Result:
    from twisted.internet import reactor  # noqa: PLC0415 - the command decides when

    settings = attrs.evolve(settings_of(options), home=home, alive_s=None)
    service = make_peer(settings, runtime_of(reactor, os.environ))
    with Inside(service, settings.home, reactor) as inside:
        return fetch.run(inside)


class Neighbour:
    """The peer process that serves this home already; a ``Talker``."""

    again = False

    def __init__(self, options: Options, console: Console) -> None:
        self._background = Background(options, console)

    def talk(self) -> Conversation:
        """A conversation with it.

        :raises PeerGone: it does not answer.
        """
        talk = self._background.find()
        if talk is None:
            raise PeerGone("another process holds this home and does not answer")
        return talk


class Inside:
    """A peer in a thread of this process, for as long as the block lasts; a ``Talker``.

    :param service: has the lock of ``home``.
    :param reactor: does not run yet; a process can run it once.
    """

    again = False

    def __init__(self, service: PeerService, home: Path, reactor: Any) -> None:
        self._service = service
        self._home = home
        self._reactor = reactor
        self._thread = threading.Thread(target=self._run, name="reactor", daemon=True)

    def __enter__(self) -> Inside:  # noqa: PYI034 - Self is Python 3.11
        """Start the peer.

        :raises DragonflyError: it cannot serve; the reactor was not run.
        """
        try:
            self._service.privilegedStartService()
            self._service.startService()
        except DragonflyError:
            self._service.stopService().addErrback(_log_failure)
            raise
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._reactor.callFromThread(_stop, self._reactor)
        self._thread.join(STOP_S)

    def talk(self) -> Conversation:
        """A conversation with the peer.

        :raises PeerGone: it has ended.
        """
        sock = connect(str(socket_path(self._home)))
        if sock is None:
            raise PeerGone("the peer in this process has ended")
        return Conversation(sock)

    def _run(self) -> None:
        """Runs in the thread."""
        self._reactor.addSystemEventTrigger("before", "shutdown", self._service.stopService)
        self._reactor.run(installSignalHandlers=False)


def _stop(reactor: Any) -> None:
    if reactor.running:
        reactor.stop()


def _log_failure(failure: Failure) -> None:
    _log.failure("stopping", failure)
