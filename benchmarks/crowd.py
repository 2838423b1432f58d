"""Many small blobs by 50 clients at once: through dfdaemon, beside the registry and nginx.

Every blob is asked for once, so everything is cold; then the same once more. wrk keeps 50
connections busy and checks the length of each answer. Needs nginx and wrk. An nginx stands for
the registry, too, since docker-registry would take more of the two cores than what is measured;
``--registry`` has that one instead.

    python benchmarks/crowd.py [--blobs 1000] [--clients 50] [--rounds 3] [--registry]
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from results import show_table, spread
from rig import Supernode, cpu_seconds, end_children, machine, random_file
from servers import REPOSITORY, BlobServer, CachingNginx, Dfdaemon, Registry

SMALL = 10 * 1024

SCRIPT = """
next, good, bad = 0, 0, 0
targets = {}
for line in io.lines("%(targets)s") do targets[#targets + 1] = line end
function request()
  next = next + 1
  return wrk.format("GET", targets[(next - 1) %% #targets + 1])
end
function response(status, headers, body)
  if status == 200 and #body == %(size)d then good = good + 1 else bad = bad + 1 end
  if good + bad == %(count)d then
    wrk.thread:stop()
    io.write("enough\\n")
    io.flush()
  end
end
local only
function setup(thread) only = thread end
function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  print(string.format(
    '{"p50": %%f, "p99": %%f, "worst": %%f, "errors": %%d, "answers": %%d, "seconds": %%f}',
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
    broken + errors.status + only:get("bad"), summary.requests, summary.duration / 1e6))
end
"""
"""Asks for each target once, in order, over all connections together. Variables without
``local`` belong to the thread, where the end can read them."""


class Burst(NamedTuple):
    """What wrk saw, milliseconds, and CPU seconds by process."""

    p50: float
    p99: float
    worst: float
    errors: float
    answers: float
    seconds: float
    cpu: dict[str, float]


class Crowd:
    """One registry with many small blobs, and who asks for them."""

    def __init__(self, work: Path, args: argparse.Namespace) -> None:
        self.work = work
        self.count = args.blobs
        self.clients = args.clients
        self.registry = Registry(work) if args.registry else BlobServer(work)
        # Each connection asks for one more before the last answer ends the run.
        digests = [self._push() for _ in range(args.blobs + args.clients)]
        paths = [f"/v2/{REPOSITORY}/blobs/{digest}" for digest in digests]
        (work / "targets").write_text("\n".join(paths) + "\n")
        facts = {"targets": work / "targets", "size": SMALL, "count": args.blobs}
        (work / "crowd.lua").write_text(SCRIPT % facts)

    def _push(self) -> str:
        path = self.work / "blob"
        random_file(path, SMALL)
        return self.registry.push_file(path)

    def ask(self, url: str, pids: dict[str, int]) -> Burst:
        """Let all clients ask ``url`` for all blobs."""
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        command = ["wrk", "-t1", f"-c{self.clients}", "-d120s", "--timeout", "30s"]
        script = str(self.work / "crowd.lua")
        with subprocess.Popen([*command, "-s", script, url], stdout=subprocess.PIPE) as wrk:
            assert wrk.stdout is not None
            while wrk.stdout.readline() not in {b"enough\n", b""}:
                pass
            wrk.send_signal(signal.SIGINT)  # it would sleep to the end of its time
            told = json.loads(wrk.stdout.read().splitlines()[-1])
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        return Burst(**told, cpu=used)

    def round(self, number: int) -> dict[str, Burst]:
        """New processes, and every way once."""
        work = self.work / f"round{number}"
        work.mkdir()
        nginx = CachingNginx(work, self.registry)
        supernode = Supernode(work / "supernode", "--advertise-ip", "127.0.0.1")
        daemon = Dfdaemon(work / "home", supernode, self.registry.url)
        pids = {"registry": self.registry.pid, "nginx": nginx.pid}
        pids |= {"supernode": supernode.pid, "dfdaemon": daemon.pid}
        ways = [("registry", self.registry.url), ("nginx", nginx.url), ("dfdaemon", daemon.url)]
        found = {}
        for name, url in ways[number % 3 :] + ways[: number % 3]:
            if name == "registry":
                found[name] = self.ask(url, pids)
            else:
                found[f"{name}, cold"] = self.ask(url, pids)
                found[f"{name}, again"] = self.ask(url, pids)
        for server in (daemon, nginx, supernode):
            server.stop()
        shutil.rmtree(work)
        return found


def show(bursts: dict[str, list[Burst]], count: int) -> None:
    """Print the table: each figure as least / median / most of the rounds."""
    rows = []
    for what, each in sorted(bursts.items()):
        cpu = {name: min(one.cpu[name] for one in each) * 1000 / count for name in each[0].cpu}
        used = ", ".join(f"{name} {value:.2f}" for name, value in cpu.items() if value >= 0.05)
        figures = [[one.p50 for one in each], [one.p99 for one in each]]
        figures += [[one.answers / one.seconds for one in each]]
        cells = [spread(values, 0) for values in figures]
        rows.append([what, *cells, str(int(sum(one.errors for one in each))), used])
    show_table(["what", "p50, ms", "p99, ms", "answers/s", "errors", "CPU ms each"], rows)


def main() -> None:
    """Set everything up on tmpfs, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--registry", action="store_true", help="docker-registry as the origin")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    bursts: dict[str, list[Burst]] = defaultdict(list)
    try:
        crowd = Crowd(work, args)
        for number in range(args.rounds):
            print(f"round {number + 1}", file=sys.stderr, flush=True)
            for what, burst in crowd.round(number).items():
                bursts[what].append(burst)
    finally:
        end_children()
        shutil.rmtree(work)
    today = datetime.datetime.now(datetime.timezone.utc)
    print(f"{today:%Y-%m-%d}", machine(), sep="; ", end="; ")
    print(f"{args.blobs} blobs of 10 KiB, {args.clients} clients, {args.rounds} rounds")
    show(bursts, args.blobs)


if __name__ == "__main__":
    main()
