"""The Unix socket where dfget meets the peer of its home: one JSON object a line.

Requests are ``get``, ``ping``, ``status`` and ``stop``, and ``takeover`` where another process
may take the place of this one (:mod:`.succession`); a ``get`` is answered by events
until ``done`` or ``failed``. A client that hangs up has given up its request; what was
downloaded stays and is continued next time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

import dragonfly
from dragonfly.errors import ConfigError, DragonflyError, OriginError, TrackerError
from dragonfly.peer.download.download import Download
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.home.getmessage import parse_get
from dragonfly.peer.home.rangebatch import RangeBatch
from dragonfly.peer.home.succession import Handing, Succession
from dragonfly.task.layout import Layout

__all__ = ["LINE_BYTES", "LocalFactory", "LocalServer"]

LINE_BYTES = 256 * 1024
"""Longest line of a client: a URL, headers, and room."""


@attrs.frozen(kw_only=True)
class LocalServer:
    """What the socket offers.

    :param fetch: begins a download.
    :param stop: ends this process.
    :param status: what ``status`` is answered with.
    :param used: called whenever a client comes or goes (with +1 or -1).
    :param succession: gives how another process takes the place of this one; ``None``: not.
    """

    fetch: Callable[[FetchRequest], Download]
    stop: Callable[[], None]
    status: Callable[[], dict[str, Any]]
    used: Callable[[int], None]
    clock: IReactorTime
    succession: Callable[[], Succession | None] = lambda: None


@implementer(IPushProducer)
class LocalProtocol(LineOnlyReceiver):
    """One client."""

    delimiter = b"\n"
    MAX_LENGTH = LINE_BYTES
    _log = Logger()

    def __init__(self, server: LocalServer, connected: set[LocalProtocol]) -> None:
        self._server = server
        self._connected = connected
        self._download: Download | None = None
        self._handing: Handing | None = None
        self._batch = RangeBatch(server.clock, self._tell_ranges)

    # -- Protocol -------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Count the client, and hear from the transport when it does not read."""
        self._connected.add(self)
        self._server.used(1)
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """The client is gone, and with it its interest in the download."""
        self._connected.discard(self)
        self._server.used(-1)
        self._batch.hold()
        download, self._download = self._download, None
        if download is not None:
            download.cancel()
        if self._handing is not None:
            self._handing.hung_up()

    def lineReceived(self, line: bytes) -> None:
        """One request."""
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ConfigError("a request is a JSON object")
            self._obey(message)
        except (ValueError, RecursionError, DragonflyError) as error:
            self._send(_failure(error))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Nobody asks at such length."""
        self._send(_failure(ConfigError(f"a request is longer than {LINE_BYTES} bytes")))
        self.hang_up()

    def _obey(self, message: dict[str, Any]) -> None:
        op = message.get("op")
        if op == "get":
            self._get(message)
        elif op == "ping":
            version = dragonfly.__version__
            self._send({"event": "pong", "version": version, "pid": os.getpid()})
        elif op == "status":
            self._send({"event": "status", **self._server.status()})
        elif op == "stop":
            self._send({"event": "stopping"})
            self._server.stop()
        elif op == "takeover" and (succession := self._server.succession()) is not None:
            self._take_over(succession, message.get("step"), message.get("pid"))
        else:
            raise ConfigError(f"unknown request {op!r}")

    def _get(self, message: dict[str, Any]) -> None:
        if self._download is not None:
            raise ConfigError("this connection has a download already")
        self._download = self._server.fetch(parse_get(message))
        self._download.add_listener(self)

    def _take_over(self, succession: Succession, step: object, pid: object) -> None:
        wire: Any = self.transport
        handing = self._handing or Handing(succession, wire.sendFileDescriptor, self._send)
        answer = handing.obey(step, pid)
        self._handing = handing
        self._connected.discard(self)  # this conversation goes on when the others are ended
        if answer is not None:
            self._send(answer)

    # -- DownloadListener --------------------------------------------------------------

    def on_layout(self, layout: Layout) -> None:
        """The download has a file, and perhaps a length."""
        download = self._download
        if download is None:
            return
        self._batch.flush()
        self._send(
            {
                "event": "layout",
                "task": download.task.hex(),
                "path": str(download.path),
                "length": layout.length,
            }
        )

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """More bytes are verified."""
        self._batch.add(ranges)

    def on_notice(self, text: str) -> None:
        """Something the user should know."""
        self._send({"event": "notice", "text": text})

    def on_restart(self) -> None:
        """The content changed: what was copied is worth nothing."""
        self._batch.clear()
        self._send({"event": "restart"})

    def on_done(self) -> None:
        """All bytes are there."""
        download = self._download
        if download is None:
            return
        self._batch.release()
        self._send(
            {
                "event": "done",
                "length": download.layout.length,
                "bytes": dict(download.sources),
                "seconds": round(download.seconds, 3),
                "reason": download.reason,
            }
        )

    def on_failed(self, error: Exception) -> None:
        """It did not work."""
        download = self._download
        if download is None:
            return
        self._batch.release()
        extra = {"bytes": dict(download.sources), "reason": download.reason}
        self._send({**_failure(error), **extra})

    # -- IPushProducer -----------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The client does not read: ranges are gathered until it does."""
        self._batch.hold()

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._batch.release()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` says the rest."""
        self._batch.hold()

    # -- inside ------------------------------------------------------------------------

    def _tell_ranges(self, ranges: list[tuple[int, int]]) -> None:
        if self._download is not None:
            event = {"event": "ranges", "ranges": ranges}
            self._send({**event, "bytes": dict(self._download.sources)})

    def _send(self, event: dict[str, Any]) -> None:
        if self.transport is not None:
            line = json.dumps(event, separators=(",", ":")).encode()
            self.sendLine(line)  # type: ignore[no-untyped-call]

    def hang_up(self) -> None:
        """End the conversation, once what was said is out."""
        if self.transport is not None:
            self.transport.unregisterProducer()  # type: ignore[attr-defined]
            self.transport.loseConnection()


def _failure(error: Exception) -> dict[str, Any]:
    """The ``failed`` event for ``error``."""
    status = error.status if isinstance(error, OriginError | TrackerError) else 0
    return {
        "event": "failed",
        "code": type(error).__name__,
        "status": status,
        "error": str(error),
        "retryable": bool(getattr(error, "retryable", False)),
        "reason": 0,
        "bytes": {},
    }


class LocalFactory(Factory):
    """Makes a :class:`LocalProtocol` for each client.

    :ivar connected: the conversations that are going on.
    """

    noisy = False

    def __init__(self, server: LocalServer) -> None:
        self.connected: set[LocalProtocol] = set()
        self._server = server

    def buildProtocol(self, addr: object) -> LocalProtocol:  # noqa: ARG002
        """Take one client."""
        return LocalProtocol(self._server, self.connected)

    def hang_up(self) -> None:
        """End all conversations."""
        for protocol in list(self.connected):
            protocol.hang_up()
