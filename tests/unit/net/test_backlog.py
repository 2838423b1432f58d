"""What was written and has not arrived, as far as this host can tell."""

from __future__ import annotations

import socket
from typing import Any

from dragonfly.net.backlog import socket_backlog


class _Transport:
    """The parts of a Twisted TCP transport that tell what waits."""

    def __init__(self, sock: Any = None, temp: int = 0, buffered: bytes = b"", off: int = 0):
        self._tempDataLen = temp
        self.dataBuffer = buffered
        self.offset = off
        if sock is not None:
            self.getHandle = lambda: sock


def test_the_backlog_counts_what_user_space_holds() -> None:
    """What is joined already, less what was sent of it, and what is not joined yet."""
    assert socket_backlog(_Transport(temp=100, buffered=b"x" * 50, off=20)) == 130
    assert socket_backlog(object()) == 0


def test_the_backlog_counts_what_the_kernel_holds() -> None:
    """Bytes that the other end has not taken; 0 for a socket that is closed."""
    one, other = socket.socketpair()
    try:
        one.send(b"x" * 1000)
        assert socket_backlog(_Transport(one, temp=5)) >= 1005
        other.recv(2000)
        assert socket_backlog(_Transport(one, temp=5)) == 5
    finally:
        one.close()
        other.close()
    assert socket_backlog(_Transport(one)) == 0
