"""The supernode's HTTP routes, on Klein: parse, call, encode, map errors; no logic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from klein import Klein
from twisted.internet.interfaces import IReactorTime

from dragonfly.metrics import BuildInfo, SupernodeMetrics
from dragonfly.net.disk import DiskPool
from dragonfly.signatures import KeyRing
from dragonfly.supernode.api import cdn as cdn_routes
from dragonfly.supernode.api import status, swarm, v1
from dragonfly.supernode.api.common import map_errors
from dragonfly.supernode.api.site import make_site
from dragonfly.supernode.cdn import Cdn
from dragonfly.supernode.tracker import Tracker

__all__ = ["add_all_routes", "make_site", "map_errors"]


def add_all_routes(
    app: Klein,
    *,
    cdn: Cdn,
    tracker: Tracker,
    ring: KeyRing,
    disk: DiskPool,
    clock: IReactorTime,
    build: BuildInfo,
    metrics: SupernodeMetrics,
    health: Callable[[], Mapping[str, object]],
    before_metrics: Callable[[], object],
    connections: Callable[[], int],
) -> None:
    """Add every route there is.

    :param connections: how many are open on the port.
    """
    swarm.add_routes(app, tracker, connections)
    status.add_routes(
        app, build=build, metrics=metrics, health=health, before_metrics=before_metrics
    )
    v1.add_routes(app, cdn=cdn, tracker=tracker)
    cdn_routes.add_routes(app, cdn=cdn, ring=ring, disk=disk, clock=clock, banned=tracker.banned)
