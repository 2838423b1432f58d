"""Whole downloads on loopback beside curl and aria2c from the same nginx, in one run.

Prints seconds, CPU seconds for each GiB (of all our processes), and the peak memory of each.
Everything lies on tmpfs, whose pages are touched first: a page's first use is slow on virtual
machines. Needs nginx, curl and aria2c.

    python benchmarks/throughput.py [--mib 1024] [--rounds 3]
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from rig import (
    MIB,
    Home,
    Supernode,
    cpu_seconds,
    machine,
    nginx,
    peak_mib,
    random_file,
    timed,
    touch_memory,
)


class Table:
    """Rows of medians, printed as they come."""

    def __init__(self, gib: float) -> None:
        self.gib = gib
        self.curl: float | None = None
        print(f"{'what':34} {'s':>7} {'x curl':>7} {'CPU s/GiB':>10}  peak MiB")

    def row(self, what: str, runs: list[tuple[float, float]], peaks: dict[str, float]) -> None:
        """Print the median of (seconds, CPU seconds) and the peaks by process."""
        seconds = statistics.median(run[0] for run in runs)
        cpu = statistics.median(run[1] for run in runs)
        self.curl = self.curl or seconds
        memory = ", ".join(f"{name} {mib:.0f}" for name, mib in peaks.items())
        ratio = seconds / self.curl
        print(f"{what:34} {seconds:7.2f} {ratio:7.2f} {cpu / self.gib:10.2f}  {memory}", flush=True)


class Run:
    """One run: files, servers and the table."""

    def __init__(self, work: Path, url: str, args: argparse.Namespace) -> None:
        self.work = work
        self.url = url
        self.rounds = args.rounds
        self.original = work / "www" / "file"
        self.table = Table(args.mib / 1024)
        self.homes: list[Home] = []

    def plain(self, what: str, command: Callable[[str, Path], tuple[str, ...]]) -> None:
        """Measure another program."""
        runs, peak = [], 0.0
        for _ in range(self.rounds):
            output = self.work / "plain"
            seconds, cpu, mib, _ = timed(*command(f"{self.url}/file", output))
            runs.append((seconds, cpu))
            peak = max(peak, mib)
            self.check(output)
        self.table.row(what, runs, {what.split(maxsplit=1)[0]: peak})

    def ours(self, what: str, cases: list[tuple[Home, str]], supernode: Supernode) -> None:
        """Measure dfget; each case is a home and a URL."""
        runs, peaks = [], {"dfget": 0.0, "peer": 0.0, "supernode": 0.0}
        explained = ""
        for home, url in cases:
            output = self.work / "ours"
            others = [other.pid for other in self.homes if other is not home]
            before = {pid: cpu_seconds(pid) for pid in [supernode.pid, home.pid, *others] if pid}
            seconds, cpu, mib, text = home.download(url, output)
            after = [pid for pid in [supernode.pid, home.pid, *others] if pid]
            cpu += sum(cpu_seconds(pid) - before.get(pid, 0.0) for pid in after)
            runs.append((seconds, cpu))
            peaks["dfget"] = max(peaks["dfget"], mib)
            peaks["peer"] = max(peaks["peer"], peak_mib(home.pid or os.getpid()))
            peaks["supernode"] = max(peaks["supernode"], peak_mib(supernode.pid))
            explained = text.strip().splitlines()[-2] if "\n" in text.strip() else text
            self.check(output)
        self.table.row(what, runs, peaks)
        print(f"    {explained}")

    def check(self, output: Path) -> None:
        """Compare the output with the original and remove it."""
        if not filecmp.cmp(output, self.original, shallow=False):
            raise SystemExit(f"{output} differs from the original")
        output.unlink()

    def home(self, supernode: Supernode) -> Home:
        """Make a new home."""
        home = Home(self.work / f"home{len(self.homes)}", supernode)
        self.homes.append(home)
        return home

    def forget(self) -> None:
        """End all peers and remove their homes."""
        for home in self.homes:
            home.stop()
            shutil.rmtree(home.path, ignore_errors=True)
        self.homes.clear()

    def all(self) -> None:
        """Measure every case."""
        self.plain("curl", lambda url, out: ("curl", "-s", "-o", str(out), url))
        self.plain(
            "aria2c -x8",
            lambda url, out: (
                *("aria2c", "-q", "-x8", "-s8", "--file-allocation=none"),
                *("--allow-overwrite=true", "-d", str(out.parent), "-o", out.name, url),
            ),
        )
        names = [f"{self.url}/cold{number}" for number in range(self.rounds)]
        for name in names:
            os.link(self.original, self.work / "www" / name.rsplit("/", 1)[1])
        supernode = Supernode(self.work / "supernode")
        try:
            self.ours("dfget cold", [(self.home(supernode), name) for name in names], supernode)
            self.forget()
            warm = [(self.home(supernode), names[0]) for _ in range(self.rounds)]
            self.ours("dfget warm, from the CDN", warm, supernode)
            self.ours("dfget again, same home", [warm[0]] * self.rounds, supernode)
            self.forget()
            self.from_a_peer(supernode, names[0])
        finally:
            self.forget()
            supernode.stop()

    def from_a_peer(self, supernode: Supernode, url: str) -> None:
        """Measure with one other peer that has everything; the CDN is a source too."""
        other = self.home(supernode)
        other.download(url, self.work / "first")
        (self.work / "first").unlink()
        runs = [(self.home(supernode), url) for _ in range(self.rounds)]
        self.ours("dfget warm, a peer and the CDN", runs[:1], supernode)


def main() -> None:
    """Set everything up on tmpfs, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    try:
        (work / "www").mkdir()
        touch_memory(work, args.mib * (3 + 2 * args.rounds))
        random_file(work / "www" / "file", args.mib * MIB)
        print(machine(), f"{args.mib} MiB, median of {args.rounds}", sep="; ")
        with nginx(work / "www", work) as url:
            Run(work, url, args).all()
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
