"""Layers and manifests through dfdaemon, beside the registry itself and a caching nginx.

Everything on loopback and tmpfs, in one run; each round has new processes with empty homes, and
the order of the servers changes from round to round. Prints tables in reStructuredText, each
figure as least / median / most of the rounds. Needs docker-registry, nginx and curl.

    python benchmarks/daemon.py [--mib 1024] [--rounds 3] [--manifests 1000] [--blobs 200]
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import sys
import tempfile
from pathlib import Path

from results import Results
from rig import MIB, end_children, machine, random_file, touch_memory
from rounds import Contents, Round
from servers import Registry

SMALL = 10 * 1024
HOLDERS = 5
"""Registry, nginx, supernode and two dfdaemons have the layer."""


def fill(registry: Registry, work: Path, args: argparse.Namespace) -> Contents:
    """Put everything into the registry."""

    def push(size: int) -> str:
        path = work / "blob"
        random_file(path, size)
        digest = registry.push_file(path)
        path.unlink()
        return digest

    blobs = [push(SMALL) for _ in range(args.blobs)]
    registry.push_manifest("latest", blobs[0], SMALL)
    return Contents(push(args.mib * MIB), args.mib * MIB, blobs)


def measure(registry: Registry, work: Path, args: argparse.Namespace) -> Results:
    """All rounds."""
    contents = fill(registry, work, args)
    results = Results(args.mib / 1024)
    for number in range(args.rounds):
        run = Round(work / f"round{number}", registry)
        note(f"round {number + 1}: layer")
        for what, sample in run.layers(contents, number).items():
            results.samples[what].append(sample)
        results.shares.append(run.share_of_peers)
        note("manifests and blobs")
        for what, keep in (("keep-alive", True), ("new connection", False)):
            times = run.manifests(args.manifests, keep=keep)
            results.add_times(f"manifest, {what}", times)
        for what in ("first time", "again"):
            results.add_times(f"blob, {what}", run.blobs(contents))
        for name, peak in run.peaks().items():
            results.memory[name].append(peak)
        run.stop()
    return results


def note(what: str) -> None:
    """Tell how far it is, and how busy the machine, which ought to have nothing else to do."""
    now = datetime.datetime.now(datetime.timezone.utc)
    print(f"{now:%H:%M:%S} load {os.getloadavg()[0]:.2f} {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Set everything up on tmpfs, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--manifests", type=int, default=1000)
    parser.add_argument("--blobs", type=int, default=200)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    try:
        note("start")
        touch_memory(work, args.mib * HOLDERS)
        results = measure(Registry(work), work, args)
    finally:
        end_children()
        shutil.rmtree(work)
    today = datetime.datetime.now(datetime.timezone.utc)
    print(f"{today:%Y-%m-%d}", machine(), sep="; ", end="; ")
    print(f"{args.mib} MiB, {args.rounds} rounds", end="; ")
    print(f"{args.manifests} manifests and {args.blobs} blobs of 10 KiB in each")
    results.show()


if __name__ == "__main__":
    main()
