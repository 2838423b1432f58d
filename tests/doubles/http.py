"""HTTP spoken to a site in memory, byte by byte, with real back-pressure.

::

    call = HttpCall(site, "GET", "/_ping")
    assert call.answer().body == b"OK"

A call whose answer does not end by itself is looked at with ``call.received`` and ended
with ``call.hang_up()``.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Mapping
from typing import Any, cast

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.server import Site

from tests.doubles.bounded_pipe import BoundedPipe, pump

__all__ = ["HttpAnswer", "HttpCall"]


@attrs.frozen
class HttpAnswer:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Client(Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True


class HttpCall:
    """One connection with one request that was sent already.

    :param read: with ``False`` the client reads nothing until :meth:`go_on`.
    """

    def __init__(
        self,
        site: Site,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        read: bool = True,
        version: str = "1.1",
        chunked: bool = False,
    ) -> None:
        self._method = method
        self.server, self.client = BoundedPipe.pair(high=256 * 1024, low=64 * 1024)
        self._reader = _Client()
        self.client.connect(self._reader)
        protocol = site.buildProtocol(IPv4Address("TCP", "192.0.2.2", 40002))
        assert protocol is not None
        self.server.connect(protocol)
        if not read:
            self.client.pauseProducing()
        lines = [f"{method} {path} HTTP/{version}", "Host: supernode"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if chunked and body is not None:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.client.write(head + (body or b""))
        self.pump()

    def pump(self) -> None:
        """Move everything that can move."""
        pump(self.server, self.client)

    def go_on(self, most: int | None = None) -> None:
        """Read: everything that comes, or some bytes and then no more."""
        self.client.resumeProducing()
        if most is None:
            self.pump()
        else:
            self.server.move(most)
            self.client.pauseProducing()

    def hang_up(self) -> None:
        """Leave."""
        self.client.abortConnection()

    @property
    def received(self) -> bytes:
        """Everything that came, headers and all."""
        return bytes(self._reader.received)

    @property
    def cut(self) -> bool:
        """Whether the connection is gone."""
        return self._reader.lost

    def answer(self) -> HttpAnswer:
        """The answer, whole.

        :raises http.client.IncompleteRead: it is not.
        """
        response = http.client.HTTPResponse(
            cast("Any", _Socket(self.received)), method=self._method
        )
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, headers, response.read())


class _Socket:
    """What ``http.client`` reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)
