"""``dfdaemon setup`` as it is typed, and engines that read what it wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.commands import run
from tests.e2e.rig.containerd import Containerd
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.files import MIB
from tests.e2e.rig.scene import Scene, failed

COMMAND = "import sys; from dragonfly.taps.dfdaemon import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Depot:
    """One host; each test pulls an image of its own."""
    return Depot.made(module_scene, hosts=1)


@pytest.fixture
def depot(made: Depot, request: pytest.FixtureRequest) -> Iterator[Depot]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.scene.logs())


def dfdaemon(*arguments: str) -> str:
    """Run a command of dfdaemon that ends by itself, without errors."""
    done = run(sys.executable, "-c", COMMAND, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def set_up(depot: Depot, engine: str, root: Path) -> None:
    """Point an engine at the host's dfdaemon, for the registry that it mirrors."""
    registry = depot.registry.url()
    config = root / "etc/dragonfly/dfdaemon.yml"
    config.parent.mkdir(parents=True)
    settings = {"registry_mirror": {"remote": registry}, "workHome": str(depot.first.home)}
    config.write_text(json.dumps({**settings, "port": 0, "peerPort": 0, "statusPort": 0}))
    flags = ("--registry", registry, "--mirror", depot.first.url(), "--root", str(root))
    dfdaemon("setup", engine, *flags)


def test_ctr(depot: Depot, tmp_path: Path) -> None:
    """hosts.toml leads containerd's client to dfdaemon, with a port in the registry's name."""
    image = depot.layout.image(depot.layer(MIB), tag="ctr")
    depot.skopeo.push(depot.layout, "ctr", f"{depot.registry.netloc}/ctr:1")
    set_up(depot, "containerd", tmp_path)
    containerd = Containerd(depot.scene, "http://127.0.0.1:9", "c-setup")
    rules = str(tmp_path / "etc/containerd/certs.d")
    reference = f"{depot.registry.netloc}/ctr:1"
    assert containerd.ctr("content", "fetch", "--hosts-dir", rules, reference).wait(60) == 0
    assert containerd.has(image.manifest, *image.layers)
    assert depot.took(depot.first, image.layers[0]).total() == image.layers[0].size


def test_skopeo(depot: Depot, tmp_path: Path) -> None:
    """The drop-in leads the containers/image family there."""
    image = depot.layout.image(depot.layer(MIB), tag="skopeo")
    depot.skopeo.push(depot.layout, "skopeo", f"{depot.registry.netloc}/skopeo:1")
    set_up(depot, "podman", tmp_path)
    drop_in = tmp_path / "etc/containers/registries.conf.d/50-dragonfly.conf"
    depot.skopeo.pull(f"{depot.registry.netloc}/skopeo:1", settings=drop_in).right(image)
    assert depot.took(depot.first, image.layers[0]).total() == image.layers[0].size
    image = f"{depot.registry.url()}/skopeo:1"
    said = dfdaemon("doctor", "--root", str(tmp_path), "--image", image)
    assert f"podman/crio: come to dfdaemon for {depot.registry.netloc}" in said
    assert "have the right digests, from cache=" in said
