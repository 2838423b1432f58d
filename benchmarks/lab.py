"""Swarms on rate-limited links: hosts are network namespaces, all on this machine.

    python benchmarks/lab.py A --repeat 3 --with ours,torrent,native --out DIR

Needs root, Linux, iproute2, nginx and curl; libtorrent for ``torrent`` and ``super`` (in the
Python that LAB_TORRENT_PYTHON names, /usr/bin/python3 by default). Touches no other network
of the machine, removes what it made, and refuses to report what was measured on a machine
that was too busy. Ends with 0, or 1 if a host did not get the file, or 3 if a run is refused.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from labrig import torrent
from labrig.counters import parse_memory_mib
from labrig.options import options, scenario_of
from labrig.scenario import Scenario
from labrig.session import ADAPTERS, Session
from rig import touch_memory

PEER_MIB = 75
"""What a peer is reckoned with when memory is checked and touched."""


@contextmanager
def workshop(scenario: Scenario) -> Iterator[Path]:
    """A directory on tmpfs, with memory behind it that has been used before."""
    mib = int(scenario.hosts * (scenario.size_mib + PEER_MIB) + 3 * scenario.size_mib + 300)
    free = parse_memory_mib(Path("/proc/meminfo").read_text())
    if free < mib * 1.1:
        sys.exit(f"this needs {mib} MiB of memory, {free:.0f} are free")
    work = Path(tempfile.mkdtemp(prefix="dragonfly-lab-", dir="/dev/shm"))
    try:
        touch_memory(work, mib)
        yield work
    finally:
        shutil.rmtree(work)


def require(given: argparse.Namespace) -> None:
    """End if this machine cannot do it."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        sys.exit("the lab needs root on Linux: it makes network namespaces")
    lacking = [name for name in ("ip", "tc", "nsenter", "nginx", "curl") if not shutil.which(name)]
    if lacking:
        sys.exit(f"the lab needs {', '.join(lacking)}")
    if {"torrent", "super"} & set(given.adapters) and torrent.missing():
        sys.exit(torrent.missing())


def main() -> int:
    """Do it all; give the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    given = options(__doc__, ADAPTERS)
    require(given)
    scenario = scenario_of(given)
    with workshop(scenario) as work:
        session = Session(given, scenario, work)
        try:
            session.run()
        finally:
            print(session.report.text(), flush=True)
            if given.out is not None:
                session.report.save(given.out)
    if session.report.refused:
        return 3
    return 1 if any(run.failed for run in session.report.runs) else 0


def _stop(number: int, frame: Any) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
