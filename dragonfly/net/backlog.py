"""What was handed to a connection and has not arrived: the part of it that nobody else tells."""

from __future__ import annotations

import fcntl
import sys
import termios
from typing import Any

from dragonfly.net.sendnow import unsent

__all__ = ["socket_backlog"]

_ROOM = b"\0\0\0\0"


def socket_backlog(transport: Any) -> int:
    """Bytes handed to ``transport`` that the other host has not acknowledged yet.

    The kernel tells its part by ``SIOCOUTQ`` (the same number as ``TIOCOUTQ``); what
    Twisted still holds in user space comes on top, because a block that was just written
    has not reached the kernel before the reactor's next turn. 0 when there is no socket.
    """
    waiting = unsent(transport)
    handle = getattr(transport, "getHandle", None)
    if handle is None:
        return waiting
    try:
        raw = fcntl.ioctl(handle().fileno(), termios.TIOCOUTQ, _ROOM)
    except (OSError, AttributeError, ValueError):
        return 0
    return waiting + int.from_bytes(raw, sys.byteorder)
