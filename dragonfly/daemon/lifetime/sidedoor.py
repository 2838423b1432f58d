"""Where another process can take over from a dfdaemon that has no home: the home's own socket
is not its any more."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from dragonfly.errors import TaskError
from dragonfly.peer.download.download import Download
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.home.home import Home
from dragonfly.peer.home.local import LocalFactory, LocalServer
from dragonfly.peer.home.localport import LocalPort
from dragonfly.peer.home.succession import Succession

__all__ = ["SideDoor", "side_door"]


def side_door(home: Path) -> Path:
    """The directory with its lock and its socket."""
    return home / "takeover"


class SideDoor(Service):
    """Listens on a socket of its own beside that of ``home`` while it runs.

    :param succession: gives how another process takes the place of this one.
    """

    def __init__(self, home: Path, succession: Callable[[], Succession], reactor: Any) -> None:
        self._place = Home(side_door(home))
        server = LocalServer(
            fetch=_fetch,
            stop=lambda: None,
            status=lambda: {"pid": os.getpid()},
            used=lambda _: None,
            clock=reactor,
            succession=succession,
        )
        self._port = LocalPort(reactor, self._place, LocalFactory(server))

    def startService(self) -> None:
        """Listen.

        :raises HomeBusy: another dfdaemon does.
        :raises HomeUnusable: the directory or the socket cannot be made.
        """
        self._place.lock()
        try:
            self._port.startService()
        except BaseException:
            self._place.unlock()
            raise
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Listen no more; fires when the socket is gone. Who is taking over goes on."""
        super().stopService()  # type: ignore[no-untyped-call]
        return self._port.stopService().addCallback(lambda _: self._place.unlock())


def _fetch(_: FetchRequest) -> Download:
    raise TaskError("this dfdaemon has no home now")
