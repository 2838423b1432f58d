"""Listening sockets that whoever starts the process has opened already (``sd_listen_fds(3)``).

They outlive the process: connections wait in their backlog while it is replaced.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

from dragonfly.errors import ConfigError

__all__ = ["FIRST", "SOCKETS", "environment_at_start", "inherited"]

FIRST = 3
"""The number of the first descriptor that is handed in."""

SOCKETS = 16
"""Nobody means to hand in more."""


def environment_at_start(path: str = "/proc/self/environ") -> dict[str, str]:
    """What was in the environment when the process began; nothing where that is not known.

    Twisted removes ``LISTEN_PID`` and ``LISTEN_FDS`` when its endpoints are imported, and
    keeps what they said to itself unless there are names.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().decode(errors="surrogateescape").split("\0")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def inherited(
    environment: Mapping[str, str], names: Sequence[str], *, pid: int, first: int = FIRST
) -> dict[str, socket.socket]:
    """The sockets that ``LISTEN_FDS`` speaks of, by name; none if it is meant for no one or
    for another process.

    :param names: the names that are known. Where ``LISTEN_FDNAMES`` has none of them, the
        sockets have these names in this order.
    :raises ConfigError: what is handed in cannot be listened on, or has no use here.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return {}
    text = environment.get("LISTEN_FDS", "")
    if not (text.isascii() and text.isdigit() and int(text) <= SOCKETS):
        raise ConfigError(f"LISTEN_FDS: {text!r} is not a number from 0 to {SOCKETS}")
    count = int(text)
    called = _names(environment.get("LISTEN_FDNAMES", "").split(":"), count, names)
    return {name: _listening(first + at, name) for at, name in enumerate(called)}


def _names(told: Sequence[str], count: int, names: Sequence[str]) -> Sequence[str]:
    if not set(told) & set(names):
        if count > len(names):
            raise ConfigError(f"LISTEN_FDS: {count} sockets without names, {len(names)} have a use")
        return names[:count]
    if len(told) != count:
        raise ConfigError(f"LISTEN_FDNAMES has {len(told)} names for {count} sockets")
    for name in told:
        if name not in names:
            raise ConfigError(f"LISTEN_FDNAMES: {name!r} is none of {', '.join(names)}")
    if len(set(told)) < count:
        raise ConfigError("LISTEN_FDNAMES: one socket for each name, please: " + ":".join(told))
    return told


def _listening(number: int, name: str) -> socket.socket:
    try:
        found = socket.socket(fileno=number)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"descriptor {number}, {name}, cannot be used: {reason}") from None
    if not listens or found.family not in (socket.AF_INET, socket.AF_INET6):
        found.detach()
        raise ConfigError(f"descriptor {number}, {name}, is no TCP socket that is listened on")
    found.setblocking(False)
    found.set_inheritable(False)
    return found
