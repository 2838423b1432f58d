"""Listening sockets that outlive the process that they are handed to, as systemd holds them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

__all__ = ["HeldSockets"]

# What systemd does between fork and exec.
_HAND = """
import fcntl, os, sys
numbers, names, *command = sys.argv[1:]
high = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 64) for each in numbers.split(",")]
for number, each in enumerate(high, 3):
    os.dup2(each, number)
os.closerange(3 + len(high), 1024)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high))}
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execvp(command[0], command)
"""


class HeldSockets:
    """Sockets on loopback, on ports of the kernel's choice, under these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in names]

    @property
    def numbers(self) -> list[int]:
        """Their descriptors here."""
        return [each.fileno() for each in self._sockets]

    @property
    def ports(self) -> list[int]:
        """Where they listen."""
        return [each.getsockname()[1] for each in self._sockets]

    def handing(self, command: Sequence[str]) -> list[str]:
        """The command, started so that it gets the sockets."""
        if not self._sockets:
            return list(command)
        numbers = ",".join(map(str, self.numbers))
        return [sys.executable, "-c", _HAND, numbers, ":".join(self._names), *command]

    def close(self) -> None:
        """Hold them no longer."""
        for each in self._sockets:
            each.close()
