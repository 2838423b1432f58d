"""Memory of buffers: kept for the next one, where the C library can be told to."""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["keep_buffers"]

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

MAP_BYTES = 1024 * 1024
"""Larger blocks than any buffer that flows here: these come from the heap, not from the system."""

TRIM_BYTES = 16 * 1024 * 1024
"""So much free memory at the end of the heap is kept."""

ARENAS = 2
"""One for the reactor, one for the threads: each keeps free memory of its own."""


def keep_buffers() -> None:
    """Let this process keep the memory of buffers that it has freed; once, at the start.

    By default glibc gives each block of 128 KiB and more back to the system and gets it anew
    for the next buffer, whose pages must then be faulted in: 400,000 page faults for each GiB
    that passes. Without effect where the C library is another.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in (
            (_MMAP_THRESHOLD, MAP_BYTES),
            (_TRIM_THRESHOLD, TRIM_BYTES),
            (_ARENA_MAX, ARENAS),
        ):
            mallopt(option, value)
