"""How much must have come before the reactor is woken."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.tcp import Connection

__all__ = ["wake_at"]


def wake_at(transport: Any, count: int) -> None:
    """Report ``transport`` as readable when ``count`` bytes have come, or it has ended.

    Only where the kernel is known to keep it (``SO_RCVLOWAT`` and poll, Linux), and only for a
    plain TCP transport: elsewhere nothing changes, and each arrival wakes the reactor.
    """
    if _KEPT and isinstance(transport, Connection) and not transport.TLS:
        with suppress(OSError):  # the socket is gone: its end is told anyway
            transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)


_KEPT = sys.platform == "linux"
"""Others have the option, too, and poll that does not heed it."""
