"""What the supernode counts, under the names that v1's dashboards know.

One :class:`SupernodeMetrics` per process, with a registry of its own: nothing here is
global, so two supernodes in one test do not share numbers. Labels have few values on
purpose; one series for each peer, as v1 had them, would not scale, so ``peer`` is no label.
"""

from __future__ import annotations

import attrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CALLSYSTEMS_MAX", "TEXT_TYPE", "BuildInfo", "SupernodeMetrics"]

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of :meth:`SupernodeMetrics.text`."""

CALLSYSTEMS_MAX = 32
"""Callers name their system themselves; beyond so many names the label says ``other``."""

_SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_BYTES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_LATENESS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)
_MILLISECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 50)
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@attrs.frozen(kw_only=True)
class BuildInfo:
    """What ``build_info`` and ``/version`` say of this process."""

    version: str
    revision: str = ""
    python: str = ""
    arch: str = ""
    os: str = ""


class SupernodeMetrics:
    """Counters, gauges and histograms of one supernode; see each attribute's help text."""

    def __init__(self, build: BuildInfo) -> None:
        self.registry = CollectorRegistry()
        self._callsystems: set[str] = set()
        self._requests()
        self._swarm()
        self._cdn()
        info = self._gauge(
            "build_info", "What runs here", "version", "revision", "goversion", "arch", "os"
        )
        # v1's label says goversion; dashboards join on it, so it carries Python's.
        info.labels(build.version, build.revision, build.python, build.arch, build.os).set(1)

    def _requests(self) -> None:
        self.http_requests = self._counter(
            "http_requests_total", "HTTP requests answered", "code", "handler"
        )
        self.http_duration = self._histogram(
            "http_request_duration_seconds", "Time to answer", _SECONDS, "handler"
        )
        self.http_request_size = self._histogram(
            "http_request_size_bytes", "Size of request bodies", _BYTES, "handler"
        )
        self.http_response_size = self._histogram(
            "http_response_size_bytes", "Size of response bodies", _BYTES, "handler"
        )
        self.reactor_lateness = self._histogram(
            "reactor_lateness_seconds", "How late the reactor runs a timer", _LATENESS
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

    def text(self) -> bytes:
        """All values in Prometheus' text form."""
        return generate_latest(self.registry)

    def _name(self, name: str) -> str:
        return f"dragonfly_supernode_{name}"

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(self._name(name), text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(self._name(name), text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(self._name(name), text, labels, buckets=buckets, registry=self.registry)
