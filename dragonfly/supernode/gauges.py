"""Numbers that are counted when somebody looks, not when they change."""

from __future__ import annotations

from collections import Counter

from dragonfly.metrics import SupernodeMetrics
from dragonfly.supernode.cdn import Cdn
from dragonfly.supernode.content import State
from dragonfly.supernode.seed import Seed
from dragonfly.supernode.tracker import Tracker

__all__ = ["Gauges"]


class Gauges:
    """Brings the gauges up to date, and what the seed's connections carried; linear in tasks and
    peers, so only for ``/metrics``."""

    def __init__(self, metrics: SupernodeMetrics, cdn: Cdn, tracker: Tracker, seed: Seed) -> None:
        self._metrics = metrics
        self._cdn = cdn
        self._tracker = tracker
        self._seed = seed

    def update(self) -> None:
        """Count everything now."""
        metrics = self._metrics
        self._seed.tell_traffic()
        metrics.peers.set(self._tracker.peer_count)
        states = Counter(content.state for content in self._cdn.contents())
        for state in State:
            metrics.tasks.labels(state.value).set(states[state])
        metrics.dfgettasks.clear()
        for (callsystem, status), count in self._tracker.downloads().items():
            metrics.dfgettasks.labels(metrics.callsystem(callsystem), status).set(count)
