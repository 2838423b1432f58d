"""The processes of the demo: how each is started, asked, and ended again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import dragonfly

START_S = 30.0
STOP_S = 10.0
LOOPBACK = "127.0.0.1"
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
PART = re.compile(r"([\d.]+) (B|KiB|MiB|GiB) (?:that were (here)|from (?:the )?(CDN|peers|origin))")


class DemoError(Exception):
    """Something did not work; the text is for the user."""


class FileServer:
    """The origin, in a process of its own."""

    def __init__(self, file: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("fileserver.py")), str(file)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        self.file = file

    def wait(self) -> None:
        """Wait until it serves.

        :raises DemoError: it does not.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise DemoError("the file server did not start")
        self.address = f"http://{LOOPBACK}:{int(line)}"
        self.url = f"{self.address}/{self.file.name}"

    def sent(self) -> int:
        """Bytes of the file that left it."""
        return int(json.loads(fetch(f"{self.address}/sent"))["sent"])


class Supernode:
    """``twistd supernode`` from the environment that runs the demo."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "twistd.log"
        flags = [f"--home-dir={home}", "--port=0", "--download-port=0"]
        self.process = twistd(home, "supernode", *flags, f"--advertise-ip={LOOPBACK}")

    def wait(self) -> None:
        """Wait until it serves.

        :raises DemoError: it does not.
        """
        found = ports(self.home / "ports.json", self.process, self.log)
        self.node = f"{LOOPBACK}:{found['http']}"
        self.pieces = f"{LOOPBACK}:{found['pieces']}"

    def fetched(self) -> int:
        """Bytes that its CDN read from origins."""
        name = "dragonfly_supernode_cdn_download_size_bytes_total "
        for line in fetch(f"http://{self.node}/metrics").decode().splitlines():
            if line.startswith(name):
                return int(float(line.removeprefix(name)))
        return 0


class Download:
    """One dfget with a home of its own, and what it says at the end."""

    def __init__(self, name: str, directory: Path, node: str, url: str) -> None:
        self.name = name
        self.home = directory / name
        self.output = directory / f"{name}.out"
        command = [sys.executable, "-m", "dragonfly.dfget", "--home", str(self.home)]
        command += ["--node", node, "--ip", LOOPBACK, url, "-o", str(self.output)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.seconds = 0.0
        self.sources: dict[str, int] = {}

    def wait(self, until: float) -> None:
        """Wait for its end, and read its last words.

        :raises DemoError: it failed, or takes too long.
        """
        try:
            out, errors = self.process.communicate(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name}: dfget did not end in time") from None
        text = out.decode(errors="replace")
        cost = re.search(r"download SUCCESS cost:([\d.]+)s", text)
        if self.process.returncode or cost is None:
            said = (text + errors.decode(errors="replace")).strip()
            raise DemoError(f"{self.name}: dfget ended with {self.process.returncode}:\n{said}")
        self.seconds = float(cost[1])
        self.sources = sources(text)

    def stop(self) -> None:
        """End dfget itself, if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate()


def twistd(home: Path, role: str, *flags: str) -> subprocess.Popen[bytes]:
    """Start a role with a new home, in which it logs to ``twistd.log``."""
    home.mkdir(parents=True)
    program = Path(sysconfig.get_path("scripts")) / "twistd"
    with (home / "twistd.log").open("wb") as log:
        return subprocess.Popen(
            [str(program), "--nodaemon", "--pidfile=", role, *flags],
            cwd=home,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def ports(file: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """Wait for the file in which a role writes its ports when it serves; read it.

    :raises DemoError: it does not come.
    """
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with suppress(OSError, ValueError):
            return dict(json.loads(file.read_text()))
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise DemoError(f"{file.parent.name} did not start:\n{tail(log)}")


def environment() -> dict[str, str]:
    """Ours, in which ``twistd`` finds the plugin in an editable installation, too."""
    places = [str(Path(dragonfly.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def sources(text: str) -> dict[str, int]:
    """Bytes by source, out of dfget's summary; it rounds to a tenth of a unit."""
    found = {}
    for number, unit, *names in PART.findall(text):
        found["".join(names).lower()] = int(float(number) * UNITS[unit])
    return found


def running(directory: Path) -> list[int]:
    """All processes that were started for a directory: its path is among their arguments.

    Also those that a dfget started a moment ago and nobody can talk to yet.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(directory) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def end(pids: list[int]) -> None:
    """End processes that we started: kindly, and after a while not so kindly."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + STOP_S
        while pids and time.monotonic() < until:
            pids = [pid for pid in pids if alive(pid)]
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process still runs; one of ours that has ended is taken leave of."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def fetch(url: str) -> bytes:
    """Read a small answer over plain HTTP."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as sock:
        sock.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        parts = iter(lambda: sock.recv(65536), b"")
        return b"".join(parts).partition(b"\r\n\r\n")[2]


def tail(log: Path, lines: int = 20) -> str:
    """The end of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return f"(no log at {log})"
