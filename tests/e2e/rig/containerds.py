"""containerd's two ways to pull: by ctr, and over CRI, as Kubernetes does."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

from tests.e2e.rig.cargo import Cargo
from tests.e2e.rig.containerd import Containerd
from tests.e2e.rig.images import Image
from tests.e2e.rig.network import Host
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program
from tests.e2e.rig.sites import PASSWORD, USER
from tests.e2e.rig.way import DEAD, Outcome, Way

__all__ = ["Cri", "Ctr"]

_PATIENCE_S = 240  # of 2 GiB, unpacked, on a machine with other work
_MIRROR = """
server = "http://{dead}"
[host."http://{through}"]
  capabilities = ["pull", "resolve"]
"""
_HEADER = """
  [host."http://{through}".header]
    X-Dragonfly-Registry = ["{url}"]
"""
_PLAIN = """
server = "{url}"
[host."{url}"]
  capabilities = ["pull", "resolve"]
"""


_PUSH = """
server = "{scheme}://{target}"
[host."{scheme}://{target}"]
  capabilities = ["pull", "resolve", "push"]
"""


def _write_rules(containerd: Containerd, way: Way, *, header: bool = False) -> None:
    """``hosts.toml``; a mirror learns of the registry by ``?ns=`` in any case."""
    rules = containerd.rules / way.site.netloc
    rules.mkdir(parents=True, exist_ok=True)
    text = _MIRROR + (_HEADER if header else "") if way.mirror else _PLAIN
    text = text.format(dead=DEAD, through=way.through, url=way.site.url)
    (rules / "hosts.toml").write_text(text)


def _here(containerd: Containerd, outcome: Outcome, image: Image) -> Outcome:
    """Check that containerd has all of an image, and right."""
    return (
        outcome
        if not outcome.good
        else outcome.checked(containerd.has(image.manifest, *image.layers, *image.others), True)
    )


class Ctr:
    """``ctr images pull``, which does the HTTP itself: one containerd for all ways."""

    name = "ctr"

    def __init__(self, host: Host) -> None:
        self._host = host
        self._containerd: Containerd | None = None

    def version(self) -> str:
        """containerd's."""
        return self._host.run("containerd", "--version").stdout.split()[2]

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """Content of all platforms; nothing is unpacked."""
        containerd = self._running()
        _write_rules(containerd, way, header=way.mode == "many")
        return _here(containerd, Outcome.of(self._fetch(containerd, way, reference)), image)

    def forget(self) -> None:
        """Remove all images."""
        if self._containerd is not None:
            self._containerd.forget()

    def push(self, way: Way, reference: str, cargo: Cargo) -> Outcome:
        """Import an image, and push it to ``repository:tag``: each blob by one ``PUT``."""
        containerd = self._running()
        rules = self._host.directory(f"{self._host.name}-ctr-push") / way.target
        rules.mkdir(exist_ok=True)
        scheme = "http" if way.mirror else way.site.scheme
        (rules / "hosts.toml").write_text(_PUSH.format(scheme=scheme, target=way.target))
        named, file = f"{way.target}/{reference}", rules.parent / cargo.tag
        cargo.archive(file, named)
        flags = ("--hosts-dir", str(rules.parent), *way.members)
        taken = Outcome.of(containerd.ctr("images", "import", "--no-unpack", str(file)))
        if not taken.good:
            return taken
        pushing = containerd.ctr("images", "push", *flags, named, environment=(*way.environment,))
        return Outcome.of(pushing)

    def _fetch(self, containerd: Containerd, way: Way, reference: str) -> Program:
        arguments = ["content", "fetch", "--all-platforms", "--hosts-dir", str(containerd.rules)]
        arguments += [*way.members, f"{way.site.netloc}/{reference}"]
        return containerd.ctr(*arguments, environment=tuple(way.environment))

    def _running(self) -> Containerd:
        if self._containerd is None:
            self._containerd = Containerd(self._host, name=f"{self._host.name}-ctr")
        return self._containerd


class Cri:
    """The image service of CRI, asked over gRPC by curl: crictl is not in Debian.

    containerd does the HTTP, so that there is one for each environment.
    """

    name = "CRI"

    def __init__(self, host: Host) -> None:
        needed("curl")
        self._host = host
        self._running: dict[tuple[str, ...], Containerd] = {}
        self._runs = itertools.count(1)

    def version(self) -> str:
        """containerd's."""
        return self._host.run("containerd", "--version").stdout.split()[2]

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """The image for this machine, unpacked."""
        containerd = self._for(way)
        _write_rules(containerd, way)
        member = _text(1, USER) + _text(2, PASSWORD) if way.site.members else b""
        asked = _text(1, _text(1, f"{way.site.netloc}/{reference}"))
        asked += _text(2, member) if member else b""
        return _here(containerd, self._asked(containerd, asked), image.native)

    def forget(self) -> None:
        """Remove all images, of all."""
        for containerd in self._running.values():
            containerd.forget("k8s.io")

    def _asked(self, containerd: Containerd, message: bytes) -> Outcome:
        """One call; what it came to is in the trailers."""
        work = self._host.directory(f"{self._host.name}-cri-{next(self._runs)}")
        (work / "request").write_bytes(struct.pack(">BI", 0, len(message)) + message)
        done = self._host.run(*_call(containerd, work), seconds=_PATIENCE_S + 10)
        told = (work / "head").read_text() if (work / "head").exists() else ""
        good = done.returncode == 0 and "grpc-status: 0" in told
        return Outcome(why="" if good else f"{done.stderr}{told}"[-600:])

    def _for(self, way: Way) -> Containerd:
        key = tuple(way.environment)
        if key not in self._running:
            name = f"{self._host.name}-c{len(self._running)}"
            self._running[key] = Containerd(self._host, name=name, cri=True, environment=key)
        return self._running[key]


def _call(containerd: Containerd, work: Path) -> list[str]:
    command = ["curl", "--disable", "--silent", "--show-error", "--http2-prior-knowledge"]
    command += [
        "--noproxy",
        "*",
        "--unix-socket",
        str(containerd.socket),
        "--max-time",
        str(_PATIENCE_S),
    ]
    command += ["--header", "Content-Type: application/grpc", "--header", "TE: trailers"]
    command += ["--data-binary", f"@{work}/request"]
    command += ["--dump-header", f"{work}/head", "--output", f"{work}/answer"]
    return [*command, "http://containerd/runtime.v1.ImageService/PullImage"]


def _text(field: int, value: str | bytes) -> bytes:
    """A field of protobuf with a length."""
    data = value.encode() if isinstance(value, str) else value
    length = len(data)
    number = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([field << 3 | 2]) + number + data
