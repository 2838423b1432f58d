"""Who sends a second signal does not want to wait for an end in order."""

from __future__ import annotations

import signal
from typing import Any

__all__ = ["die_of_the_second"]


def die_of_the_second(reactor: Any) -> None:
    """Have SIGTERM and SIGINT kill the process from the moment on when ``reactor`` begins to
    stop. What is on disk is sound at any moment."""
    reactor.addSystemEventTrigger("before", "shutdown", _die)


def _die() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
