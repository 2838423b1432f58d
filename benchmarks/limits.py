"""Each rate limit on loopback, beside ``curl --limit-rate`` from the same nginx, in one run.

For each case: the rate that was set, what processes took from their connections (or sent) in
the time of the window, from the first byte on, and how far that is from the rate. Where two
share a limit, the share of each; where it is changed in the midst, the rate before and after.

Bytes are what ``ss`` tells of the sockets of a process: received less what it has not read
yet. Everything lies on tmpfs. Needs nginx, curl, docker-registry and ss.

    python benchmarks/limits.py [--seconds 10] [--only WORD] [--rates 200K,5M,50M,200M]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rig import (
    MIB,
    Home,
    Supernode,
    end_children,
    machine,
    nginx,
    random_file,
    wait_until,
)
from servers import REPOSITORY, Dfdaemon, Registry

from dragonfly.limits import parse_rate

INODE = re.compile(r"\bino:(\d+)")
RECEIVED = re.compile(r"bytes_received:(\d+)")
SENT = re.compile(r"bytes_sent:(\d+)")
LEAD_S = 2.0
"""After a change, so long is not counted: what lies in the sockets' buffers comes first."""


class Meter:
    """Counts the bytes of the connections of one process.

    :param port: only connections to this port, or from it if ``sent``; ``None``: all.
    """

    def __init__(self, pid: int, *, sent: bool = False, port: int | None = None) -> None:
        self._pid = pid
        self._sent = sent
        self._port = port
        self._seen: dict[tuple[str, str], int] = {}

    def _inodes(self) -> set[str]:
        """Of the sockets of the process."""
        found = set()
        for entry in Path(f"/proc/{self._pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(entry).removeprefix("socket:[").removesuffix("]"))
        return found

    def bytes(self) -> int:
        """All bytes so far; what a connection that is gone had when it was last seen counts."""
        text = subprocess.run(["ss", "-tineHO"], capture_output=True, text=True, check=True).stdout
        mine = self._inodes()
        for line in text.splitlines():
            found, fields = INODE.search(line), line.split()
            if found is None or found[1] not in mine:
                continue
            if self._port is not None and not fields[3 if self._sent else 4].endswith(
                f":{self._port}"
            ):
                continue
            count = (SENT if self._sent else RECEIVED).search(line)
            if count is not None:
                unread = 0 if self._sent else int(fields[1])
                self._seen[fields[3], fields[4]] = int(count[1]) - unread
        return sum(self._seen.values())


class Window:
    """Measures some meters over the same time, from the first byte of the first of them."""

    def __init__(self, meters: list[Meter], enough: int = 1) -> None:
        self.meters = meters
        first = self._look()
        last = first
        while sum(last[1]) - sum(first[1]) < enough:
            time.sleep(0.01)
            before, last = last, self._look()
        self._began, self._base = before[0], first[1]

    def _look(self) -> tuple[float, list[int]]:
        """What the meters show, and when."""
        began = time.monotonic()
        counts = [meter.bytes() for meter in self.meters]
        return (began + time.monotonic()) / 2, counts

    def restart(self) -> None:
        """Count from now on."""
        self._began, self._base = self._look()

    def rates(self, seconds: float) -> list[float]:
        """Wait for the end of the window; bytes for each second by meter."""
        time.sleep(max(0.0, self._began + seconds - time.monotonic()))
        ended, counts = self._look()
        took = ended - self._began
        return [(now - old) / took for now, old in zip(counts, self._base, strict=True)]


def shown(rate: float) -> str:
    """A rate for people."""
    return f"{rate / MIB:.2f} M" if rate >= MIB else f"{rate / 1024:.1f} K"


def row(what: str, rate: int, measured: float, more: str = "") -> None:
    """Print one line of the table."""
    off = 100 * (measured / rate - 1)
    print(f"{what:46} {shown(rate):>9}/s {shown(measured):>9}/s {off:+6.1f} %  {more}", flush=True)


class Run:
    """The servers, and every case."""

    def __init__(self, work: Path, base: str, args: argparse.Namespace) -> None:
        self.work = work
        self.base = base
        self.seconds: float = args.seconds
        self.rates = [(text, parse_rate(text, "--rates")) for text in args.rates.split(",")]
        self.only: str = args.only
        self.size = args.mib * MIB
        self.names = 0
        self.started: list[subprocess.Popen[bytes]] = []
        self.homes: list[Home] = []

    # -- parts -------------------------------------------------------------------------

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A program that is ended with the case."""
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.started.append(child)
        return child

    def url(self, rate: int) -> str:
        """A new file, long enough for the rate."""
        self.names += 1
        name = f"file{self.names}"
        random_file(self.work / "www" / name, self.length(rate))
        return f"{self.base}/{name}"

    def length(self, rate: int) -> int:
        """Of a file that lasts for the window, if that is not too long."""
        return min(self.size, int(1.4 * self.seconds * rate) + 16 * MIB)

    def home(self, supernode: Supernode | None = None) -> Home:
        """A new home whose peer does not run yet."""
        home = Home(self.work / f"home{len(self.homes)}-{self.names}", supernode or self.supernode)
        self.homes.append(home)
        return home

    def dfget(self, home: Home, url: str, *flags: str) -> subprocess.Popen[bytes]:
        """Begin a download."""
        node = f"127.0.0.1:{home.supernode.port}"
        command = ["-m", "dragonfly.dfget", "--home", str(home.path), "--node", node, *flags]
        output = self.work / f"out-{home.path.name}-{len(self.started)}"
        return self.start(sys.executable, *command, "--ip", "127.0.0.1", "-o", str(output), url)

    def peer(self, home: Home) -> int:
        """The process of a home's peer, once it runs."""
        wait_until(lambda: home.pid is not None, "a peer")
        return home.pid or 0

    def warm(self, url: str, homes: int) -> None:
        """Let some homes, and the CDN, have the file."""
        for _ in range(homes):
            self.home().download(url, self.work / "warm")
            (self.work / "warm").unlink()

    def settle(self) -> None:
        """End everything of a case but the servers."""
        for child in self.started:
            child.kill()
            child.wait()
        for home in self.homes:
            home.stop()
            shutil.rmtree(home.path, ignore_errors=True)
        for pattern in ("out-*", ".out-*", "www/file*"):
            for file in self.work.glob(pattern):
                file.unlink()
        self.started.clear()
        self.homes.clear()

    def others(self, rate: int) -> int:
        """Homes that have a file already; not many of long ones, which lie in memory."""
        return 3 if self.length(rate) <= 256 * MIB else 1

    def window(self, rate: int) -> float:
        """The file must last for the window."""
        return min(self.seconds, 0.75 * self.length(rate) / rate)

    # -- cases -------------------------------------------------------------------------

    def curl(self) -> None:
        """The other program."""
        for text, rate in self.rates:
            child = self.start(
                *("curl", "-s", "--limit-rate", text, "-o", "/dev/null", self.url(rate))
            )
            row("curl --limit-rate", rate, Window([Meter(child.pid)]).rates(self.window(rate))[0])
            self.settle()

    def local(self) -> None:
        """``dfget --locallimit``, from the CDN and three other homes."""
        for text, rate in self.rates:
            url = self.url(rate)
            self.warm(url, self.others(rate))
            home = self.home()
            self.dfget(home, url, "-s", text)
            window = Window([Meter(self.peer(home))], enough=8192)
            row("dfget --locallimit", rate, window.rates(self.window(rate))[0])
            self.settle()

    def source(self) -> None:
        """``dfget --locallimit --pattern source``, from the origin."""
        for text, rate in self.rates:
            home = self.home()
            self.dfget(home, self.url(rate), "-s", text, "--pattern", "source")
            window = Window([Meter(self.peer(home))], enough=8192)
            row("dfget --locallimit, origin", rate, window.rates(self.window(rate))[0])
            self.settle()

    def changed(self) -> None:
        """Another dfget names another total limit while one runs."""
        for before, after in (("1M", "8M"), ("8M", "1M")):
            old, new = (parse_rate(text, "") for text in (before, after))
            url = self.url(2 * (old + new))
            self.warm(url, 1)
            home = self.home()
            self.dfget(home, url, "--totallimit", before)
            window = Window([Meter(self.peer(home))], enough=8192)
            row(f"--totallimit {before}, then {after}: before", old, window.rates(self.seconds)[0])
            self.dfget(home, f"{self.base}/tiny", "--totallimit", after)
            time.sleep(LEAD_S)
            window.restart()
            row(f"--totallimit {before}, then {after}: after", new, window.rates(self.seconds)[0])
            self.settle()

    def total(self) -> None:
        """``--totallimit`` of two downloads: one from the CDN alone, one from four."""
        for text, rate in self.rates[:-1]:
            one, many = self.url(rate), self.url(rate)
            self.warm(many, self.others(rate))
            home = self.home()
            self.dfget(home, one, "--totallimit", text)
            pid = self.peer(home)
            self.dfget(home, many, "--totallimit", text)
            time.sleep(LEAD_S)
            window = Window([Meter(pid)])
            before = self.by_task(home)
            measured = window.rates(self.window(rate))[0]
            after = self.by_task(home)
            gained = [after.get(task, 0) - before.get(task, 0) for task in after]
            parts = [f"{100 * part / (sum(gained) or 1):.0f} %" for part in gained]
            row("dfget --totallimit, two at once", rate, measured, "shares " + ", ".join(parts))
            self.settle()

    def by_task(self, home: Home) -> dict[str, int]:
        """Verified bytes of each task of a home."""
        sources = ("cdn", "peers", "origin")
        return {
            task["task"]: sum(task["bytes"][source] for source in sources)
            for task in self.status(home)["tasks"]
        }

    def status(self, home: Home) -> Any:
        """What a home's peer says of itself."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(home.path / "sock"))
            link.sendall(b'{"op":"status"}\n')
            return json.loads(link.makefile("rb").readline())

    def upload(self) -> None:
        """What a home with ``--totallimit`` gives to others that have no other source."""
        for text, rate in self.rates[:-1]:
            url = self.url(rate)
            giver = self.home()
            giver.download(url, self.work / "warm")
            (self.work / "warm").unlink()
            tiny = self.dfget(giver, f"{self.base}/tiny", "--totallimit", text)
            tiny.wait()
            meter = Meter(self.peer(giver), sent=True, port=self.status(giver)["port"])
            for _ in range(2):
                self.dfget(self.home(), url, "-s", text, "--notbs")
            window = Window([meter], enough=64 * 1024)
            self.supernode.process.send_signal(signal.SIGSTOP)
            time.sleep(LEAD_S)
            window.restart()
            row("--totallimit: uploads to two others", rate, window.rates(self.window(rate))[0])
            self.supernode.process.send_signal(signal.SIGCONT)
            self.settle()

    def origins(self) -> None:
        """What a supernode reads from origins, one and two at once."""
        port = int(self.base.rsplit(":", 1)[1])
        for text, rate in self.rates:
            for count in (1, 2):
                flags = ("--max-bandwidth", text)
                supernode = Supernode(self.work / f"super-{text}-{count}", *flags)
                urls = [self.url(rate) for _ in range(count)]
                for url in urls:
                    self.dfget(self.home(supernode), url)
                window = Window([Meter(supernode.pid, port=port)], enough=8192)
                measured = window.rates(self.window(rate))[0]
                row(f"supernode --max-bandwidth, {count} at once", rate, measured)
                supernode.stop()
                self.settle()
                shutil.rmtree(supernode.home, ignore_errors=True)

    def daemon(self) -> None:
        """``dfdaemon --ratelimit``: a layer through the swarm, one that goes straight on, two."""
        registry = Registry(self.work)
        for text, rate in self.rates:
            digest, half = (self.blob(registry, rate) for _ in range(2))
            for what, blobs, node in (
                ("a layer", [digest], self.supernode),
                ("two layers", [digest, half], self.supernode),
                ("straight on", [digest], None),
            ):
                self.names += 1
                home = self.work / f"daemon{self.names}"
                daemon = Dfdaemon(home, node, registry.url, "--ratelimit", text)
                for blob in blobs:
                    place = f"{daemon.url}/v2/{REPOSITORY}/blobs/{blob}"
                    self.start("curl", "-s", "-o", "/dev/null", place)
                window = Window([Meter(daemon.pid)], enough=65536)
                row(f"dfdaemon --ratelimit, {what}", rate, window.rates(self.window(rate))[0])
                daemon.stop()
                self.settle()
                shutil.rmtree(home, ignore_errors=True)
        registry.stop()

    def blob(self, registry: Registry, rate: int) -> str:
        """A new blob, long enough for the rate."""
        return registry.push_file(self.work / "www" / self.url(rate).rsplit("/", 1)[1])

    def hangup(self) -> None:
        """Another rate in the files of supernode and dfdaemon, and SIGHUP."""
        port = int(self.base.rsplit(":", 1)[1])
        config = self.work / "supernode.yml"
        config.write_text("base: {maxBandwidth: 2M}\n")
        supernode = Supernode(self.work / "super-hup", "--config", str(config))
        self.dfget(self.home(supernode), self.url(20 * MIB))
        window = Window([Meter(supernode.pid, port=port)], enough=8192)
        row("supernode, SIGHUP: before", 2 * MIB, window.rates(self.seconds)[0])
        config.write_text("base: {maxBandwidth: 10M, systemReservedBandwidth: 4M}\n")
        supernode.process.send_signal(signal.SIGHUP)
        time.sleep(LEAD_S)
        window.restart()
        row("supernode, SIGHUP: after", 6 * MIB, window.rates(self.seconds)[0])
        supernode.stop()
        self.settle()

    def all(self) -> None:
        """Measure every case that is wanted."""
        head = ("what", "set", "measured", "off")
        print(f"{head[0]:46} {head[1]:>11} {head[2]:>11} {head[3]:>8}")
        cases: list[Callable[[], None]] = [
            *(self.curl, self.local, self.source, self.total, self.changed),
            *(self.upload, self.origins, self.hangup, self.daemon),
        ]
        try:
            for case in cases:
                if self.only in case.__name__:
                    self.measure(case)
        finally:
            self.settle()

    def measure(self, case: Callable[[], None]) -> None:
        """One case with a supernode of its own."""
        home = self.work / "supernode"
        self.supernode = Supernode(home)
        try:
            case()
        finally:
            self.settle()
            self.supernode.stop()
            shutil.rmtree(home)


def main() -> None:
    """Set everything up on tmpfs, measure, clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--rates", default="200K,5M,50M,200M")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="dragonfly-bench-", dir="/dev/shm"))
    try:
        (work / "www").mkdir()
        random_file(work / "www" / "tiny", 10 * 1024)
        print(machine(), f"{args.mib} MiB, {args.seconds:g} s", sep="; ")
        with nginx(work / "www", work) as url:
            Run(work, url, args).all()
    finally:
        end_children()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
