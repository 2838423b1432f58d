"""``dfdaemon setup``: engines with their own files in their own places come to dfdaemon.

The host's ``/etc`` is its own. The registry could be reached without dfdaemon,
so what counts is the access log; after ``--undo`` nothing more is in it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.rig.cells import Cell
from tests.e2e.rig.commands import dfdaemon
from tests.e2e.rig.images import Image
from tests.e2e.rig.sites import SITES
from tests.e2e.rig.town import Town

CELL = Cell("skopeo", "tls", "many")
NETLOC = SITES["tls"].netloc


class Machine:
    """A host on which dfdaemon runs, and ``dfdaemon setup``."""

    def __init__(self, town: Town, name: str) -> None:
        self._town = town
        user = town.user(name)
        self.host = user.host
        self.daemon = user.daemon(CELL)
        self.home = self.host.directory(f"{name}-home")

    def setup(self, *arguments: str) -> str:
        """Run it, and give what it says."""
        mirror = ("--mirror", self.daemon.url())
        words = [*dfdaemon(), "setup", *arguments]
        done = self.host.run(*words, *(() if "--undo" in arguments else mirror))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def image(self) -> tuple[str, Image]:
        """Something to pull."""
        image = self._town.gallery.fresh()
        return self._town.put(image), image

    def came(self, image: Image) -> bool:
        """Whether the layers were asked of dfdaemon."""
        return all(self.daemon.requests(layer.hex) for layer in image.layers)

    def run(self, *command: str) -> None:
        """Run an engine that ends by itself, with an empty home."""
        done = self.host.run("env", f"HOME={self.home}", *command, seconds=90)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def machine(shared_town: Town) -> Machine:
    """One for all tests: each engine has files of its own."""
    return Machine(shared_town, "set-up")


def needed(tool: str) -> None:
    """Skip the test where the engine is not installed."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: see tests/e2e/install-tools.sh")


@pytest.mark.usefixtures("town")
def test_podman(machine: Machine) -> None:
    """A drop-in of registries.conf; the registry's name with its port stands in the path."""
    needed("podman")
    machine.setup("podman", "--registry", NETLOC)
    store = ["--root", f"{machine.home}/r", "--runroot", "/mnt/r", "--storage-driver", "vfs"]
    for there in (True, False):
        reference, image = machine.image()
        quiet = ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        machine.run("podman", *store, *quiet, "pull", f"{NETLOC}/{reference}")
        assert machine.came(image) == there
        machine.setup("podman", "--undo")


@pytest.mark.usefixtures("town")
def test_containerd(machine: Machine) -> None:
    """hosts.toml for all registries, which are told apart by ``?ns=``."""
    needed("ctr")
    (machine.home / "config.toml").write_text("version = 2\n")
    machine.host.run("mkdir", "-p", "/etc/containerd")
    machine.host.run("cp", f"{machine.home}/config.toml", "/etc/containerd/config.toml")
    machine.setup("containerd")
    containerd = Plain(machine)
    for there in (True, False):
        reference, image = machine.image()
        containerd.pull(f"{NETLOC}/{reference}")
        assert machine.came(image) == there
        machine.setup("containerd", "--undo")


class Plain:
    """A containerd with the configuration that is in ``/etc``."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        work: Path = machine.home
        where = ["--root", f"{work}/root", "--state", f"{work}/state", "--address", f"{work}/s"]
        config = ["--config", "/etc/containerd/config.toml"]
        program = machine.host.start(f"{work.name}-c", ["containerd", *config, *where])
        ready = "containerd successfully booted"
        machine.host.wait_until(
            lambda: program.code is not None or ready in program.text(), "containerd"
        )

    def pull(self, reference: str) -> None:
        """As ``ctr`` does."""
        directory = ("--hosts-dir", "/etc/containerd/certs.d")
        address = f"{self._machine.home}/s"
        self._machine.run("ctr", "--address", address, "content", "fetch", *directory, reference)


@pytest.mark.usefixtures("town")
def test_docker(machine: Machine) -> None:
    """A mirror in daemon.json, which is for images of Docker Hub: here the mirror's own."""
    needed("dockerd")
    machine.setup("docker")
    work = machine.host.directory("set-docker")
    where = ["--data-root", f"{work}/r", "--exec-root", f"{work}/x", "--pidfile", f"{work}/p"]
    alone = ["--storage-driver", "vfs", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    program = machine.host.start(
        f"{work.name}-dockerd", ["dockerd", "--host", f"unix://{work}/s", *where, *alone]
    )
    machine.host.wait_until(
        lambda: program.code is not None or "API listen on" in program.text(), "dockerd"
    )
    assert program.code is None, program.text()
    reference, image = machine.image()
    machine.run("docker", "--host", f"unix://{work}/s", "pull", reference)
    assert machine.came(image)
    machine.setup("docker", "--undo")


def test_doctor(town: Town, machine: Machine) -> None:
    """It finds nothing wrong with a host that is set up, and pulls."""
    machine.setup("podman", "--registry", NETLOC)
    reference, _image = machine.image()
    config = machine.home / "dfdaemon.yml"  # JSON is YAML
    node = f"{town.network.address}:{town.supernode.http}"
    own = {"workHome": str(machine.daemon.home), "supernodes": [node]}
    config.write_text(json.dumps({**town.settings(CELL), **own}))
    words = [*dfdaemon(), "doctor", "--config", str(config)]
    done = machine.host.run(*words, "--image", f"{NETLOC}/{reference}", seconds=60)
    assert "FAIL" not in done.stdout, done.stdout + done.stderr
    assert "have the right digests" in done.stdout
