"""Bytes to the kernel without waiting for the reactor's next turn.

Twisted keeps what is written until the socket is said to be writable: two changes of the epoll
set, and one more event, for each small message. A socket with nothing before them nearly always
takes the bytes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.tcp import Connection

__all__ = ["send_now", "unsent"]

_VECTOR_MAX = 1024
"""Chunks for one call (``IOV_MAX`` of Linux)."""


def unsent(transport: Any) -> int:
    """Bytes that ``transport`` holds in user space."""
    waiting = getattr(transport, "_tempDataLen", 0) - getattr(transport, "offset", 0)
    return max(0, int(waiting) + len(getattr(transport, "dataBuffer", b"")))


def send_now(transport: Any, chunks: Sequence[bytes]) -> Sequence[bytes]:
    """Send ``chunks`` on a plain TCP transport; give what is still to be written to it.

    All of them when something waits before them, the connection is ending, or the transport is
    of another kind. An error of the socket is left for the transport's own write to find.
    """
    if not _is_idle(transport) or len(chunks) > _VECTOR_MAX:
        return chunks
    try:
        return _after(chunks, transport.socket.sendmsg(chunks))
    except OSError:
        return chunks


def _is_idle(transport: Any) -> bool:
    return (
        isinstance(transport, Connection)
        and not transport.TLS
        and bool(transport.connected)
        and not transport.disconnecting
        and not unsent(transport)
    )


def _after(chunks: Sequence[bytes], sent: int) -> Sequence[bytes]:
    """Give ``chunks`` without their first ``sent`` bytes."""
    for index, chunk in enumerate(chunks):
        if sent < len(chunk):
            rest = chunk[sent:] if sent else chunk
            return [rest, *chunks[index + 1 :]]
        sent -= len(chunk)
    return ()
