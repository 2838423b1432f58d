"""What the benchmarks share: a real nginx, a supernode, dfgets, and what their processes used."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
ROOT = str(Path(__file__).resolve().parents[1])
# A source tree that is not installed will do, too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
MIB = 1 << 20
children: list[subprocess.Popen[bytes]] = []
"""All servers that were started, also those that did not become ready."""


def end_children() -> None:
    """End the servers that still run."""
    for child in children:
        child.terminate()
        child.wait()
    children.clear()


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connects(port: int) -> bool:
    """Tell whether something listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Poll a condition; end the run loudly when it does not come true."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"{what} is not ready after {seconds:g} s")
        time.sleep(0.02)


def random_file(path: Path, size: int) -> None:
    """Write random bytes, a MiB at a time."""
    with path.open("wb") as out:
        left = size
        while left:
            left -= out.write(os.urandom(min(left, MIB)))


def touch_memory(directory: Path, mib: int) -> None:
    """Use every page of tmpfs once that the run will use."""
    path = directory / "touch"
    with path.open("wb") as out:
        for _ in range(mib):
            out.write(bytes(MIB))
    path.unlink()


def cpu_seconds(pid: int) -> float:
    """Give user and system seconds that a living process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    """Give the most memory that a living process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def timed(*command: str) -> tuple[float, float, float, str]:
    """Run a command; give its seconds, CPU seconds, peak MiB and standard output."""
    before = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - before
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[0]} ended with {child.returncode}: {output.decode()}")
    cpu = usage.ru_utime + usage.ru_stime
    return seconds, cpu, usage.ru_maxrss / 1024, output.decode()


@contextmanager
def nginx(root: Path, work: Path) -> Iterator[str]:
    """Run a real nginx that serves ``root``; give its base URL."""
    port = free_port()
    config = work / "nginx.conf"
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f" {name}_temp_path {work}/{name};" for name in paths)
    config.write_text(
        f"daemon off; user root; worker_processes 1; pid {work}/nginx.pid;\n"
        f"error_log {work}/nginx.err; events {{ worker_connections 512; }}\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on;{temporary}\n"
        f" server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    server = subprocess.Popen(
        ["nginx", "-p", str(work), "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: connects(port), "nginx")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


class Supernode:
    """One ``twistd supernode`` with a home of its own.

    :param under: a command that runs it.
    """

    def __init__(self, home: Path, *flags: str, under: Sequence[str] = ()) -> None:
        self.home = home
        home.mkdir(exist_ok=True)
        self.home = home
        ports = home / "ports.json"
        ports.unlink(missing_ok=True)
        twistd = Path(sys.executable).with_name("twistd")
        role = ["supernode", "--home-dir", str(home), "--port", "0", "--download-port", "0"]
        with (home.parent / f"{home.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*under, str(twistd), "-n", "--pidfile=", *role, *flags],
                stdout=log,
                stderr=log,
                cwd=home,
            )
        children.append(self.process)
        wait_until(ports.exists, "the supernode")
        self.port = int(json.loads(ports.read_text())["http"])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def stop(self) -> None:
        """End it and wait."""
        self.process.terminate()
        self.process.wait()


class Home:
    """A home directory for dfget, whose background peer is measured and ended with it."""

    def __init__(self, path: Path, supernode: Supernode) -> None:
        self.path = path
        self.supernode = supernode

    def start(self, *under: str) -> None:
        """Start the background peer now, by a command that runs a module."""
        self.path.mkdir(exist_ok=True)
        role = ["dragonfly.dfget", "server", "--home", str(self.path), "--ip", "127.0.0.1"]
        with (self.path.parent / f"{self.path.name}.log").open("ab") as log:
            child = subprocess.Popen(
                [*(under or (sys.executable, "-m")), *role], stdout=log, stderr=log
            )
        children.append(child)
        wait_until(lambda: self.pid == child.pid, "the peer")

    def download(self, url: str, output: Path) -> tuple[float, float, float, str]:
        """Run dfget once; as :func:`timed`."""
        node = f"127.0.0.1:{self.supernode.port}"
        command = ["-m", "dragonfly.dfget", "--home", str(self.path), "--node", node]
        return timed(sys.executable, *command, "--ip", "127.0.0.1", url, "-o", str(output))

    @property
    def pid(self) -> int | None:
        """Process id of the background peer, asked over its socket; None if there is none."""
        try:
            return int(self.ask("ping")["pid"])
        except (OSError, ValueError, KeyError):
            return None

    def ask(self, what: str) -> dict[str, Any]:
        """Ask the background peer one question over its socket."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.path / "sock"))
            link.sendall(json.dumps({"op": what}).encode() + b"\n")
            return dict(json.loads(link.makefile("rb").readline()))

    def stop(self) -> None:
        """End the background peer."""
        pid = self.pid
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: gone(pid), "the end of the peer")


def gone(pid: int) -> bool:
    """Tell whether a process, ours or a stranger's, has ended."""
    for child in children:
        child.poll()  # one of ours is there until it is waited for
    return not Path(f"/proc/{pid}").exists()


def machine() -> str:
    """Give one line about the machine, for the table."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cores = os.cpu_count()
    return f"{cores} x {model}, Linux {os.uname().release}, CPython {sys.version.split()[0]}"
