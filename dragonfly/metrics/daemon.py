"""What dfdaemon counts."""

from __future__ import annotations

from dragonfly.metrics.series import LATENESS, SECONDS, BuildInfo, Series

__all__ = ["DaemonMetrics"]


SOURCES = ("cache", "peers", "cdn", "registry")
"""Where bytes come from: this host's store, other peers, the supernode, the registry."""


class DaemonMetrics(Series):
    """Counters, gauges and histograms of one dfdaemon; see each attribute's help text."""

    prefix = "dragonfly_dfdaemon"

    def __init__(self, build: BuildInfo) -> None:
        super().__init__(build)
        self.requests = self._counter(
            "http_requests_total", "Requests by class of the answer", "code", "route"
        )
        self.trials = self._counter(
            "trial_requests_total", "Requests of dfdaemon doctor, which are no engine's"
        )
        self.endings = self._counter(
            "http_endings_total", "How answers ended: done, gone or aborted", "ending"
        )
        self.seconds = self._histogram(
            "http_request_duration_seconds", "Time to the last byte", SECONDS, "route"
        )
        self.bytes = self._counter(
            "bytes_total", "Bytes of bodies given to clients, by where they came from", "source"
        )
        for source in SOURCES:
            self.bytes.labels(source)
        self.fallbacks = self._counter(
            "fallbacks_total", "Requests that the swarm did not answer to the end", "reason"
        )
        self.connections = self._gauge("connections", "Connections of clients")
        self.tunnels = self._gauge("tunnels", "Connections that are passed through unopened")
        self.tasks = self._gauge("tasks", "Tasks that the peer takes part in")
        self.stored_tasks = self._gauge("stored_tasks", "Tasks in the peer's store")
        self.uploaded_bytes = self._counter(
            "uploaded_bytes_total", "Bytes that the peer sent to other peers"
        )
        self.reactor_lateness = self._histogram(
            "reactor_lateness_seconds", "How late the reactor runs a timer", LATENESS
        )
