"""skopeo, podman and buildah: one library, one way to be configured."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from pathlib import Path

from tests.e2e.rig.cargo import Cargo
from tests.e2e.rig.files import sha256
from tests.e2e.rig.images import Image
from tests.e2e.rig.network import Host
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program
from tests.e2e.rig.way import DEAD, Outcome, Way

__all__ = ["Buildah", "Podman", "Skopeo"]

_MIRROR = """
[[registry]]
prefix = "{netloc}"
location = "{dead}"
insecure = true
[[registry.mirror]]
location = "{mirror}"
insecure = true
"""
_PLAIN = """
[[registry]]
prefix = "{netloc}"
location = "{netloc}"
insecure = {insecure}
"""
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


class _Tool:
    """Each run has a home of its own."""

    name = ""

    def __init__(self, host: Host) -> None:
        needed(self.name)
        self._host = host
        self._runs = itertools.count(1)
        self._homes: list[Path] = []

    def version(self) -> str:
        """Its number."""
        return self._host.run(self.name, "--version").stdout.split()[2]

    def forget(self) -> None:
        """Remove the homes, which have the images."""
        for home in self._homes:
            shutil.rmtree(home)
        self._homes.clear()

    def _start(self, way: Way, *arguments: str, home: Path | None = None) -> tuple[Program, Path]:
        """Start it; the text of its standard output is in ``out`` of the directory.

        :param home: of another run; ``None``: a new one.
        """
        home = home or self._home(way)
        command = ["env", *way.environment, f"HOME={home}", f"XDG_RUNTIME_DIR={home}"]
        command += [f"CONTAINERS_REGISTRIES_CONF={home}/registries.conf"]
        command += [self.name, *(part.format(home=home, name=home.name) for part in arguments)]
        return self._host.start(home.name, command, out=home / "out"), home

    def _home(self, way: Way) -> Path:
        home = self._host.directory(f"{self._host.name}-{self.name}-{next(self._runs)}")
        self._homes.append(home)
        (home / "auth.json").write_text(way.logins())
        (home / "policy.json").write_text(_POLICY)
        (home / "registries.conf").write_text(_rules(way))
        return home


def _rules(way: Way) -> str:
    netloc = way.site.netloc
    if way.mirror:
        own = _PLAIN.format(netloc=way.through, insecure="true")
        return own + _MIRROR.format(netloc=netloc, dead=DEAD, mirror=way.location)
    return _PLAIN.format(netloc=netloc, insecure=str(way.site.scheme == "http").lower())


class Skopeo(_Tool):
    """``skopeo copy`` into a directory."""

    name = "skopeo"

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """All of an index."""
        source = f"docker://{way.site.netloc}/{reference}"
        files = ("--policy", "{home}/policy.json", "--registries-conf", "{home}/registries.conf")
        logins = ("--src-authfile", "{home}/auth.json")
        program, home = self._start(way, *files, "copy", "--all", *logins, source, "dir:{home}/d")
        outcome = Outcome.of(program)
        if not outcome.good:
            return outcome
        manifest = hashlib.sha256((home / "d" / "manifest.json").read_bytes()).hexdigest()
        found = {path.name: sha256(path) for path in (home / "d").iterdir() if len(path.name) == 64}
        return outcome.checked(manifest, image.manifest.hex).checked(
            {blob.hex: found.get(blob.hex) for blob in image.layers},
            {blob.hex: blob.hex for blob in image.layers},
        )

    def push(self, way: Way, reference: str, cargo: Cargo) -> Outcome:
        """Push an image to ``repository:tag``."""
        files = ("--policy", "{home}/policy.json", "--registries-conf", "{home}/registries.conf")
        logins = ("--dest-authfile", "{home}/auth.json")
        images = (cargo.source, f"docker://{way.target}/{reference}")
        return Outcome.of(self._start(way, *files, "copy", *logins, *images)[0])


class _Storing(_Tool):
    """Those with a store; they print the id of the image, which is its configuration's digest."""

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """The image for this machine."""
        program, home = self._start(way, *self._doing("pull", f"{way.site.netloc}/{reference}"))
        outcome = Outcome.of(program)
        said = (home / "out").read_text().split()
        return outcome.checked(said[-1] if said else "", image.native.config.hex)

    def push(self, way: Way, reference: str, cargo: Cargo) -> Outcome:
        """Take an image into the store, and push it from there to ``repository:tag``."""
        program, home = self._start(way, *self._doing("pull", cargo.source))
        outcome = Outcome.of(program)
        if not outcome.good:
            return outcome
        image = (home / "out").read_text().split()[-1]
        pushing = self._doing("push", image, f"docker://{way.target}/{reference}")
        return Outcome.of(self._start(way, *pushing, home=home)[0])

    def _doing(self, verb: str, *images: str) -> list[str]:
        store = ["--root", "{home}/r", "--runroot", "/mnt/{name}", "--storage-driver", "vfs"]
        flags = ["--authfile", "{home}/auth.json", "--signature-policy", "{home}/policy.json"]
        return [*store, *self._own(), verb, *flags, *images]

    def _own(self) -> list[str]:
        return []


class Podman(_Storing):
    """``podman pull``."""

    name = "podman"

    def _own(self) -> list[str]:
        quiet = ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        return [*quiet, "--tmpdir", "{home}/t"]


class Buildah(_Storing):
    """``buildah pull``."""

    name = "buildah"
