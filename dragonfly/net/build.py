"""What this process is."""

from __future__ import annotations

import platform
import sys

import dragonfly
from dragonfly.metrics import BuildInfo

__all__ = ["build_info"]


def build_info() -> BuildInfo:
    """Give what ``/version`` and ``build_info`` show."""
    return BuildInfo(
        version=dragonfly.__version__,
        python=platform.python_version(),
        arch=platform.machine(),
        os=sys.platform,
    )
