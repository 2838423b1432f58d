"""The demo of images: a registry, a supernode, and two hosts that pull through their dfdaemons."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from dfdaemon import SOURCES, Dfdaemon
from layout import Image, sha256
from processes import DemoError, Supernode, end, running
from registry import Registry
from table import MIB, Row, table

HOSTS = 2
COPIES = 5 + 2 * HOSTS
"""An image is there once as made, in the registry and at the CDN, once for each host, and once
for each pull: one more than there are hosts."""
DEADLINE_S = 300.0
NAME = "demo/image:latest"
PACKAGES = {"docker-registry": "docker-registry", "skopeo": "skopeo"}
"""What has to be there, and the Debian package that has it."""


def missing() -> list[str]:
    """The Debian packages that this demo needs and that are not installed."""
    return [package for program, package in PACKAGES.items() if shutil.which(program) is None]


class Pull:
    """One ``skopeo copy`` from a dfdaemon to a directory."""

    def __init__(self, name: str, host: Dfdaemon, output: Path) -> None:
        self.name = name
        self.host = host
        self.output = output
        self.seconds = 0.0
        self.sources: dict[str, int] = {}
        self._before = host.sources()
        self._begin = time.monotonic()
        source = ("--src-tls-verify=false", f"docker://{host.netloc}/{NAME}")
        self.process = skopeo("copy", "--quiet", *source, f"dir:{output}")

    def wait(self, until: float) -> None:
        """Wait for its end, and ask the dfdaemon what it took.

        :raises DemoError: it failed, or takes too long.
        """
        finish(self.process, self.name, until)
        self.seconds = time.monotonic() - self._begin
        after = self.host.sources()
        self.sources = {source: after[source] - self._before[source] for source in SOURCES}

    def wrong(self, image: Image) -> list[str]:
        """The digests of what is not there as it was made."""
        files = {"manifest.json": image.digest}
        files.update({digest.partition(":")[2]: digest for digest in image.sizes})
        have = {name: self.output / name for name in files}
        return [
            digest
            for name, digest in files.items()
            if not have[name].is_file() or f"sha256:{sha256(have[name])}" != digest
        ]

    def row(self) -> Row:
        """Its line of the table."""
        total = sum(path.stat().st_size for path in self.output.iterdir())
        return Row(self.name, self.seconds, self.sources, total)


class ImageDemo:
    """Everything that runs, and the directory that it runs in."""

    copies = COPIES

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.registry: Registry | None = None
        self.supernode: Supernode | None = None
        self.hosts: list[Dfdaemon] = []
        self.pulls: list[Pull] = []

    def run(self, size: int) -> bool:
        """Do it all; tell whether every host has the same image.

        :raises DemoError: a part did not work.
        """
        print(f"an image of {size / MIB:g} MiB ...", flush=True)
        image = Image(self.directory / "image", size)
        self.registry = Registry(self.directory / "registry")
        self.supernode = Supernode(self.directory / "supernode")
        self.registry.wait()
        self._push(image, self.registry)
        self.supernode.wait()
        print(f"supernode {self.supernode.node}, registry {self.registry.netloc}")
        self._start_hosts(self.supernode, self.registry)
        print(f"{HOSTS} hosts pull at once, then one of them again ...", flush=True)
        self._pull(*self.hosts)
        self._pull(self.hosts[0], again=" again")
        print(table(SOURCES, [pull.row() for pull in self.pulls]))
        print("(MiB, as the dfdaemons count)")
        print(self._copies(image, self.registry))
        return self._compare(image)

    def _push(self, image: Image, registry: Registry) -> None:
        where = ("--dest-tls-verify=false", f"docker://{registry.netloc}/{NAME}")
        process = skopeo("copy", "--quiet", f"oci:{image.directory}", *where)
        finish(process, "the push", time.monotonic() + DEADLINE_S)

    def _start_hosts(self, supernode: Supernode, registry: Registry) -> None:
        for number in range(1, HOSTS + 1):
            home = self.directory / f"host{number}"
            self.hosts.append(Dfdaemon(home, supernode.node, f"http://{registry.netloc}"))
        for host in self.hosts:
            host.wait()

    def _pull(self, *hosts: Dfdaemon, again: str = "") -> None:
        """All at once; they are among the pulls even if one fails."""
        until = time.monotonic() + DEADLINE_S
        first = len(self.pulls)
        for host in hosts:
            name = f"{host.home.name}{again}"
            self.pulls.append(Pull(name, host, self.directory / f"pulled-{name.replace(' ', '-')}"))
        for pull in self.pulls[first:]:
            pull.wait(until)

    def _copies(self, image: Image, registry: Registry) -> str:
        """What left the registry, by its own log."""
        sent = registry.sent()
        lines = [f"the registry sent, for {len(self.pulls)} pulls:"]
        for digest, size in image.sizes.items():
            copies = sent[digest] / size
            lines.append(f"  layer {digest[:19]}  {size / MIB:7.1f} MiB  {copies:.3f} copies")
        return "\n".join(lines)

    def _compare(self, image: Image) -> bool:
        wrong = [f"{pull.name}: {digest}" for pull in self.pulls for digest in pull.wrong(image)]
        if wrong:
            print("WRONG CONTENT:", *wrong, sep="\n  ")
        else:
            print(f"all {len(self.pulls)} images are the same, {image.digest}")
        return not wrong

    # -- the end ---------------------------------------------------------------------

    @property
    def logs(self) -> dict[str, Path]:
        """The logs that tell why something did not work."""
        logs = {} if self.supernode is None else {"supernode": self.supernode.log}
        return {**logs, **{host.home.name: host.log for host in self.hosts}}

    def explain(self) -> str:
        """Where everything is."""
        lines = []
        if self.supernode is not None:
            lines.append(f"supernode   http://{self.supernode.node}/  (it lists its routes)")
        if self.registry is not None:
            lines.append(f"registry    {self.registry.netloc}/{NAME}")
        lines += [
            f"{host.home.name:11} {host.netloc}/{NAME}, {host.status}/metrics, {host.log}"
            for host in self.hosts
        ]
        return "\n".join(lines)

    def stop(self) -> None:
        """End all processes."""
        for pull in self.pulls:
            if pull.process.poll() is None:
                pull.process.terminate()
                pull.process.communicate()
        end(running(self.directory))


def skopeo(*arguments: str) -> subprocess.Popen[bytes]:
    """Start it."""
    return subprocess.Popen(
        ["skopeo", "--insecure-policy", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[bytes], what: str, until: float) -> None:
    """Wait for its end.

    :raises DemoError: it failed, or takes too long.
    """
    try:
        said, _ = process.communicate(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise DemoError(f"{what}: skopeo did not end in time") from None
    if process.returncode:
        text = said.decode(errors="replace").strip()
        raise DemoError(f"{what}: skopeo ended with {process.returncode}:\n{text}")
