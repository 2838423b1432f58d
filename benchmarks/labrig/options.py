"""The command line of the lab."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

import attrs

from labrig.scenario import SCENARIOS, Scenario

__all__ = ["options", "scenario_of"]


def options(description: str | None, adapters: Collection[str]) -> argparse.Namespace:
    """Read the command line.

    :param adapters: the names that ``--with`` knows.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("scenario", nargs="?", default="small", choices=SCENARIOS)
    add("--with", dest="adapters", default="ours,native", help="of: " + ", ".join(adapters))
    add("--no-native", action="store_true", help="compute what the origin alone would take")
    add("--hosts", type=int)
    add("--host-rate", dest="host_mbit", type=float, metavar="MBIT", help="each way")
    add("--cdn-rate", dest="cdn_mbit", type=float, metavar="MBIT")
    add("--origin-rate", dest="origin_mbit", type=float, metavar="MBIT")
    add("--size", dest="size_mib", type=float, metavar="MIB")
    add("--cold", action=argparse.BooleanOptionalAction, help="the supernode has nothing yet")
    add("--slow", type=int, metavar="N", help="hosts with a quarter of the rate")
    add("--arrive", dest="arrive_s", type=float, metavar="S", help="hosts come within that time")
    for name in ("killed", "stalled", "lying"):
        add(f"--{name}", type=int, metavar="N", help=f"hosts that are {name}")
    add("--greeted", action="store_true", help="peers have met the supernode before")
    add("--graph-seed", type=int, default=1, help="of the first run; the next have the next")
    add("--repeat", type=int, default=1)
    add("--queue", type=float, default=100, metavar="MS", help="of each link, when full [100]")
    add("--burst", type=int, metavar="BYTES", help="bucket of each link [50 ms, at most 64 KiB]")
    add("--probe", action="store_true", help="have our processes log their insides")
    add("--watch", action="store_true", help="note the traffic of all links twice a second")
    add("--out", type=Path, help="directory for result.json, table.rst, curves.svg and logs")
    given = parser.parse_args()
    given.adapters = [name for name in given.adapters.split(",") if name]
    unknown = set(given.adapters) - set(adapters)
    if unknown:
        parser.error(f"--with: {', '.join(unknown)} is none of {', '.join(adapters)}")
    return given


def scenario_of(given: argparse.Namespace) -> Scenario:
    """The scenario by name, with what was given otherwise."""
    keys = [field.name for field in attrs.fields(Scenario) if field.name != "name"]
    changes = {key: getattr(given, key) for key in keys if getattr(given, key) is not None}
    return attrs.evolve(SCENARIOS[given.scenario], **changes)
