"""What the other side said before it reset a connection that we were still writing to.

A server that has heard enough of a request answers and closes.  If it leaves part of the request
unread, the kernel makes a reset of that, and our next write fails.  The answer lies in our
kernel then, and any blocking client reads it; Twisted closes the socket without a look.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

__all__ = ["hear_last_words"]

# Of 64 KiB at most: an answer to who is not finished yet is an error's, and short.
_READS = 16


def hear_last_words(transport: Any) -> None:
    """Let the protocol of a TCP connection have what is there before it hears of the loss.

    It gets it by ``dataReceived``, even if it paused reading.  Of TLS and the like the
    connection underneath is meant; other transports are left as they are.
    """
    while (inner := getattr(transport, "__dict__", {}).get("transport")) is not None:
        transport = inner
    if isinstance(transport, Connection):
        _listen_on(transport)


def _listen_on(transport: Any) -> None:
    lose = transport.connectionLost

    def connection_lost(reason: Failure) -> None:
        try:
            if reason.check(ConnectionLost) is not None:
                _read_rest(transport)
        finally:
            lose(reason)

    transport.connectionLost = connection_lost


def _read_rest(transport: Any) -> None:
    for _ in range(_READS):
        if not transport.connected or transport.doRead() is not None:
            return
