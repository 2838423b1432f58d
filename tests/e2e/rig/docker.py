"""dockerd with directories of its own; it is asked to pull and to build."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

from tests.e2e.rig.cargo import Cargo
from tests.e2e.rig.images import Image
from tests.e2e.rig.network import Host
from tests.e2e.rig.registry import needed
from tests.e2e.rig.scene import Program
from tests.e2e.rig.sites import SITES
from tests.e2e.rig.way import Outcome, Way

__all__ = ["Build", "Docker", "Dockerd"]

_HUB = "https://index.docker.io/v1/"
_DEBIAN = "/usr/bin/docker"  # another one may come first on the path

_STARTING = threading.Lock()  # tests ask several clients at once


class Docker:
    """One dockerd, which does the HTTP, set up for one way."""

    def __init__(self, host: Host, name: str, way: Way) -> None:
        needed("dockerd", "docker")
        self._host = host
        self._work = host.directory(name)
        self._name = name
        self._runs = itertools.count(1)
        self._write(way)
        self._start(way)

    def run(self, way: Way, *arguments: str, environment: tuple[str, ...] = ()) -> Outcome:
        """Run the command line client to its end."""
        return Outcome.of(self._client(way, arguments, environment)[0])

    def prune(self) -> None:
        """Remove all images, and what builds keep."""
        client = _DEBIAN if Path(_DEBIAN).exists() else "docker"
        where = ("--host", f"unix://{self._work}/s")
        done = self._host.run(client, *where, "system", "prune", "--all", "--force", seconds=90)
        assert done.returncode == 0, done.stderr

    def told(self, way: Way, *arguments: str) -> str:
        """What the command line client prints to standard output."""
        program, out = self._client(way, arguments, ())
        program.wait()
        return out.read_text().strip()

    def _client(
        self, way: Way, arguments: tuple[str, ...], environment: tuple[str, ...]
    ) -> tuple[Program, Path]:
        config = self._host.directory(f"{self._name}-cli-{next(self._runs)}")
        (config / "config.json").write_text(way.logins(_HUB))
        client = _DEBIAN if Path(_DEBIAN).exists() else "docker"
        command = ["env", *way.environment, *environment, client, "--config", str(config)]
        command += ["--host", f"unix://{self._work}/s", *arguments]
        return self._host.start(config.name, command, out=config / "out"), config / "out"

    def _start(self, way: Way) -> None:
        work = self._work
        command = ["env", *way.environment, "dockerd", "--config-file", str(work / "daemon.json")]
        command += [
            "--data-root",
            f"{work}/r",
            "--exec-root",
            f"{work}/x",
            "--pidfile",
            f"{work}/p",
        ]
        command += ["--host", f"unix://{work}/s", "--storage-driver", "vfs", "--bridge=none"]
        command += ["--iptables=false", "--ip6tables=false"]
        program = self._host.start(self._name, command)
        ready = "API listen on"
        self._host.wait_until(
            lambda: program.code is not None or ready in program.text(), "dockerd"
        )
        assert program.code is None, f"dockerd ended\n{program.text()}"

    def _write(self, way: Way) -> None:
        plain = [site.netloc for site in SITES.values() if site.scheme == "http"]
        settings: dict[str, list[str]] = {"insecure-registries": plain}
        if way.mirror:
            settings["registry-mirrors"] = [f"http://{way.through}"]
        (self._work / "daemon.json").write_text(json.dumps(settings))


class _Asking:
    """One dockerd for each dfdaemon: BuildKit keeps the mirrors that it began with."""

    name = ""

    def __init__(self, host: Host, dockers: dict[tuple[str, str], Docker] | None = None) -> None:
        needed("dockerd", "docker")
        self._host = host
        self.dockers = dockers if dockers is not None else {}

    def version(self) -> str:
        """dockerd's."""
        return self._host.run("dockerd", "--version").stdout.split()[2].rstrip(",")

    def forget(self) -> None:
        """Remove images and what builds keep."""
        for docker in self.dockers.values():
            docker.prune()

    def _for(self, way: Way) -> Docker:
        key = (way.mode, way.through)
        with _STARTING:
            if key not in self.dockers:
                name = f"{self._host.name}-dk{len(self.dockers)}"
                self.dockers[key] = Docker(self._host, name, way)
        return self.dockers[key]


class Dockerd(_Asking):
    """``docker pull``."""

    name = "dockerd"

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """The image for this machine."""
        docker = self._for(way)
        named = _named(way, reference)
        outcome = docker.run(way, "pull", "--quiet", named)
        if not outcome.good:
            return outcome
        found = docker.told(way, "image", "inspect", "--format", "{{.Id}}", named)
        return outcome.checked(found, image.native.config.digest)

    def push(self, way: Way, reference: str, cargo: Cargo) -> Outcome:
        """Make an image of the same files, and push it to ``repository:tag``."""
        docker = self._for(way)
        named = f"{way.target}/{reference}"
        context = self._host.directory(f"{self._host.name}-{reference.replace('/', '-')}")
        (context / "layer.tar.gz").hardlink_to(cargo.layer)
        (context / "Dockerfile").write_text("FROM scratch\nADD layer.tar.gz /\n")
        made = docker.run(way, "build", "--quiet", "--tag", named, str(context))
        return docker.run(way, "push", "--quiet", named) if made.good else made


class Build(_Asking):
    """``docker build`` of a file with two lines.

    :param kit: by BuildKit, which has a resolver of its own.
    """

    def __init__(self, host: Host, dockers: dict[tuple[str, str], Docker], *, kit: bool) -> None:
        super().__init__(host, dockers)
        self.name = "BuildKit" if kit else "docker build"
        self._kit = int(kit)
        self._flags = (f"DOCKER_BUILDKIT={self._kit}",)
        self._runs = itertools.count(1)

    def pull(self, way: Way, reference: str, image: Image) -> Outcome:
        """The layers of what was built are those of the image."""
        docker = self._for(way)
        context = self._context(way, reference)
        tag = f"{context.name}:1"
        arguments = ("build", "--pull", "--tag", tag, str(context))
        outcome = docker.run(way, *arguments, environment=self._flags)
        if not outcome.good:
            return outcome
        found = docker.told(way, "image", "inspect", "--format", "{{json .RootFS.Layers}}", tag)
        return outcome.checked(json.loads(found), [blob.diff for blob in image.native.layers])

    def _context(self, way: Way, reference: str) -> Path:
        context = self._host.directory(f"{self._host.name}-build{self._kit}-{next(self._runs)}")
        (context / "Dockerfile").write_text(f"FROM {_named(way, reference)}\nLABEL made=here\n")
        return context


def _named(way: Way, reference: str) -> str:
    """Mirrors are for Docker Hub only, so there the image is one of the hub's."""
    return reference if way.mirror else f"{way.site.netloc}/{reference}"
