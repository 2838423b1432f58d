"""The Unix socket of a home, as a service."""

from __future__ import annotations

import os
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from dragonfly.errors import HomeUnusable
from dragonfly.peer.home.home import Home
from dragonfly.peer.home.local import LocalFactory

__all__ = ["LocalPort"]


class LocalPort(Service):
    """Listens on the socket of ``home`` while it runs; nobody but this user may connect.

    The home must be locked.
    """

    def __init__(self, reactor: Any, home: Home, factory: LocalFactory) -> None:
        self._reactor = reactor
        self._home = home
        self._factory = factory
        self._listening: IListeningPort | None = None

    def startService(self) -> None:
        """Listen.

        :raises HomeUnusable: the socket cannot be made.
        """
        super().startService()  # type: ignore[no-untyped-call]
        if self._listening is not None:
            return
        path = self._home.prepare_socket()
        before = os.umask(0o177)  # a mode that is set afterwards leaves a moment in between
        try:
            self._listening = self._reactor.listenUNIX(str(path), self._factory, mode=0o600)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or error.socketError
            raise HomeUnusable(f"cannot listen on {path}: {reason}") from None
        finally:
            os.umask(before)

    def stopService(self) -> Deferred[None]:
        """Listen no more, and hang up; fires when the socket is gone."""
        super().stopService()  # type: ignore[no-untyped-call]
        listening, self._listening = self._listening, None
        if listening is None:
            return maybeDeferred(lambda: None)
        self._factory.hang_up()
        return maybeDeferred(listening.stopListening).addCallback(lambda _: None)
