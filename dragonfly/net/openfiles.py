"""How many files and connections a process may have open: as many as the system lets it."""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["OPEN_MAX", "allow_open_files"]

OPEN_MAX = 65_536
"""Enough for ten thousand peers that register within a second; a table of that size is small."""


def allow_open_files(most: int = OPEN_MAX) -> int:
    """Raise the soft limit of this process up to ``most``, or to its hard limit; give it.

    Systems start processes with 1,024, for programs that use ``select``. A limit that is
    higher already, or cannot be changed, stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
