"""Who sends a second signal does not want to wait for an end in order."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

__all__ = ["die_of_the_second", "hurry_at_the_first"]

_ENDING = (signal.SIGTERM, signal.SIGINT)


def die_of_the_second(reactor: Any) -> None:
    """Have SIGTERM and SIGINT kill the process from the moment on when ``reactor`` begins to
    stop. What is on disk is sound at any moment."""
    reactor.addSystemEventTrigger("before", "shutdown", _die)


def _die() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)


def hurry_at_the_first(reactor: Any, hurry: Callable[[], object]) -> None:
    """Have these signals call ``hurry`` from the moment on when ``reactor`` begins to stop: where
    the process ends by itself, the first is yet to come.

    A second SIGINT kills, which is somebody at a terminal. A second SIGTERM does not: systemd
    sends one to what is left of a service when its main process has ended.
    """

    def came(number: int, _: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        reactor.callFromThread(hurry)

    def listen() -> None:
        for number in _ENDING:
            signal.signal(number, came)

    reactor.addSystemEventTrigger("before", "shutdown", listen)
