"""What engines notice when processes die in the middle of a pull: nothing.

skopeo never continues a body that broke off, so a pull by skopeo that succeeds got its bytes
in one answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.e2e.rig.containerd import Containerd
from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.disks import mounted
from tests.e2e.rig.files import MIB, sha256
from tests.e2e.rig.images import Image
from tests.e2e.rig.nginx import free_port
from tests.e2e.rig.scene import Scene, failed

SIZE = 12 * MIB
# Of each host that pulls: so the middle lasts a second or two.
RATE = "8M"
MIDDLE = SIZE // 4


@attrs.frozen(kw_only=True)
class Act:
    """An image that the first host has, and a second host that reads slowly."""

    depot: Depot
    image: Image
    slow: Dfdaemon

    @property
    def name(self) -> str:
        """Where the slow host has the image."""
        return f"{self.slow.netloc}/app:1"


@pytest.fixture
def act(scene: Scene) -> Act:
    """Everything runs, and the first host has pulled."""
    depot = Depot.made(scene, hosts=1)
    image = depot.layout.image(depot.layer(SIZE), tag="app")
    depot.skopeo.push(depot.layout, "app", f"{depot.registry.netloc}/app:1")
    depot.skopeo.pull(f"{depot.first.netloc}/app:1").right(image)
    slow = Dfdaemon(
        scene, "slow", depot.registry.url(), depot.supernode.node, flags=("--ratelimit", RATE)
    )
    return Act(depot=depot, image=image, slow=slow)


@pytest.mark.parametrize("who", ["supernode", "host", "both"])
def test_others_killed(act: Act, who: str) -> None:
    """The supernode, the host that has the image, or both: the pull succeeds all the same."""
    pull = act.depot.skopeo.pull(act.name)
    pull.until(MIDDLE)
    if who != "host":
        act.depot.supernode.kill()
    if who != "supernode":
        act.depot.first.kill()
    pull.right(act.image)
    took = act.depot.took(act.slow, act.image.layers[0])
    assert took["peers"] + took["cdn"] >= MIDDLE
    assert who != "both" or took["registry"] > 0


def test_registry_stopped(act: Act) -> None:
    """The layer is with others already: its answer ends well without the registry."""
    (layer,) = act.image.layers
    out = act.depot.scene.root / "curl-out"
    running = act.depot.curl.start(act.slow.url(f"/v2/app/blobs/{layer.digest}"), out)
    act.depot.scene.wait_until(
        lambda: out.exists() and out.stat().st_size > MIDDLE, "middle of the answer"
    )
    act.depot.registry.stop()
    assert running.code is None
    assert running.wait(30) == 0, running.text()
    assert sha256(out) == layer.hex
    act.depot.once(layer)


@attrs.frozen(kw_only=True)
class Still:
    """An image in a registry, and a supernode; no host yet."""

    depot: Depot
    image: Image

    def slow(self, name: str) -> Dfdaemon:
        """Start a host that reads slowly."""
        return self.host(name, self.depot.supernode.node, flags=("--ratelimit", RATE))

    def host(self, name: str, *nodes: str, flags: tuple[str, ...] = ()) -> Dfdaemon:
        """Start a host."""
        return Dfdaemon(self.depot.scene, name, self.depot.registry.url(), *nodes, flags=flags)


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Still:
    """One for all tests: they break no part of it."""
    depot = Depot.made(module_scene, hosts=0)
    image = depot.layout.image(depot.layer(SIZE), tag="app")
    depot.skopeo.push(depot.layout, "app", f"{depot.registry.netloc}/app:1")
    return Still(depot=depot, image=image)


@pytest.fixture
def still(made: Still, request: pytest.FixtureRequest) -> Iterator[Still]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.depot.scene.logs())


@pytest.mark.parametrize("named", [True, False], ids=["named", "not-named"])
def test_no_supernode(still: Still, *, named: bool) -> None:
    """It does not answer, or there is none: pulls work as without dfdaemon."""
    nodes = [f"127.0.0.1:{free_port()}"] if named else []
    host = still.host(f"no-{named}", *nodes)
    for _ in range(2):
        pull = still.depot.skopeo.pull(f"{host.netloc}/app:1")
        pull.right(still.image, seconds=20)
    assert all(line.sources["registry"] == line.sent for line in host.requests("/blobs/"))


@pytest.fixture
def small_disk(still: Still) -> Iterator[Path]:
    """A directory on a disk that the layer does not fit on."""
    yield from mounted(still.depot.scene.root / "small", f"size={SIZE // 4 // MIB}m")


def test_disk_full(still: Still, small_disk: Path) -> None:
    """The engine gets everything, although the peer cannot keep it."""
    node = still.depot.supernode.node
    host = still.host("d-full", node, flags=("--localrepo", str(small_disk)))
    still.depot.skopeo.pull(f"{host.netloc}/app:1").right(still.image)
    host.stop()


def test_engine_killed(still: Still) -> None:
    """ctr is killed and started again: it asks for the rest, gets 206, and the digest is right."""
    host, scene = still.slow("d-ctr"), still.depot.scene
    containerd = Containerd(scene, host.url(), still.depot.registry.url())
    killed = containerd.fetch("app:1")
    scene.wait_until(lambda: containerd.arriving() > MIDDLE, "middle of the pull")
    assert killed.code is None
    killed.kill()
    again = containerd.fetch("app:1", "--http-dump")
    assert again.wait(60) == 0
    (layer,) = still.image.layers
    assert containerd.has(still.image.manifest, layer)
    (begin,) = re.findall(r'msg="Range: bytes=(\d+)-"', again.text())
    assert 0 < int(begin) < layer.size
    assert f'msg="Content-Range: bytes {begin}-{layer.size - 1}/{layer.size}"' in again.text()
    assert "206 Partial Content" in again.text()


def test_dfdaemon_killed(still: Still) -> None:
    """curl goes on where it was, with another process of the same home, which kept its pieces."""
    host, scene = still.slow("d-curl"), still.depot.scene
    (layer,) = still.image.layers
    url, out = host.url(f"/v2/app/blobs/{layer.digest}"), scene.root / "curl-out"
    before = still.depot.registry.sent(layer)
    running = still.depot.curl.start(url, out)
    scene.wait_until(lambda: out.exists() and out.stat().st_size > MIDDLE, "middle of the answer")
    host.kill()
    assert running.wait() != 0
    host.start()
    assert still.depot.curl.start(url, out, "--continue-at", "-").wait(30) == 0
    assert sha256(out) == layer.hex
    scene.wait_until(
        lambda: [line for line in host.requests(layer.digest) if line.status == 206],
        "206 in the access log",
    )
    assert still.depot.registry.sent(layer) - before <= layer.size
