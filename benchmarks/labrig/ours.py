"""Dragonfly itself: a supernode, and a peer on each host that runs before the clock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rig import wait_until

from labrig.adapter import Lab, start_all
from labrig.net import CDN, CDN_ADDRESS
from labrig.process import Process, end_all
from labrig.scenario import Host
from labrig.talk import SocketTalk, ask

__all__ = ["Ours"]

_AGENTS = Path(__file__).with_name("agents")
_PROBE = [str(_AGENTS / "probe.py")]
_SERVER = ["-m", "dragonfly.dfget", "server"]
_LASTING = ("--alivetime", "2h", "--expiretime", "2h")


class Ours:
    """A supernode and peers with homes of their own."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._processes: dict[str, Process] = {}

    def start(self) -> None:
        """Start all; warm the CDN if the scenario says so."""
        self._start_supernode()
        hosts = self._lab.hosts
        started = start_all([partial(self._start_peer, host) for host in hosts])
        self._processes |= {host.name: peer for host, peer in zip(hosts, started, strict=True)}
        if not self._lab.scenario.cold:
            self._warm()
        if self._lab.greeted:
            for host in hosts:
                self._greet(host)

    def _home(self, name: str) -> Path:
        return self._lab.work / name

    def _start_supernode(self) -> None:
        home = self._home(CDN)
        home.mkdir()
        program = [str(_AGENTS / "supernode.py")]
        if self._lab.probed:
            program = [*_PROBE, "supernode", str(self._lab.work / "supernode.probe.log")]
        command = [sys.executable, *program, str(self._lab.seed)]
        command += ["--home-dir", str(home), "--task-expire-time", "2h"]
        inside = self._lab.net.inside(CDN)
        supernode = Process(inside, command, self._lab.work / "supernode.log")
        self._processes[CDN] = supernode
        wait_until(
            lambda: (home / "ports.json").exists() or not supernode.alive, "the supernode", 60
        )

    def _start_peer(self, host: Host) -> Process:
        home = self._home(host.name)
        home.mkdir()
        program = [str(_AGENTS / "liar.py")] if host.role == "lying" else _SERVER
        if self._lab.probed and host.role != "lying":
            program = [*_PROBE, "peer", str(self._lab.work / f"{host.name}.probe.log")]
        command = [sys.executable, *program, "--home", str(home), *_LASTING]
        inside = self._lab.net.inside(host.name)
        return Process(inside, command, home / "peer.log", ready=True)

    def _warm(self) -> None:
        """Let the supernode fetch the content, for a peer that leaves at once."""
        home, out = self._home("warm"), self._lab.work / "warm.out"
        command = [*self._lab.net.inside(CDN), sys.executable, "-m", "dragonfly.dfget"]
        command += ["--home", str(home), "--alivetime", "0", "--node", CDN_ADDRESS]
        command += [self._lab.url, "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"warming the CDN: {done.stdout}{done.stderr}")
        out.unlink()

    def _greet(self, host: Host) -> None:
        """Let a peer meet the supernode over something small."""
        url = self._lab.url.rsplit("/", 1)[0] + "/small"
        event = ask(self._home(host.name) / "sock", _request(url), ("done", "failed"))
        if event["event"] != "done":
            sys.exit(f"{host.name} does not get {url}: {event}")

    def talks(self) -> Mapping[str, SocketTalk]:
        """A ``get`` for each home."""
        request = _request(self._lab.url)
        return {
            host.name: SocketTalk(self._home(host.name) / "sock", request)
            for host in self._lab.hosts
        }

    def processes(self) -> Mapping[str, Process]:
        """Supernode and peers."""
        return self._processes

    def settings(self) -> Mapping[str, Any]:
        """What differs from the defaults: nothing that a download notices."""
        return {"graph seed": self._lab.seed, "greeted": self._lab.greeted}

    def extra(self, name: str) -> Mapping[str, Any]:
        """The peer's ``status`` about this task."""
        status = ask(self._home(name) / "sock", {"op": "status"}, ("status",))
        length = self._lab.scenario.size
        return next((task for task in status["tasks"] if task["length"] == length), {})

    def stop(self) -> None:
        """End peers and supernode."""
        end_all([*self._processes.values()])


def _request(url: str) -> dict[str, Any]:
    return {
        "op": "get",
        "version": "lab",
        "url": url,
        "headers": [],
        "filters": [],
        "nodes": [CDN_ADDRESS],
    }
