"""SIGHUP: the configuration is read again, as operators know it from other daemons."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.application.service import Service
from twisted.logger import Logger

from dragonfly.errors import ConfigError
from dragonfly.net.notify import Notices

__all__ = ["Hangup"]

_C = TypeVar("_C")


class Hangup(Service, Generic[_C]):
    """While it runs, SIGHUP reads the configuration again; started in the main thread.

    A configuration that is wrong changes nothing, and the log says why.

    :param read: gives the configuration; may raise ``ConfigError``.
    :param apply: takes it over, on the reactor's thread.
    :param notices: tell the service manager of it.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        read: Callable[[], _C],
        apply: Callable[[_C], object],
        *,
        notices: Notices | None = None,
    ) -> None:
        self._reactor = reactor
        self._read = read
        self._apply = apply
        self._notices = notices or Notices("")
        self._before: Any = None

    def startService(self) -> None:
        """Listen to the signal."""
        super().startService()  # type: ignore[no-untyped-call]
        self._before = signal.signal(signal.SIGHUP, self._came)

    def stopService(self) -> None:
        """Leave it to whoever had it before."""
        super().stopService()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGHUP, self._before)

    def reread(self) -> None:
        """Read and apply, as the signal does."""
        self._notices.reloading()
        try:
            config = self._read()
        except ConfigError as error:
            self._log.error("nothing is changed: {error}", error=str(error))
        else:
            self._apply(config)
        self._notices.ready()

    def _came(self, *_: object) -> None:
        self._reactor.callFromThread(self.reread)
