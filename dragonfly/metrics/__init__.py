"""What each role counts, as Prometheus reads it.

One object per process, with a registry of its own: nothing here is global, so two
supernodes in one test do not share numbers.
"""

from dragonfly.metrics.daemon import DaemonMetrics
from dragonfly.metrics.series import TEXT_TYPE, BuildInfo, Series
from dragonfly.metrics.supernode import CALLSYSTEMS_MAX, SupernodeMetrics

__all__ = [
    "CALLSYSTEMS_MAX",
    "TEXT_TYPE",
    "BuildInfo",
    "DaemonMetrics",
    "Series",
    "SupernodeMetrics",
]
