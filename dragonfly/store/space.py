"""How much of a disk stays free."""

from __future__ import annotations

__all__ = ["FREE_BYTES", "FREE_SHARE", "lacking"]

FREE_BYTES = 10 * 1024**3
"""So much stays free for the next pull and for the container engine, which needs a layer's
bytes twice: as it comes, and unpacked."""

FREE_SHARE = 0.1
"""Of a small disk this part is enough."""


def lacking(free: int, total: int) -> int:
    """Give how many bytes should leave a disk with so many free of so many."""
    return max(0, min(FREE_BYTES, int(total * FREE_SHARE)) - free)
