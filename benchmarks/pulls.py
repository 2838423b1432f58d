"""Many pulls at once through one dfdaemon, beside the registry itself and a caching nginx.

One pull is one curl that reads a manifest and then layers, one after another on one connection:
some that all images share, and some of its own. All start together. In one run, on loopback and
tmpfs; each round has new processes with empty homes. Needs docker-registry, nginx and curl.

    python benchmarks/pulls.py [--pulls 64] [--rounds 3] [--shared-mib 8] [--own-mib 1]
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from results import show_table, spread
from rig import MIB, Supernode, cpu_seconds, end_children, machine, random_file
from servers import MANIFEST, REPOSITORY, CachingNginx, Dfdaemon, Registry

WAIT_S = 300.0
LAYERS = 2
"""Of each kind, in each image."""


class Burst(NamedTuple):
    """All pulls together: seconds of single ones, and CPU seconds of the servers."""

    median: float
    last: float
    failed: int
    cpu: float


class Image(NamedTuple):
    """What one pull reads."""

    tag: str
    blobs: list[str]


def fill(registry: Registry, work: Path, args: argparse.Namespace) -> list[Image]:
    """Put everything into the registry."""

    def push(mib: int) -> str:
        path = work / "blob"
        random_file(path, mib * MIB)
        digest = registry.push_file(path)
        path.unlink()
        return digest

    shared = [push(args.shared_mib) for _ in range(LAYERS)]
    images = []
    for number in range(args.pulls):
        own = [push(args.own_mib) for _ in range(LAYERS)]
        registry.push_manifest(f"v{number}", own[0], args.own_mib * MIB)
        images.append(Image(f"v{number}", [*shared, *own]))
    return images


def pull_all(url: str, images: list[Image], pids: list[int]) -> Burst:
    """Start all pulls, and wait for the last."""
    before = sum(map(cpu_seconds, pids))
    began = time.monotonic()
    running = {subprocess.Popen(_curl(url, image)): 0.0 for image in images}
    failed, took = 0, []
    while running and time.monotonic() - began < WAIT_S:
        for process in [each for each in running if each.poll() is not None]:
            del running[process]
            took.append(time.monotonic() - began)
            failed += process.returncode != 0
        time.sleep(0.005)
    for process in running:
        process.kill()
        process.wait()
    failed += len(running)
    used = sum(map(cpu_seconds, pids)) - before
    return Burst(statistics.median(took), max(took), failed, used)


def _curl(url: str, image: Image) -> list[str]:
    targets = [f"manifests/{image.tag}", *(f"blobs/{digest}" for digest in image.blobs)]
    command = ["curl", "-sS", "--fail", "-H", f"Accept: {MANIFEST}, */*"]
    for target in targets:
        command += ["-o", "/dev/null", f"{url}/v2/{REPOSITORY}/{target}"]
    return command


def one_round(work: Path, registry: Registry, images: list[Image], number: int) -> dict[str, Burst]:
    """Every way to the images once."""
    work.mkdir()
    nginx = CachingNginx(work, registry)
    supernode = Supernode(work / "supernode", "--advertise-ip", "127.0.0.1")
    daemon = Dfdaemon(work / "home", supernode, registry.url)
    own = [registry.pid, supernode.pid, daemon.pid]
    ways = [
        lambda: {"registry": pull_all(registry.url, images, [registry.pid])},
        lambda: {
            "nginx, cold": pull_all(nginx.url, images, [registry.pid, nginx.pid]),
            "nginx, from its cache": pull_all(nginx.url, images, [registry.pid, nginx.pid]),
        },
        lambda: {
            "dfdaemon, cold": pull_all(daemon.url, images, own),
            "dfdaemon, from its cache": pull_all(daemon.url, images, own),
        },
    ]
    found: dict[str, Burst] = {}
    for way in ways[number % 3 :] + ways[: number % 3]:
        found |= way()
    for server in (daemon, supernode, nginx):
        server.stop()
    shutil.rmtree(work)
    return found


def show(samples: dict[str, list[Burst]]) -> None:
    """Print the table."""
    rows = [
        [
            what,
            spread([each.median for each in bursts], 2),
            spread([each.last for each in bursts], 2),
            spread([each.cpu for each in bursts], 2),
            str(sum(each.failed for each in bursts)),
        ]
        for what, bursts in samples.items()
    ]
    show_table(["what", "median s", "last s", "CPU s", "failed"], rows)


def main() -> None:
    """Set everything up on tmpfs, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pulls", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared-mib", type=int, default=8)
    parser.add_argument("--own-mib", type=int, default=1)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    samples: dict[str, list[Burst]] = defaultdict(list)
    try:
        registry = Registry(work)
        images = fill(registry, work, args)
        for number in range(args.rounds):
            print(f"round {number + 1}", file=sys.stderr)
            for what, burst in one_round(work / "round", registry, images, number).items():
                samples[what].append(burst)
    finally:
        end_children()
        shutil.rmtree(work)
    today = datetime.datetime.now(datetime.timezone.utc)
    print(f"{today:%Y-%m-%d}", machine(), sep="; ", end="; ")
    print(f"{args.pulls} pulls of {LAYERS} x {args.shared_mib} MiB shared", end=" and ")
    print(f"{LAYERS} x {args.own_mib} MiB own, {args.rounds} rounds")
    show(samples)


if __name__ == "__main__":
    main()
