"""Which tasks leave the store; a plan, made of plain values."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

__all__ = ["Entry", "expired"]


@attrs.frozen(kw_only=True)
class Entry:
    """What a plan needs to know of a task; ``last_used`` in unix seconds."""

    task: bytes
    last_used: float
    in_use: bool = False


def expired(entries: Iterable[Entry], *, now: float, idle_s: float) -> list[bytes]:
    """Give the tasks that nobody uses, or has used for ``idle_s``, longest unused first."""
    idle = [entry for entry in entries if not entry.in_use and now - entry.last_used >= idle_s]
    return [entry.task for entry in sorted(idle, key=lambda entry: entry.last_used)]
