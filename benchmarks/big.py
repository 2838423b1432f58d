"""One file of many GiB: how long, for how much CPU, in how much memory, with which turns.

curl, dfget (cold, through the CDN, one peer) and dfdaemon (cold, read by curl) take the same
file from the same nginx, in one run, all on one disk. Supernode, peer and dfdaemon run under
``turns.py``, which measures every turn of their reactors. The file is sparse, with a number at
each MiB by which the outputs are checked. With ``--kill`` the peer is killed half way and
started again. Needs nginx, curl, and room for three times the file.

    python benchmarks/big.py [--gib 20] [--kill] [--only dfget|dfdaemon] [--dir /tmp]
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rig import (
    MIB,
    Home,
    Supernode,
    cpu_seconds,
    end_children,
    machine,
    nginx,
    peak_mib,
    timed,
    wait_until,
)
from servers import REPOSITORY, Dfdaemon

TURNS = str(Path(__file__).with_name("turns.py"))
HOUR_S = 3600


def mark(at: int) -> bytes:
    """What is at a MiB of the file; all else is zero."""
    return (at // MIB + 1).to_bytes(8, "big")


def make_file(path: Path, size: int) -> None:
    """Make a file that takes 4 KiB on disk for each MiB."""
    with path.open("wb") as out:
        out.truncate(size)
        for at in range(0, size, MIB):
            out.seek(at)
            out.write(mark(at))


def digest(size: int) -> str:
    """Its digest, without reading it."""
    hasher, rest = hashlib.sha256(), bytes(MIB - 8)
    for at in range(0, size, MIB):
        hasher.update(mark(at))
        hasher.update(rest)
    return f"sha256:{hasher.hexdigest()}"


def check_file(path: Path, size: int) -> None:
    """End the run loudly if an output is not that file, and remove it."""
    if path.stat().st_size != size:
        sys.exit(f"{path} has {path.stat().st_size} bytes instead of {size}")
    with path.open("rb") as file:
        for at in range(0, size, MIB):
            if os.pread(file.fileno(), 8, at) != mark(at):
                sys.exit(f"{path} is wrong at {at}")
    path.unlink()


def lateness_of(url: str) -> dict[str, int]:
    """The histogram in the metrics of a role."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if "reactor_lateness_seconds_bucket" in line]
    return {name.split('"')[1]: int(float(count)) for name, count in pairs}


