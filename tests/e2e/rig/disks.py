"""Disks of a size and with rights that a test chooses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["mounted"]


def mounted(path: Path, options: str) -> Iterator[Path]:
    """A tmpfs of its own; the test is skipped where that may not be made."""
    path.mkdir()
    if os.getuid() != 0:
        pytest.skip("only root may mount a small tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", options, "e2e", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)
