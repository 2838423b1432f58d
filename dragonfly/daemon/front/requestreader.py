"""Bytes of a connection in, requests out, one at a time: h11 and what it leaves open.

There is one ``h11.Connection`` for each request, for reading only.  h11 would have a
connection of HTTP/1.0 always closed, and rewrites header lines of answers; see ``framing``.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

import attrs
import h11

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.refusals import (
    MALFORMED,
    TLS,
    Refusal,
    long_target,
    of_protocol_error,
)
from dragonfly.daemon.front.requesthead import read_head
from dragonfly.daemon.http.messages import RequestHead

__all__ = ["END", "End", "RequestReader"]

_HANDSHAKE = b"\x16"
# Method and version beside the target of a request line, generously.
_BESIDE_TARGET = 64
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_REQUEST_LINE = re.compile(rb"[^\s]+ [^\s]+ HTTP/[0-9]\.[0-9]\r?")


class End(Enum):
    """The type of :data:`END`."""

    END = "end"


END: Final = End.END
"""The body is complete."""


class RequestReader:
    """Reads the requests of one connection.

    Call :meth:`receive` with what comes, :meth:`head` until it gives one, :meth:`body` until
    it gives :data:`END`, then :meth:`next_request`.  A :class:`Refusal` is the last event.
    """

    def __init__(
        self, *, client: str, limits: FrontLimits, tunnel: str = "", secure: bool = False
    ) -> None:
        self._client = client
        self._tunnel = tunnel
        self._secure = secure
        self._limits = limits
        self._first = True
        self._restart()

    def _restart(self) -> None:
        self._h11 = h11.Connection(h11.SERVER, self._limits.head_bytes)
        self._begun = False
        self._in_line = True
        self._line_seen = False

    @property
    def begun(self) -> bool:
        """Whether anything of the current request has come."""
        return self._begun

    @property
    def ahead(self) -> bytes:
        """What came and was not given out yet."""
        return self._h11.trailing_data[0]

    @property
    def held(self) -> int:
        """How many bytes that is."""
        return len(self.ahead)

    @property
    def awaits_go_ahead(self) -> bool:
        """Whether the client sends its body only after ``100 Continue``."""
        return self._h11.they_are_waiting_for_100_continue

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        if not self._begun:
            data = data.lstrip(b"\r\n")  # old clients end a body with a line too many
            if self._first and data[:1] == _HANDSHAKE:
                self._in_line = False
        if data:
            self._begun = True
            self._h11.receive_data(self._spelled(data) if self._in_line else data)

    def _spelled(self, data: bytes) -> bytes:
        """With what of the request line is not ASCII as it should be: curl leaves queries as
        they were typed, and servers take them so."""
        line, newline, rest = data.partition(b"\n")
        self._in_line = not newline
        return _NOT_ASCII.sub(lambda found: b"%%%02X" % ord(found[0]), line) + newline + rest

    def head(self) -> RequestHead | Refusal | None:
        """Return the next request's head; ``None``: it is not complete."""
        if not self._begun:
            return None
        if self._first and self._h11.trailing_data[0][:1] == _HANDSHAKE:
            return TLS
        event = self._next()
        if isinstance(event, h11.Request):
            self._first = False
            head = read_head(event, client=self._client, limits=self._limits)
            if isinstance(head, Refusal):
                return head
            return attrs.evolve(head, tunnel=self._tunnel, secure=self._secure)
        if isinstance(event, Refusal):
            return self._blame_target(event)
        return self._check_line()

    def body(self) -> bytes | End | Refusal | None:
        """Return the next bytes of the body; ``None``: there are none yet."""
        event = self._next()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            return END
        return event if isinstance(event, Refusal) else None

    def rest(self) -> bytes:
        """Give out what follows the body, for somebody else to read."""
        rest = self._h11.trailing_data[0]
        self._restart()
        return rest

    def next_request(self) -> None:
        """Go on with what follows the body."""
        self.receive(self.rest())

    def _next(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as exc:
            return of_protocol_error(exc, head_bytes=self._limits.head_bytes)

    def _blame_target(self, refusal: Refusal) -> Refusal:
        if refusal.status == 431 and b"\n" not in self._h11.trailing_data[0]:
            return long_target(self._limits.target_bytes)
        return refusal

    def _check_line(self) -> Refusal | None:
        """Judge the request line as soon as it is there: h11 waits for the whole head."""
        if self._line_seen:
            return None
        so_far = self._h11.trailing_data[0]
        line, newline, _ = so_far.partition(b"\n")
        self._line_seen = bool(newline)
        if newline and not _REQUEST_LINE.fullmatch(line):
            return MALFORMED
        if len(line) > self._limits.target_bytes + _BESIDE_TARGET:
            return long_target(self._limits.target_bytes)
        return None
