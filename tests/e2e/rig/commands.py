"""The programs of this package, as they are typed, in the environment they need here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import twisted

__all__ = ["dfdaemon", "dfget", "environment", "run", "twistd"]


def twistd() -> list[str]:
    """The ``twistd`` of this Python, in the foreground."""
    return [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile="]


def dfget() -> list[str]:
    """dfget as a module of this Python."""
    return [sys.executable, "-m", "dragonfly.dfget"]


def dfdaemon() -> list[str]:
    """dfdaemon's other commands, of this Python."""
    return [sys.executable, "-c", "from dragonfly.taps.dfdaemon import main; main()"]


def environment() -> dict[str, str]:
    """Ours; with the way to this checkout if the package is not really installed.

    An editable install does not put a plugin where ``twistd`` looks for it.
    """
    plugin = Path(twisted.__file__).parent / "plugins" / "dragonfly_plugins.py"
    if plugin.exists():
        return dict(os.environ)
    root = str(Path(__file__).parents[3])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def run(*command: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd="/",
        env=environment(),
        check=False,
    )
