"""The table of a demo: who got how many bytes from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MIB = 1 << 20


class Row(NamedTuple):
    """One download: its name, seconds, bytes by source, and bytes that are there at the end."""

    name: str
    seconds: float
    sources: Mapping[str, int]
    total: int


def table(columns: Mapping[str, str], rows: Sequence[Row]) -> str:
    """One line for each row, and one for all; ``columns`` gives the heading of each source."""
    headings = "".join(f"{heading:>15}" for heading in columns.values())
    lines = [f"{'':14}{'seconds':>9}{headings}{'total':>12}"]
    totals = [0] * (len(columns) + 1)
    for row in rows:
        counts = [*(row.sources.get(source, 0) for source in columns), row.total]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        lines.append(_line(row.name, row.seconds, counts))
    slowest = max((row.seconds for row in rows), default=0.0)
    return "\n".join([*lines, _line("all", slowest, totals)])


def _line(name: str, seconds: float, counts: Sequence[int]) -> str:
    *sources, total = (f"{count / MIB:.1f}" for count in counts)
    cells = "".join(f"{source:>15}" for source in sources)
    return f"{name:14}{seconds:>9.2f}{cells}{total:>12}"
