"""The conversation with the peer of a home: lines of JSON over its Unix socket, blocking.

The peer may be of another version: events and fields that we do not know are ignored, and
those that we need have been there since the first version.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from dragonfly.errors import DownloadFailed, PeerGone

__all__ = ["ANSWER_S", "QUIET_S", "Conversation", "Follower", "Result", "connect", "converse"]

QUIET_S = 30.0
"""A peer that says nothing for so long is asked whether it is there."""

ANSWER_S = 10.0
"""How long it may take to say yes; its longest pause is a fraction of a second."""

_READ = 256 * 1024


def connect(path: str) -> socket.socket | None:
    """Connect to the peer's socket; ``None`` if nobody listens there.

    :raises PeerGone: it is there, and we may not use it.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(ANSWER_S)
        sock.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise PeerGone(f"cannot use the socket {path}: {error.strerror or error}") from None
    return sock


class Follower(Protocol):
    """Who is told what the peer says; its errors end the conversation."""

    tick_s: float | None
    """Call :meth:`tick` this often; ``None``: no need."""

    def notice(self, text: str) -> None:
        """A line for the user."""

    def layout(self, path: str, length: int | None) -> None:
        """The peer's file, and its length if that is known."""

    def ranges(self, ranges: list[tuple[int, int]], sources: dict[str, int]) -> None:
        """These bytes are verified; where all bytes so far came from."""

    def restart(self) -> None:
        """Another version of the content begins."""

    def tick(self) -> None:
        """Time passes."""


class Result:
    """How a download ended well."""

    def __init__(self, length: int, sources: dict[str, int], reason: int) -> None:
        self.length = length
        self.sources = sources
        self.reason = reason


class Conversation:
    """One connection to the peer.

    :param clock: seconds, monotonic.
    """

    def __init__(self, sock: socket.socket, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._clock = clock
        self._buffer = bytearray()
        self._searched = 0

    def close(self) -> None:
        """Hang up: the peer gives up what we asked for, and keeps what it has."""
        self._sock.close()

    def ask(self, op: str, answer: str) -> dict[str, Any]:
        """Ask something that is answered at once.

        :raises PeerGone: it is not.
        """
        self.send({"op": op})
        deadline = self._clock() + ANSWER_S
        while True:
            event = self.next_event(deadline - self._clock())
            if event is None:
                raise PeerGone("the peer process of this home does not answer")
            if event.get("event") == answer:
                return event

    def send(self, message: dict[str, Any]) -> None:
        """Send one line.

        :raises PeerGone: the connection is broken.
        """
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            self._sock.settimeout(ANSWER_S)
            self._sock.sendall(line)
        except OSError as error:
            raise _gone(error) from None

    def next_event(self, wait_s: float | None) -> dict[str, Any] | None:
        """Wait for one line; ``None`` when none came in time.

        :raises PeerGone: the connection ended, or it speaks something else.
        """
        deadline = None if wait_s is None else self._clock() + wait_s
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            left = None if deadline is None else deadline - self._clock()
            if left is not None and left <= 0:
                return None
            if not self._receive(left):
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return _event(line)

    def _receive(self, wait_s: float | None) -> bool:
        try:
            self._sock.settimeout(wait_s)
            data = self._sock.recv(_READ)
        except TimeoutError:
            return False
        except OSError as error:
            raise _gone(error) from None
        if not data:
            raise PeerGone("the peer process of this home ended")
        self._buffer += data
        return True


def converse(
    talk: Conversation,
    request: dict[str, Any],
    follower: Follower,
    *,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Ask for a file and tell the follower everything until it is there.

    :param deadline: on ``clock``; the peer keeps the user's time limit itself, this is for
        one that does not.
    :raises DownloadFailed: the peer says so, or the deadline passed.
    :raises PeerGone: the connection broke, or the peer hangs.
    """
    talk.send(request)
    heard, asked = clock(), False
    while True:
        now = clock()
        wait_s = min(
            heard + QUIET_S + (ANSWER_S if asked else 0.0) - now,
            follower.tick_s if follower.tick_s is not None else QUIET_S,
            deadline - now if deadline is not None else QUIET_S,
        )
        event = talk.next_event(max(wait_s, 0.0))
        if event is not None:
            heard, asked = clock(), False
            result = _follow(event, follower)
            if result is not None:
                return result
        follower.tick()
        now = clock()
        if deadline is not None and now >= deadline:
            raise DownloadFailed("not finished in the given time", kind="TimedOut")
        if asked and now >= heard + QUIET_S + ANSWER_S:
            raise PeerGone("the peer process of this home does not answer any more")
        if not asked and now >= heard + QUIET_S:
            talk.send({"op": "ping"})
            asked = True


def _follow(event: dict[str, Any], follower: Follower) -> Result | None:
    """Pass one event on; the result if it is the last."""
    kind = event.get("event")
    try:
        if kind == "ranges":
            follower.ranges([(a, b) for a, b in event["ranges"]], event["bytes"])
        elif kind == "layout":
            follower.layout(event["path"], event["length"])
        elif kind == "notice":
            follower.notice(event["text"])
        elif kind == "restart":
            follower.restart()
        elif kind == "done":
            return Result(event["length"], event["bytes"], event["reason"])
        elif kind == "failed":
            raise _failed(event)
    except (KeyError, TypeError, ValueError) as error:
        raise PeerGone(f"the peer process sent a {kind} event without sense: {error}") from error
    return None


def _failed(event: dict[str, Any]) -> DownloadFailed:
    return DownloadFailed(
        str(event["error"]),
        kind=str(event.get("code", "")),
        status=int(event.get("status", 0)),
        reason=int(event.get("reason", 0)),
    )


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise PeerGone("what listens on this home's socket does not speak our language")
    return event


def _gone(error: OSError) -> PeerGone:
    return PeerGone(f"the peer process of this home ended: {error.strerror or error}")
