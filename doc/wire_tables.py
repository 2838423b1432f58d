"""Write the tables of the piece protocol that ``doc/protocol.rst`` includes.

``python doc/wire_tables.py`` prints them; with ``--write`` it replaces the files beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dragonfly.wire.constants import FRAME_LIMITS
from dragonfly.wire.table import TABLE, State

HERE = Path(__file__).resolve().parent


def list_table(title: str, widths: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Give a reST list-table; the first row is the header."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in rows:
        lines += [f"   {'  -' if at else '* -'} {cell}" for at, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def frames() -> str:
    """Give the message types with the bounds of their payloads."""
    rows = [("type", "message", "least bytes", "most bytes")]
    rows += [
        (str(kind.value), kind.name, f"{least}", f"{most}")
        for kind, (least, most) in FRAME_LIMITS.items()
    ]
    return list_table("Message types and the bounds of their payloads", "10 40 25 25", rows)


def states() -> str:
    """Give the state table, the states in the order of their definition."""
    rows = [("state", "message", "the receiver", "next state")]
    for state in State:
        rows += [
            (state.name, kind.name, move.does, move.target.name)
            for (origin, kind), move in TABLE.items()
            if origin is state
        ]
    meaning = [("state", "meaning"), *((state.name, state.value) for state in State)]
    return "\n".join(
        (
            list_table("States", "24 76", meaning),
            list_table("Messages that are allowed", "20 20 38 22", rows),
        )
    )


FILES = {"protocol-frames.inc": frames, "protocol-states.inc": states}


def main(arguments: list[str]) -> None:
    """Print the tables, or write them."""
    for name, make in FILES.items():
        if "--write" in arguments:
            (HERE / name).write_text(make(), encoding="utf-8")
        else:
            sys.stdout.write(f"{make()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
