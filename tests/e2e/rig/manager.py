"""A service manager, as far as a service's messages to it go (``sd_notify(3)``)."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

__all__ = ["ServiceManager"]

_CREDENTIALS = struct.Struct("=iII")


class ServiceManager:
    """Listens at ``path``, and knows who sent what: the kernel tells it.

    :ivar heard: pairs of a process id and one line, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[int, str]] = []
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sock.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            data, [(_, _, credentials)], _, _ = self._sock.recvmsg(4096, 256)
            if not data:
                return
            pid, _, _ = _CREDENTIALS.unpack(credentials)
            self.heard += [(pid, line) for line in data.decode().split("\n")]

    def said(self, pid: int) -> list[str]:
        """What that process said so far, each line once."""
        return list(dict.fromkeys(line for sender, line in self.heard if sender == pid))

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", str(self.path))
        self._thread.join(10)
        self._sock.close()
