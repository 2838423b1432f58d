"""One round of dfdaemon's benchmark: new processes around a registry, and what they are asked."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

from asking import Times, ask_in_turn
from rig import Supernode, cpu_seconds, peak_mib, timed
from servers import MANIFEST, REPOSITORY, CachingNginx, Dfdaemon, Registry

QUIET_S = 0.3


class Contents(NamedTuple):
    """What the registry has."""

    layer: str
    size: int
    blobs: list[str]


class Sample(NamedTuple):
    """One download of the layer."""

    seconds: float
    cpu: dict[str, float]


class Round:
    """New processes around one registry, and what they are asked."""

    def __init__(self, work: Path, registry: Registry) -> None:
        work.mkdir()
        self.work = work
        self.registry = registry
        self.share_of_peers = 0.0
        self.nginx = CachingNginx(work, registry)
        self.supernode = Supernode(work / "supernode", "--advertise-ip", "127.0.0.1")
        self.first = Dfdaemon(work / "home1", self.supernode, registry.url)
        self.second = Dfdaemon(work / "home2", self.supernode, registry.url)
        self.pids = {
            "registry": registry.pid,
            "nginx": self.nginx.pid,
            "supernode": self.supernode.pid,
            "dfdaemon 1": self.first.pid,
            "dfdaemon 2": self.second.pid,
        }

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, when nobody has anything left to do."""
        before: dict[str, float] = {}
        now = self._cpu()
        while before != now:
            time.sleep(QUIET_S)
            before, now = now, self._cpu()
        return now

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def download(self, url: str, contents: Contents) -> Sample:
        """Let curl read the layer to its end, and count."""
        blob = f"{url}/v2/{REPOSITORY}/blobs/{contents.layer}"
        before = self.cpu()
        said = "%{http_code} %{size_download}"
        seconds, cpu, _, output = timed("curl", "-sS", "-o", "/dev/null", "-w", said, blob)
        if output != f"200 {contents.size}":
            sys.exit(f"{blob}: curl says {output!r}")
        after = self.cpu()
        used = {name: after[name] - before[name] for name in self.pids}
        return Sample(seconds, {**used, "curl": cpu})

    def check(self, url: str, contents: Contents) -> None:
        """Read the layer once more, for its digest."""
        blob = f"{url}/v2/{REPOSITORY}/blobs/{contents.layer}"
        *_, output = timed("sh", "-c", f"curl -sS {blob} | sha256sum")
        if output.split()[0] != contents.layer.partition(":")[2]:
            sys.exit(f"{blob}: wrong content")

    def layers(self, contents: Contents, number: int) -> dict[str, Sample]:
        """Every way to the layer once."""
        samples: dict[str, Sample] = {}

        def take(what: str, url: str) -> None:
            samples[what] = self.download(url, contents)

        def straight() -> None:
            take("registry", self.registry.url)

        def nginx() -> None:
            take("nginx, cold", self.nginx.url)
            take("nginx, from its cache", self.nginx.url)

        def ours() -> None:
            take("dfdaemon, cold", self.first.url)
            take("dfdaemon, from its cache", self.first.url)
            take("dfdaemon, from another host and the CDN", self.second.url)
            self.share_of_peers = self.second.share_of_peers()

        ways = [straight, nginx, ours]
        for way in ways[number % 3 :] + ways[: number % 3]:
            way()
        for daemon in (self.first, self.second):
            self.check(daemon.url, contents)
        return samples

    def ports(self) -> dict[str, int]:
        """Who answers small requests."""
        servers = {"registry": self.registry, "nginx": self.nginx, "dfdaemon": self.first}
        return {name: server.port for name, server in servers.items()}

    def manifests(self, count: int, *, keep: bool) -> Times:
        """One manifest, often."""
        targets = [f"/v2/{REPOSITORY}/manifests/latest"] * count
        return ask_in_turn(self.ports(), targets, keep=keep, accept=MANIFEST)

    def blobs(self, contents: Contents) -> Times:
        """Each small blob once."""
        targets = [f"/v2/{REPOSITORY}/blobs/{digest}" for digest in contents.blobs]
        return ask_in_turn(self.ports(), targets, keep=True)

    def peaks(self) -> dict[str, float]:
        """The most memory that each process had."""
        return {name: peak_mib(pid) for name, pid in self.pids.items()}

    def stop(self) -> None:
        """End the processes of this round and remove their files."""
        for server in (self.first, self.second, self.nginx, self.supernode):
            server.stop()
        shutil.rmtree(self.work)
