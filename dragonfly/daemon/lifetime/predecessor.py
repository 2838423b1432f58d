"""The dfdaemon whose place a new one takes, as the new one sees it.

This happens before the reactor runs, so it is plain blocking code.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from dragonfly.daemon.lifetime.sidedoor import side_door
from dragonfly.errors import HomeBusy
from dragonfly.peer.home.sockpath import socket_path

__all__ = ["ANSWER_S", "Predecessor"]

ANSWER_S = 5.0
"""It answers from memory, but a busy reactor may be late."""

_LINE_BYTES = 64 * 1024
_DESCRIPTORS = 16


class Predecessor:
    """A conversation with the dfdaemon of ``home``; see :mod:`dragonfly.peer.home.succession`.

    It serves on if this process ends, or calls :meth:`close`, before :meth:`serving`.

    :ivar sockets: what it listens on, by name; whoever takes one keeps it.
    """

    def __init__(self, wire: socket.socket, home: Path) -> None:
        self.sockets: dict[str, socket.socket] = {}
        self._wire = wire
        self._home = home

    @classmethod
    def met(cls, home: Path) -> Predecessor | None:
        """Get its sockets; ``None``: no dfdaemon is there.

        :raises HomeBusy: it does not hand them over; the text says why.
        """
        # Who lost its home and serves on is at the side door, whoever has the home then.
        return cls._met(home, socket_path(side_door(home))) or cls._met(home, socket_path(home))

    @classmethod
    def _met(cls, home: Path, path: Path) -> Predecessor | None:
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wire.settimeout(ANSWER_S)
        try:
            wire.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            wire.close()
            return None
        except OSError as error:
            wire.close()
            raise _refused(home, str(error)) from None
        found = cls(wire, home)
        try:
            hands_over = found._begin()
        except BaseException:
            found.close()
            raise
        if not hands_over:
            found.close()
        return found if hands_over else None

    def free(self) -> None:
        """Ask it to give up the home; the lock tells when it has.

        :raises HomeBusy: it is gone.
        """
        self._say("free")

    def at_work(self) -> bool:
        """Whether it has said since the last call that it is giving up the home."""
        self._wire.settimeout(0)
        try:
            return bool(self._wire.recv(_LINE_BYTES))
        except OSError:
            return False
        finally:
            self._wire.settimeout(ANSWER_S)

    def serving(self) -> None:
        """Tell it that this process serves.

        :raises HomeBusy: it is gone.
        """
        self.at_work()  # to hang up on what is unread resets the connection
        self._say("serving")

    def close(self) -> None:
        """End the conversation, and close the sockets that nobody took."""
        self._wire.close()
        for sock in self.sockets.values():
            sock.close()

    def _begin(self) -> bool:
        """Get the sockets; ``False``: it is no dfdaemon, but a peer of dfget."""
        self._say("begin")
        numbers: list[int] = []
        try:
            answer = self._answer(numbers)
        finally:
            found = [socket.socket(fileno=number) for number in numbers]
            names = [f"?{at}" for at in range(len(found))]
            self.sockets = dict(zip(names, found, strict=True))
        if str(answer.get("error", "")).startswith("unknown request"):
            return False
        if answer.get("event") != "sockets":
            raise _refused(self._home, str(answer.get("error", "it does not know how")))
        if len(names := answer["names"]) != len(found):
            raise _refused(self._home, f"{len(found)} sockets came for {len(names)} names")
        self.sockets = dict(zip(names, found, strict=True))
        return True

    def _answer(self, numbers: list[int]) -> dict[str, Any]:
        """Read one line, and the descriptors that come with it."""
        line = b""
        while not line.endswith(b"\n"):
            try:
                data, came, _flags, _address = socket.recv_fds(
                    self._wire, _LINE_BYTES, _DESCRIPTORS
                )
            except OSError as error:
                raise _refused(self._home, str(error)) from None
            for number in came:
                os.set_inheritable(number, False)
            numbers.extend(came)
            line += data
            if not data or len(line) > _LINE_BYTES:
                raise _refused(self._home, "it hung up" if not data else "it talks too much")
        with suppress(ValueError):
            answer = json.loads(line)
            if isinstance(answer, dict):
                return answer
        return {}

    def _say(self, step: str) -> None:
        line = json.dumps({"op": "takeover", "step": step, "pid": os.getpid()})
        try:
            self._wire.sendall(line.encode() + b"\n")
        except OSError as error:
            raise _refused(self._home, str(error)) from None


def _refused(home: Path, why: str) -> HomeBusy:
    return HomeBusy(f"the process of the home {home} does not hand over: {why}")
