"""What all roles' numbers have in common: names with a prefix, a registry, the text form."""

from __future__ import annotations

import attrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["LATENESS", "SECONDS", "TEXT_TYPE", "BuildInfo", "Series"]

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of :meth:`Series.text`."""

SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
LATENESS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)


@attrs.frozen(kw_only=True)
class BuildInfo:
    """What ``build_info`` and ``/version`` say of this process."""

    version: str
    revision: str = ""
    python: str = ""
    arch: str = ""
    os: str = ""

    def names(self) -> dict[str, str]:
        """What ``/version`` shows; what is not known is left out."""
        names = {
            "Arch": self.arch,
            "OS": self.os,
            "PythonVersion": self.python,
            "Revision": self.revision,
            "Version": self.version,
        }
        return {name: value for name, value in names.items() if value}


class Series:
    """The numbers of one process, under names that begin with :attr:`prefix`."""

    prefix: str

    def __init__(self, build: BuildInfo) -> None:
        self.registry = CollectorRegistry()
        info = self._gauge(
            "build_info", "What runs here", "version", "revision", "goversion", "arch", "os"
        )
        # v1's label says goversion; dashboards join on it, so it carries Python's.
        info.labels(build.version, build.revision, build.python, build.arch, build.os).set(1)

    def text(self) -> bytes:
        """All values in Prometheus' text form."""
        return generate_latest(self.registry)

    def _name(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(self._name(name), text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(self._name(name), text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(self._name(name), text, labels, buckets=buckets, registry=self.registry)
