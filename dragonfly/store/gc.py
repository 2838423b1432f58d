"""Which tasks leave the store; a plan, made of plain values."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

__all__ = ["Entry", "expired", "surplus"]


@attrs.frozen(kw_only=True)
class Entry:
    """What a plan needs to know of a task; ``last_used`` in unix seconds, ``size`` in bytes."""

    task: bytes
    last_used: float
    in_use: bool = False
    size: int = 0


def expired(entries: Iterable[Entry], *, now: float, idle_s: float) -> list[bytes]:
    """Give the tasks that nobody uses, or has used for ``idle_s``, longest unused first."""
    idle = [entry for entry in entries if not entry.in_use and now - entry.last_used >= idle_s]
    return [entry.task for entry in sorted(idle, key=lambda entry: entry.last_used)]


def surplus(entries: Iterable[Entry], *, wanted: int) -> list[bytes]:
    """Give the tasks to delete so that ``wanted`` bytes are freed, longest unused first.

    Fewer are freed if there is no more that nobody uses.
    """
    gone: list[bytes] = []
    for entry in sorted(entries, key=lambda entry: entry.last_used):
        if wanted <= 0:
            break
        if not entry.in_use:
            gone.append(entry.task)
            wanted -= entry.size
    return gone
