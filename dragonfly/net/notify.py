"""What a service manager is told of a process (``sd_notify(3)``): plain datagrams."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.task import LoopingCall

__all__ = ["Notices"]


WAIT_S = 1.0
"""A manager that is busy has a queue of a few words only. What it must not miss waits so long for
room in it; that we are alive it is told again anyway."""


class Notices:
    """Tells the manager when the process is ready, and that its reactor turns.

    :param address: the manager's socket; empty: there is none, and nothing is told.
    :param watchdog_s: it wants to hear of us that often; 0: never.
    """

    def __init__(self, address: str, watchdog_s: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> Notices:
        """As ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` say."""
        watched = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        text = environment.get("WATCHDOG_USEC", "")
        wanted = watched and text.isascii() and text.isdigit()
        return cls(environment.get("NOTIFY_SOCKET", ""), int(text) / 1e6 if wanted else 0.0)

    def follow(self, reactor: Any) -> None:
        """Tell of the reactor: that it runs, that it goes on running, that it ends."""
        if self._address:
            reactor.callWhenRunning(self._started, reactor)
            reactor.addSystemEventTrigger("before", "shutdown", self.tell, "STOPPING=1")

    def reloading(self) -> None:
        """The configuration is being read again; :meth:`ready` follows."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.tell("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def ready(self) -> None:
        """It serves."""
        self.tell("READY=1")

    def pass_on(self, pid: int) -> None:
        """Another process of this service is the main one from now on: nothing more is told
        here, neither that this one lives nor that it ends."""
        # The other one's next sign of life may come as late as it is wanted.
        self.tell(f"MAINPID={pid}", "WATCHDOG=1", wait_s=10 * WAIT_S)
        self._address = ""

    def tell(self, *lines: str, wait_s: float = WAIT_S) -> None:
        """Send these; a manager that does not listen is none.

        :param wait_s: so long this may block where it has not read what came before.
        """
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(wait_s)
            sock.connect(self._address)  # without that, waiting for room is no waiting
            sock.send("\n".join(lines).encode())

    def _started(self, reactor: Any) -> None:
        self.ready()
        if self._watchdog_s:
            alive = LoopingCall(self.tell, "WATCHDOG=1", wait_s=0.0)
            alive.clock = reactor
            alive.start(self._watchdog_s / 2)
