"""Which boot of this machine this is: what was written in it outlives every death of a process."""

from __future__ import annotations

from pathlib import Path

__all__ = ["boot_id"]


def boot_id() -> str:
    """What names the time since this machine was started; empty where nothing does.

    What a process wrote outlives its death, but not a loss of power.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
