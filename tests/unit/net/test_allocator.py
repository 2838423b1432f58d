"""Freed buffers stay with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from dragonfly.net.allocator import keep_buffers
if "keep" in sys.argv:
    keep_buffers()
size = 256 * 1024
for _ in range(10):
    bytes(bytearray(size))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    bytes(bytearray(size))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str) -> int:
    """Page faults of 200 copies of 256 KiB in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells glibc, and this is another")
def test_buffers_are_not_faulted_in_again() -> None:
    """64 pages each; without a word to the C library some of them come anew each time."""
    assert faults("keep") < 100
