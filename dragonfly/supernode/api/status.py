"""Whether the supernode lives, what it is, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from klein import Klein
from twisted.web.server import Request

from dragonfly.metrics import TEXT_TYPE, BuildInfo, SupernodeMetrics
from dragonfly.supernode.api.common import answer, plain, route

__all__ = ["add_routes"]


def add_routes(
    app: Klein,
    *,
    build: BuildInfo,
    metrics: SupernodeMetrics,
    health: Callable[[], Mapping[str, object]],
    before_metrics: Callable[[], object],
) -> None:
    """Add the routes that tell about the process.

    :param health: what ``/healthy`` shows; ``ok`` in it decides between 200 and 503.
    :param before_metrics: brings gauges up to date.
    """

    @route(app, "/_ping", "GET")
    def ping(request: Request) -> bytes:
        return plain(request, b"OK", "text/plain; charset=utf-8")

    @route(app, "/version", "GET")
    def version(request: Request) -> bytes:
        return answer(request, build.names())

    @route(app, "/healthy", "GET")
    def healthy(request: Request) -> bytes:
        state = dict(health())
        return answer(request, state, 200 if state.get("ok") else 503)

    @route(app, "/metrics", "GET")
    def numbers(request: Request) -> bytes:
        before_metrics()
        return plain(request, metrics.text(), TEXT_TYPE)
