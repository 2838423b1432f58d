"""Garbage collection: what a process has when it starts is never garbage."""

from __future__ import annotations

import gc

__all__ = ["pass_over_what_is_there"]


def pass_over_what_is_there() -> None:
    """Let collections pass over all objects of now; once, when all modules are imported.

    They are some 60,000, nearly all of them for good, and a full collection looks at each:
    25 to 40 ms in which the reactor's thread does nothing else.
    """
    gc.freeze()