class Run:
    """One file, and everything that takes it."""

    def __init__(self, work: Path, reports: Path, url: str, args: argparse.Namespace) -> None:
        self.work = work
        self.reports = reports
        self.url = url
        self.kill = args.kill
        self.size = args.gib * 1024 * MIB
        self.gib = args.gib

    def under(self, name: str) -> tuple[str, ...]:
        """The command that runs ``name`` and measures its turns."""
        return sys.executable, TURNS, str(self.reports / f"{name}.turns")

    # -- what is measured --------------------------------------------------------------

    def curl(self) -> None:
        """The yardstick: it writes a file, too."""
        output = self.work / "curl"
        seconds, cpu, peak, _ = timed("curl", "-sS", "-o", str(output), f"{self.url}/file")
        check_file(output, self.size)
        print(f"\ncurl: {seconds:.1f} s, {cpu / self.gib:.2f} CPU s/GiB, {peak:.0f} MiB")

    def dfget(self) -> None:
        """Cold, through a new supernode and a new peer."""
        with self.supernode("supernode") as supernode:
            home = Home(self.work / "home", supernode)
            home.start(*self.under("peer"))
            began = time.monotonic()
            if self.kill:
                self.killed(home)
            output = self.work / "dfget"
            _, cpu, peak, said = home.download(f"{self.url}/file", output)
            seconds = time.monotonic() - began
            told = next(line for line in said.splitlines() if " GiB in " in line)
            print(f"\ndfget: {seconds:.1f} s; it says: {told.rpartition('): ')[2]}")
            self.line("dfget", cpu, peak)
            self.process("supernode", supernode.pid)
            self.process("peer", home.pid or 0)
            self.lateness("supernode", lateness_of(f"http://127.0.0.1:{supernode.port}"))
            self.lateness("peer", home.ask("status")["reactor_lateness"]["le"])
            home.stop()
            check_file(output, self.size)
        shutil.rmtree(home.path)
        self.turns("supernode", "peer")

    def killed(self, home: Home) -> None:
        """Kill command and peer when half of it is there, and start another peer."""
        output = str(self.work / "killed")
        node = f"127.0.0.1:{home.supernode.port}"
        command = [sys.executable, "-m", "dragonfly.dfget", "--home", str(home.path)]
        command += ["--node", node, "--ip", "127.0.0.1", f"{self.url}/file", "-o", output]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.here(home) > self.size // 2, "half of it", HOUR_S)
        pid = home.pid or 0
        self.process("peer, killed", pid)
        os.kill(pid, signal.SIGKILL)
        child.kill()
        child.wait()
        (self.reports / "peer.turns").replace(self.reports / "peer, killed.turns")
        home.start(*self.under("peer"))

    def here(self, home: Home) -> int:
        """How many bytes the peer has."""
        tasks: list[dict[str, Any]] = home.ask("status")["tasks"]
        return sum(tasks[0]["bytes"][kind] for kind in ("cdn", "origin")) if tasks else 0

    def dfdaemon(self) -> None:
        """Cold, as a blob of a registry: nginx, whose answers are enough of one."""
        name = digest(self.size)
        path = f"v2/{REPOSITORY}/blobs/{name}"
        (self.work / "www" / path).parent.mkdir(parents=True)
        os.link(self.work / "www" / "file", self.work / "www" / path)
        with self.supernode("supernode 2") as supernode:
            daemon = Dfdaemon(
                self.work / "daemon", supernode, self.url, under=self.under("dfdaemon")
            )
            said = "%{http_code} %{size_download}"
            command = ("curl", "-sS", "-o", "/dev/null", "-w", said, f"{daemon.url}/{path}")
            seconds, cpu, peak, output = timed(*command)
            if output != f"200 {self.size}":
                sys.exit(f"curl says {output!r}")
            sources = {name: f"{count / 2**30:.2f}" for name, count in daemon.sources().items()}
            print(f"\ndfdaemon: {seconds:.1f} s; GiB by source: {sources}")
            self.line("curl", cpu, peak)
            self.process("supernode", supernode.pid)
            self.process("dfdaemon", daemon.pid)
            self.lateness("supernode", lateness_of(f"http://127.0.0.1:{supernode.port}"))
            self.lateness("dfdaemon", lateness_of(f"http://127.0.0.1:{daemon.status}"))
            daemon.stop()
        shutil.rmtree(self.work / "daemon")
        self.turns("supernode 2", "dfdaemon")

    @contextmanager
    def supernode(self, name: str) -> Iterator[Supernode]:
        """A new one, whose files go with it."""
        home = self.work / name
        flags = ("--advertise-ip", "127.0.0.1")
        supernode = Supernode(home, *flags, under=self.under(name))
        yield supernode
        supernode.stop()
        shutil.rmtree(home)

    # -- what is told --------------------------------------------------------------------

    def process(self, name: str, pid: int) -> None:
        """CPU and memory of a process that lives."""
        self.line(name, cpu_seconds(pid), peak_mib(pid))

    def line(self, name: str, cpu: float, peak: float) -> None:
        """CPU and memory."""
        print(f"  {name:14} {cpu / self.gib:6.2f} CPU s/GiB  peak {peak:4.0f} MiB")

    def lateness(self, name: str, upto: dict[str, int]) -> None:
        """What the metric says."""
        over = upto["+Inf"] - upto["0.05"]
        print(f"  {name:14} timer late by over 50 ms: {over} of {upto['+Inf']} looks")
        print(f"  {'':14} {upto}")

    def turns(self, *names: str) -> None:
        """What every turn took."""
        for report in [each for name in names for each in self.reports.glob(f"{name}*.turns")]:
            found = json.loads(report.read_text())
            print(f"  {report.stem:14} turns: {found['counts']}")
            for kind, worst in found["worst"].items():
                worst_ms, at, over = 1000 * worst["s"], worst["at"], worst["over"]
                print(f"  {'':14} {kind}: worst {worst_ms:.0f} ms at {at:.2f}, {over} > 50 ms")
            report.unlink()


def main() -> None:
    """Make the file, measure, clean up."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, default=20)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--only", choices=("dfget", "dfdaemon"))
    parser.add_argument("--dir", type=Path, default=Path("/tmp"))
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-big-", dir=args.dir))
    # Not on the disk: writing them would be what turns wait for.
    reports = Path(tempfile.mkdtemp(prefix="dragonfly-big-", dir="/dev/shm"))
    try:
        (work / "www").mkdir()
        make_file(work / "www" / "file", args.gib * 1024 * MIB)
        today = datetime.datetime.now(datetime.timezone.utc)
        print(f"{today:%Y-%m-%d}", machine(), f"{args.gib} GiB", sep="; ")
        with nginx(work / "www", work) as url:
            run = Run(work, reports, url, args)
            run.curl()
            if args.only != "dfdaemon":
                run.dfget()
            if args.only != "dfget":
                run.dfdaemon()
    finally:
        end_children()
        shutil.rmtree(work)
        shutil.rmtree(reports)


if __name__ == "__main__":
    main()
