"""A file that the log goes to, besides wherever it goes already."""

from __future__ import annotations

from typing import TextIO

from twisted.application.service import Service
from twisted.logger import ILogObserver, LogLevel, LogPublisher, globalLogPublisher

from dragonfly.errors import ConfigError
from dragonfly.net.logs import observer

__all__ = ["LogFile"]


class LogFile(Service):
    """Writes lines to the end of a file while it runs.

    :param path: made if it is not there; ``None``: there is none.
    :param publisher: for tests; by default everything that this process logs.
    """

    def __init__(
        self, path: str | None, *, verbose: bool, publisher: LogPublisher = globalLogPublisher
    ) -> None:
        self._path = path
        self._level = LogLevel.debug if verbose else LogLevel.info
        self._publisher = publisher
        self._file: TextIO | None = None
        self._observer: ILogObserver | None = None

    def privilegedStartService(self) -> None:
        """Open the file.

        :raises ConfigError: it cannot be written; who does not catch it ends with that text.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._open()

    def startService(self) -> None:
        """Open the file, unless that was done with privileges."""
        super().startService()  # type: ignore[no-untyped-call]
        self._open()

    def stopService(self) -> None:
        """Close the file."""
        super().stopService()  # type: ignore[no-untyped-call]
        file, self._file = self._file, None
        if file is not None and self._observer is not None:
            self._publisher.removeObserver(self._observer)
            file.close()

    def _open(self) -> None:
        if self._path is None or self._file is not None:
            return
        try:
            self._file = open(self._path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as error:
            raise _CannotWrite(f"logConfig path {self._path}: {error.strerror}") from None
        self._observer = observer(self._file, self._level)
        self._publisher.addObserver(self._observer)


class _CannotWrite(ConfigError, SystemExit):
    """Ends a process that is starting; its text is all the user needs."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text
