"""The HTTP server around the routes: bounded bodies, numbers for every request."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.addresses import plain_address
from dragonfly.net.calloff import call_off

__all__ = ["BODY_MAX", "IDLE_S", "REQUEST_S", "make_site"]

BODY_MAX = 2 * 1024 * 1024
"""The largest honest body is an announce with the holdings of 2^21 pieces: 350 KiB of
base64, plus complaints and dead neighbours; everything beyond is refused unread."""

_DISCARD_MAX = 8 * BODY_MAX
"""Beyond this a body is not even read to answer 413: the connection is cut."""

IDLE_S = 60.0
"""A connection without a request is closed after this."""

REQUEST_S = 60.0
"""A request that has not come in whole by then is cut off: a byte now and then keeps a
connection from being idle. The largest body needs 35 KB/s."""

_VERSIONED = re.compile(rb"^/v[0-9.]+(/.*)$")


class MeasuredRequest(Request):
    """A request that counts itself and never holds more than :data:`BODY_MAX` of body."""

    metrics: SupernodeMetrics
    clock: IReactorTime

    def __init__(self, channel: HTTPChannel, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)  # type: ignore[no-untyped-call]
        self.handler_label = "other"
        self._seen = 0
        self._dropped = 0
        self._began = 0.0
        self._coming: IDelayedCall | None = self.clock.callLater(REQUEST_S, self._too_slow)

    @property
    def _too_large(self) -> bool:
        return self._seen > BODY_MAX

    def gotLength(self, length: int | None) -> None:
        """Refuse to make room for a body that is announced too large."""
        if length is not None and length > BODY_MAX:
            self._seen = length
        super().gotLength(0 if self._too_large else length)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        """Take what fits; drop what does not."""
        announced = self._too_large
        self._seen += 0 if announced else len(data)
        if not self._too_large:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]
        else:
            self._dropped += len(data)
            if self._dropped > _DISCARD_MAX:
                self.channel.forceAbortClient()

    def process(self) -> None:
        """Answer; at once where the routes need not be asked."""
        self._stop_waiting()
        self._began = self.clock.seconds()
        self.notifyFinish().addBoth(self._measure)
        if self._too_large:
            self._refuse(413, f"the body has more than {BODY_MAX} bytes")
        elif not _is_text(unquote_to_bytes(self.path)) or not _is_text(self.method):
            self._refuse(400, "the request line is not UTF-8")  # Klein would log a traceback
        else:
            versioned = _VERSIONED.match(self.path)
            if versioned is not None:
                self.path = versioned.group(1)
            super().process()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """It will not come any more."""
        self._stop_waiting()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _too_slow(self) -> None:
        self._coming = None
        self.channel.forceAbortClient()

    def _stop_waiting(self) -> None:
        coming, self._coming = self._coming, None
        call_off(coming)

    def _refuse(self, code: int, message: str) -> None:
        data = json.dumps({"code": code, "message": message}).encode() + b"\n"
        self.setResponseCode(code)
        self.setHeader("Content-Type", "application/json")  # type: ignore[no-untyped-call]
        self.setHeader("Content-Length", str(len(data)))  # type: ignore[no-untyped-call]
        self.setHeader("Connection", "close")  # type: ignore[no-untyped-call]
        self.write(data)  # type: ignore[no-untyped-call]
        self.finish()  # type: ignore[no-untyped-call]

    def _measure(self, _result: object) -> None:
        metrics, label = self.metrics, self.handler_label
        metrics.http_requests.labels(str(self.code), label).inc()
        metrics.http_duration.labels(label).observe(self.clock.seconds() - self._began)
        metrics.http_request_size.labels(label).observe(self._seen)
        metrics.http_response_size.labels(label).observe(self.sentLength)


class QuietSite(Site):
    """A site that logs requests only when it is told to; the metrics count them.

    Ten thousand peers announce hundreds of times a second.
    """

    _log = Logger()
    verbose = False

    def log(self, request: http.Request) -> None:
        """Write a line, without the query, if it is wanted."""
        if self.verbose:
            self._log.debug(
                "{address}: {method} {path} answered {code}",
                address=plain_address(request.getClientAddress().host),
                method=request.method.decode("latin-1"),
                path=request.path.decode("latin-1"),
                code=request.code,
            )


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def make_site(
    root: IResource, metrics: SupernodeMetrics, clock: IReactorTime, *, verbose: bool = False
) -> Site:
    """Serve ``root``; every path also exists under ``/v<version>``, as with v1.

    :param verbose: log every request.
    """
    bound = type("BoundRequest", (MeasuredRequest,), {"metrics": metrics, "clock": clock})
    site = QuietSite(root, requestFactory=bound, timeout=IDLE_S, reactor=clock)  # type: ignore[no-untyped-call]
    site.displayTracebacks = False
    site.noisy = False
    site.verbose = verbose
    return site
