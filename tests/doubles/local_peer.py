"""A peer process as dfget sees it, on a real Unix socket, that says what a test tells it to.

::

    with ScriptedPeer(home, [layout, ranges, done]) as peer:
        ... run dfget ...
        assert peer.requests[0]["url"] == ...
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dragonfly import __version__
from dragonfly.peer.home.sockpath import socket_path

__all__ = ["HANG_UP", "ScriptedPeer", "Step"]

Step = dict[str, Any] | bytes | Callable[[], None] | None
"""An event to send, raw bytes to send, something to do, or the end of the connection."""

HANG_UP: Step = None


class ScriptedPeer:
    """Answers the first ``get`` with the first script, the second with the second, ...

    After the last step of a script the connection stays open until the client closes it.
    ``ping``, ``status`` and ``stop`` are answered at any time.
    """

    def __init__(
        self, home: Path, *scripts: list[Step], version: str = __version__, **status: Any
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.stopped = threading.Event()
        self.closed_by_client = threading.Event()
        self.asked: list[str] = []
        self._scripts = list(scripts)
        self._version = version
        self._status = status
        self._path = socket_path(home)
        self._listening = socket.socket(socket.AF_UNIX)
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []

    def __enter__(self) -> ScriptedPeer:  # noqa: PYI034 - Self is Python 3.11
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._listening.bind(str(self._path))
        self._listening.listen(16)
        self._begin(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def close(self) -> None:
        """Stop listening, as a process that ends does."""
        self._path.unlink(missing_ok=True)
        for sock in (self._listening, *self._connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _begin(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    if not self._answer(connection, json.loads(line)):
                        connection.shutdown(socket.SHUT_RDWR)
                        return
            except (OSError, ValueError):
                pass
            self.closed_by_client.set()

    def _answer(self, connection: socket.socket, message: dict[str, Any]) -> bool:
        op = message["op"]
        self.asked.append(op)
        if op == "ping":
            _send(connection, {"event": "pong", "version": self._version, "pid": os.getpid()})
        elif op == "status":
            _send(connection, {"event": "status", **self._status})
        elif op == "stop":
            _send(connection, {"event": "stopping"})
            self.stopped.set()
            self.close()
        else:
            self.requests.append(message)
            return self._play(connection, self._scripts.pop(0))
        return True

    def _play(self, connection: socket.socket, script: list[Step]) -> bool:
        for step in script:
            if step is HANG_UP:
                return False
            if callable(step):
                step()
            elif isinstance(step, bytes):
                connection.sendall(step)
            else:
                _send(connection, step)
        return True


def _send(connection: socket.socket, event: dict[str, Any]) -> None:
    connection.sendall(json.dumps(event).encode() + b"\n")
