"""Connections of HTTP clients: no line in the log for each, no head of an answer without end."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web._newclient import BODY, DONE, HTTP11ClientProtocol
from twisted.web.client import HTTPConnectionPool
from twisted.web.client import _HTTP11ClientFactory as HTTP11ClientFactory

from dragonfly.errors import OriginError

__all__ = ["BODY_READ_BYTES", "HEAD_BYTES", "quiet_pool"]

BODY_READ_BYTES = 512 * 1024
"""Read at once of a body so long: eight events in one, and a third less CPU time. Beyond 1 MiB
the C library would give the memory back and get it anew for each read."""

HEAD_BYTES = 64 * 1024
"""Of an answer, with what is said before it (1xx). Twisted keeps all header lines that come,
and a server can send gigabytes of them before the answer is overdue."""


class _BoundedClient(HTTP11ClientProtocol):
    """Gives an answer up whose head does not end; one read may come on top.

    Reads more at once when a long body has begun on a connection that serves one request. Not
    in heads or chunks: a line of a head costs a copy of all that was read after it, a chunk an
    event, and both may be tiny.
    """

    _head_of: object = None
    _head_bytes = 0
    _body_of: object = None

    def dataReceived(self, data: bytes) -> None:
        """Take some of the answer."""
        parser = self._parser
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if parser is None or parser is not self._parser:
            return
        if parser.state in (BODY, DONE):
            if parser is not self._body_of:
                self._body_of = parser
                self._read_body(parser)
            return
        if parser is not self._head_of:
            self._head_of, self._head_bytes = parser, 0
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            error = OriginError(f"the head of the answer is longer than {HEAD_BYTES} bytes")
            if self.state == "WAITING":  # else it still sends, and hears of the end of that
                self._disconnectParser(Failure(error))  # type: ignore[no-untyped-call]
            wire: Any = self.transport
            wire.abortConnection()

    def _read_body(self, parser: Any) -> None:
        length = parser.response.length
        long = isinstance(length, int) and length >= BODY_READ_BYTES
        if long and not parser.request.persistent:  # else another head comes after it
            wire: Any = self.transport
            wire = getattr(wire, "transport", wire)  # below TLS
            if "bufferSize" not in vars(wire):  # a rate limit may have asked for less
                wire.bufferSize = BODY_READ_BYTES


class _QuietFactory(HTTP11ClientFactory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> HTTP11ClientProtocol:  # noqa: ARG002
        return _BoundedClient(self._quiescentCallback)  # type: ignore[no-untyped-call]


def quiet_pool(reactor: Any, *, persistent: bool) -> HTTPConnectionPool:
    """Make a pool that does not log "Starting factory" for each of its connections.

    Its answers fail with an OriginError where their heads have more than
    :data:`HEAD_BYTES`.

    :param persistent: whether connections are kept for further requests.
    """
    pool = HTTPConnectionPool(reactor, persistent=persistent)
    pool._factory = _QuietFactory  # noqa: SLF001 - there is no other way to say it
    return pool
