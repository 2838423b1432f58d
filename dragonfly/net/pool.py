"""Connections of HTTP clients: no line in the log for each, no head of an answer without end."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web._newclient import BODY, DONE, HTTP11ClientProtocol
from twisted.web.client import HTTPConnectionPool
from twisted.web.client import _HTTP11ClientFactory as HTTP11ClientFactory

from dragonfly.errors import OriginError

__all__ = ["HEAD_BYTES", "quiet_pool"]

HEAD_BYTES = 64 * 1024
"""Of an answer, with what is said before it (1xx). Twisted keeps all header lines that come,
and a server can send gigabytes of them before the answer is overdue."""


class _BoundedClient(HTTP11ClientProtocol):
    """Gives an answer up whose head does not end; one read may come on top."""

    _head_of: object = None
    _head_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        """Take some of the answer."""
        parser = self._parser
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        if parser is None or parser is not self._parser or parser.state in (BODY, DONE):
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
