"""A 10 KiB file by dfget with a running peer, beside curl from the same nginx: milliseconds.

The modules are compiled, as they are where a package was installed.

    python benchmarks/small.py [--files 50]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from rig import Home, Supernode, machine, nginx, random_file, timed


def show(what: str, runs: list[tuple[float, ...]]) -> None:
    """Print median, ninth decile and worst, and the median of the CPU time."""
    ordered = sorted(1000 * run[0] for run in runs)
    tenth = ordered[int(len(ordered) * 0.9)]
    middle = statistics.median(ordered)
    cpu = statistics.median(1000 * run[1] for run in runs)
    print(f"{what:34} {middle:7.0f} {tenth:7.0f} {ordered[-1]:7.0f} {cpu:7.0f}", flush=True)


def main() -> None:
    """Make the files, start the servers, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    supernode = home = None
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(work / "compiled")
    try:
        www = work / "www"
        www.mkdir()
        names = [f"file{number}" for number in range(args.files)]
        for name in names:
            random_file(www / name, 10 * 1024)
        random_file(www / "first", 10 * 1024)
        print(machine(), f"{args.files} files of 10 KiB, milliseconds", sep="; ")
        print(f"{'what':34} {'p50':>7} {'p90':>7} {'worst':>7} {'CPU':>7}")
        out = work / "out"
        with nginx(www, work) as url:
            curl = [timed("curl", "-s", "-o", str(out), f"{url}/{name}") for name in names]
            show("curl", curl)
            bare = [sys.executable, "-c", "pass"]
            show("python -c pass", [timed(*bare)[:2] for _ in names])
            version = [sys.executable, "-m", "dragonfly.dfget", "--version"]
            timed(*version)
            show("dfget --version", [timed(*version)[:2] for _ in names])
            supernode = Supernode(work / "supernode")
            home = Home(work / "home", supernode)
            home.download(f"{url}/first", out)
            show("dfget, cold", [home.download(f"{url}/{name}", out) for name in names])
            show("dfget, again", [home.download(f"{url}/{name}", out) for name in names])
    finally:
        if home is not None:
            home.stop()
        if supernode is not None:
            supernode.stop()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
