"""The status port: whether dfdaemon lives, what it is, and what it counts.

It is apart from the proxy's port, so that nothing of it can be confused with a registry, and
so that it answers while the proxy is busy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from dragonfly.metrics import TEXT_TYPE, BuildInfo, Series
from dragonfly.net.calloff import call_off

__all__ = ["IDLE_S", "REQUEST_S", "make_status_site"]

IDLE_S = 60.0
"""A connection without a request is closed after this; scrapers come more often."""

REQUEST_S = 15.0
"""A request that has not come in whole by then is cut off."""

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"

_Page = Callable[[], tuple[int, str, bytes]]


class _Request(Request):
    """A request that has no body, and comes soon."""

    clock: IReactorTime

    def __init__(self, channel: HTTPChannel, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)  # type: ignore[no-untyped-call]
        self._coming: IDelayedCall | None = self.clock.callLater(REQUEST_S, self._cut)

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002
        """Nobody needs a body here: there is no room for one."""
        super().gotLength(0)  # type: ignore[no-untyped-call]

    def handleContentChunk(self, data: bytes) -> None:
        """Nothing is kept; a body that is endless runs out of time."""

    def process(self) -> None:
        """It is here."""
        self._stop_waiting()
        super().process()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """It will not come any more."""
        self._stop_waiting()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _cut(self) -> None:
        self._stop_waiting()
        self.channel.forceAbortClient()

    def _stop_waiting(self) -> None:
        coming, self._coming = self._coming, None
        call_off(coming)


class _QuietSite(Site):
    def log(self, request: http.Request) -> None:
        """Scrapers ask every few seconds for ever."""


class _Pages(Resource):
    """All paths."""

    isLeaf = True  # noqa: N815

    def __init__(self, pages: Mapping[bytes, _Page]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._pages = pages

    def render(self, request: Request) -> bytes:
        """Answer whatever comes."""
        status, kind, body = self._answer(request)
        request.setResponseCode(status)
        request.setHeader("Content-Type", kind)
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("Content-Length", str(len(body)))
        return b"" if request.method == b"HEAD" else body

    def _answer(self, request: Request) -> tuple[int, str, bytes]:
        page = self._pages.get(request.path)
        if page is None:
            return 404, _TEXT, b"there are " + b", ".join(self._pages) + b"\n"
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            return 405, _TEXT, b"this can only be read\n"
        return page()


def make_status_site(
    *,
    build: BuildInfo,
    metrics: Series,
    health: Callable[[], Mapping[str, object]],
    before_metrics: Callable[[], object],
    clock: IReactorTime,
) -> Site:
    """Serve ``/_ping``, ``/healthy``, ``/metrics`` and ``/version``.

    :param health: what ``/healthy`` shows; ``ok`` in it decides between 200 and 503.
    :param before_metrics: brings gauges up to date.
    """

    def healthy() -> tuple[int, str, bytes]:
        state = dict(health())
        return 200 if state.get("ok") else 503, _JSON, _json(state)

    def numbers() -> tuple[int, str, bytes]:
        before_metrics()
        return 200, TEXT_TYPE, metrics.text()

    pages: dict[bytes, _Page] = {
        b"/_ping": lambda: (200, _TEXT, b"OK"),
        b"/healthy": healthy,
        b"/metrics": numbers,
        b"/version": lambda: (200, _JSON, _json(build.names())),
    }
    bound = type("BoundRequest", (_Request,), {"clock": clock})
    site = _QuietSite(_Pages(pages), requestFactory=bound, timeout=IDLE_S, reactor=clock)  # type: ignore[no-untyped-call]
    site.displayTracebacks = False
    site.noisy = False
    return site


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"
