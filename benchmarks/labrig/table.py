"""Tables in reStructuredText: a grid to look at, a list-table for the manual. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["grid", "list_table"]


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A grid table; the first column is text, the others are numbers."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = "+".join(["", *("-" * (width + 2) for width in widths), ""])
    shown = [rule, _grid_line(lines[0], widths), rule.replace("-", "=")]
    for line in lines[1:]:
        shown += [_grid_line(line, widths), rule]
    return "\n".join(shown)


def _grid_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join(padded) + " |"


def list_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A ``list-table`` whose first column is twice as wide as the others."""
    share = 100 // (len(head) + 1)
    widths = " ".join(str(share * (2 if column == 0 else 1)) for column in range(len(head)))
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if at == 0 else ' '} - {cell}" for at, cell in enumerate(row)]
    return "\n".join(lines) + "\n"
