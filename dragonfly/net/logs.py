"""Where a process writes what happens: its standard error, or a file."""

from __future__ import annotations

from typing import TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

__all__ = ["log_to", "observer"]


def log_to(stream: TextIO | None, *, verbose: bool) -> None:
    """Write log lines of this process to ``stream`` from now on; ``None``: nowhere.

    Infos and worse, with ``verbose`` everything. Standard output stays what it is.
    """
    level = LogLevel.debug if verbose else LogLevel.info
    observers = [observer(stream, level)] if stream is not None else []
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False)


def observer(stream: TextIO, level: LogLevel) -> ILogObserver:
    """What writes lines of ``level`` and above; Twisted's own chatter only from warnings on."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    predicate.setLogLevelForNamespace("dragonfly", level)
    return FilteringLogObserver(textFileLogObserver(stream), [predicate])
