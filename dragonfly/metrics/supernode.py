"""What the supernode counts, under the names that v1's dashboards know.

Labels have few values on purpose; one series for each peer, as v1 had them, would not scale,
so ``peer`` is no label.
"""

from __future__ import annotations

from dragonfly.metrics.series import LATENESS, SECONDS, BuildInfo, Series

__all__ = ["CALLSYSTEMS_MAX", "SupernodeMetrics"]

CALLSYSTEMS_MAX = 32
"""Callers name their system themselves; beyond so many names the label says ``other``."""

_BYTES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_MILLISECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 50)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class SupernodeMetrics(Series):
    """Counters, gauges and histograms of one supernode; see each attribute's help text."""

    prefix = "dragonfly_supernode"

    def __init__(self, build: BuildInfo) -> None:
        super().__init__(build)
        self._callsystems: set[str] = set()
        self._requests()
        self._swarm()
        self._cdn()

    def _requests(self) -> None:
        self.http_requests = self._counter(
            "http_requests_total", "HTTP requests answered", "code", "handler"
        )
        self.http_duration = self._histogram(
            "http_request_duration_seconds", "Time to answer", SECONDS, "handler"
        )
        self.http_request_size = self._histogram(
            "http_request_size_bytes", "Size of request bodies", _BYTES, "handler"
        )
        self.http_response_size = self._histogram(
            "http_response_size_bytes", "Size of response bodies", _BYTES, "handler"
        )
        self.wire_bytes = self._counter(
            "wire_bytes_total",
            "Bytes of connections as they are on the wire, without headers of TCP",
            "port",
            "direction",
        )
        self.reactor_lateness = self._histogram(
            "reactor_lateness_seconds", "How late the reactor runs a timer", LATENESS
        )

    def _swarm(self) -> None:
        self.peers = self._gauge("peers", "Peers that the tracker knows")
        self.tasks = self._gauge("tasks", "Tasks in memory by state of the CDN", "cdnstatus")
        self.tasks_registered = self._counter("tasks_registered_total", "New tasks")
        self.dfgettasks = self._gauge(
            "dfgettasks", "Downloads that the tracker knows", "callsystem", "status"
        )
        self.dfgettasks_registered = self._counter(
            "dfgettasks_registered_total", "Registrations admitted", "callsystem"
        )
        self.dfgettasks_failed = self._counter(
            "dfgettasks_failed_total", "Registrations refused or failed", "callsystem"
        )
        self.schedule_duration = self._histogram(
            "schedule_duration_milliseconds", "Time to choose neighbours", _MILLISECONDS
        )
        self.pieces_downloaded = self._counter(
            "pieces_downloaded_size_bytes_total", "Bytes that peers say they downloaded"
        )
        self.pieces_uploaded = self._counter(
            "pieces_uploaded_size_bytes_total", "Bytes that the CDN sent to peers"
        )
        self.gc_peers = self._counter("gc_peers_total", "Peers forgotten after silence")
        self.gc_tasks = self._counter("gc_tasks_total", "Idle tasks dropped from memory")

    def _cdn(self) -> None:
        self.cdn_trigger = self._counter("cdn_trigger_total", "Times the CDN was asked to fetch")
        self.cdn_trigger_failed = self._counter(
            "cdn_trigger_failed_total", "Times the CDN could not even begin"
        )
        self.cdn_cache_hit = self._counter(
            "cdn_cache_hit_total", "Registrations whose content the CDN had"
        )
        self.cdn_download = self._counter("cdn_download_total", "Fetches from origins begun")
        self.cdn_download_failed = self._counter(
            "cdn_download_failed_total", "Fetches from origins that failed"
        )
        self.cdn_download_bytes = self._counter(
            "cdn_download_size_bytes_total", "Bytes read from origins"
        )

    # -- use ---------------------------------------------------------------------

    def callsystem(self, name: str) -> str:
        """The label value for a caller's system: bounded in number, form and length."""
        known = name[:64] if name else "unknown"
        if not _NAME_CHARACTERS.issuperset(known):
            known = "other"
        if known not in self._callsystems:
            if len(self._callsystems) >= CALLSYSTEMS_MAX:
                return "other"
            self._callsystems.add(known)
        return known
