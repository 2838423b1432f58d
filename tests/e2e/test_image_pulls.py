"""The main job of dfdaemon: images for two hosts, one copy of each layer from the registry.

The engines are skopeo, and ``ctr`` with a containerd of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rig.containerd import Containerd
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.files import MIB, sha256
from tests.e2e.rig.home import Home
from tests.e2e.rig.images import Blob
from tests.e2e.rig.registry import Registry
from tests.e2e.rig.scene import Scene, failed

BIG = 300 * MIB
MIDDLING = 40 * MIB
SMALL = 3 * MIB


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Depot:
    """One for all tests: each has images of its own."""
    return Depot.made(module_scene)


@pytest.fixture
def depot(made: Depot, request: pytest.FixtureRequest) -> Iterator[Depot]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.scene.logs())


def test_one_after_the_other(depot: Depot) -> None:
    """300 MB by skopeo on one host, then by ctr on the other, which costs the registry nothing."""
    image = depot.layout.image(depot.layer(BIG), depot.layer(SMALL), tag="big")
    depot.skopeo.push(depot.layout, "big", f"{depot.registry.netloc}/big:1")
    pull = depot.skopeo.pull(f"{depot.first.netloc}/big:1").right(image)
    assert pull.manifest == image.manifest.hex
    for layer in image.layers:
        depot.once(layer)
    containerd = Containerd(depot.scene, depot.second.url(), depot.registry.url())
    assert containerd.fetch("big:1").wait(60) == 0
    assert containerd.has(image.manifest, *image.layers)
    for layer in image.layers:
        depot.once(layer)
        took = depot.took(depot.second, layer)
        assert took["peers"] + took["cdn"] == layer.size
    assert depot.took(depot.second, image.layers[0])["peers"] > 0


def test_both_at_once(depot: Depot) -> None:
    """Two engines on two hosts start together: one copy all the same."""
    image = depot.layout.image(depot.layer(MIDDLING), depot.layer(SMALL), tag="both")
    depot.skopeo.push(depot.layout, "both", f"{depot.registry.netloc}/both:1")
    containerd = Containerd(depot.scene, depot.second.url(), depot.registry.url(), "c-both")
    pull = depot.skopeo.pull(f"{depot.first.netloc}/both:1")
    fetch = containerd.fetch("both:1")
    pull.right(image)
    assert fetch.wait(60) == 0
    assert containerd.has(image.manifest, *image.layers)
    for layer in image.layers:
        depot.once(layer)


def test_unpacked(depot: Depot) -> None:
    """``ctr images pull`` unpacks what came, with the native snapshotter."""
    image = depot.layout.image(depot.layer(SMALL), tag="unpacked")
    depot.skopeo.push(depot.layout, "unpacked", f"{depot.registry.netloc}/unpacked:1")
    containerd = Containerd(depot.scene, depot.first.url(), depot.registry.url(), "c-unpacked")
    program = containerd.pull("unpacked:1")
    if program.wait(60) != 0 and "operation not permitted" in program.text():
        pytest.skip("no mounts here: the native snapshotter needs them")
    assert program.code == 0, program.text()
    assert containerd.has(image.manifest, *image.layers)


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_names_and_forms(depot: Depot, form: str) -> None:
    """A name of several parts; OCI and schema 2 manifests arrive as the registry has them."""
    image = depot.layout.image(depot.layer(SMALL), tag=f"form-{form}")
    name = f"team/sub/app-{form}:1"
    depot.skopeo.push(
        depot.layout, f"form-{form}", f"{depot.registry.netloc}/{name}", "--format", form
    )
    native = depot.skopeo.pull(f"{depot.registry.netloc}/{name}").right(image)
    for host in (depot.first, depot.second):
        pull = depot.skopeo.pull(f"{host.netloc}/{name}").right(image)
        assert pull.manifest == native.manifest
    assert (native.manifest == image.manifest.hex) == (form == "oci")


def test_several_architectures(depot: Depot) -> None:
    """All manifests and layers of an index come, and the index itself is untouched."""
    images = [
        depot.layout.image(depot.layer(SMALL), architecture=name) for name in ("amd64", "arm64")
    ]
    index = depot.layout.index(*images, tag="index")
    depot.skopeo.push(depot.layout, "index", f"{depot.registry.netloc}/multi/arch:1")
    pull = depot.skopeo.pull(f"{depot.first.netloc}/multi/arch:1", "--all").right(index)
    assert pull.manifest == index.manifest.hex
    containerd = Containerd(depot.scene, depot.second.url(), depot.registry.url(), "c-index")
    assert containerd.fetch("multi/arch:1", "--all-platforms").wait(60) == 0
    assert containerd.has(index.manifest, *(image.manifest for image in images), *index.layers)
    for layer in index.layers:
        depot.once(layer)


def test_a_layer_in_two_repositories(depot: Depot) -> None:
    """It is the same content: it leaves the registry once."""
    shared = depot.layer(MIDDLING)
    image = depot.layout.image(shared, tag="shared")
    for name in ("one/app:1", "two/app:1"):
        depot.skopeo.push(depot.layout, "shared", f"{depot.registry.netloc}/{name}")
    depot.skopeo.pull(f"{depot.first.netloc}/one/app:1").right(image)
    depot.skopeo.pull(f"{depot.first.netloc}/two/app:1").right(image)
    assert depot.took(depot.first, shared)["cache"] >= shared.size
    depot.skopeo.pull(f"{depot.second.netloc}/two/app:1").right(image)
    depot.once(shared)


def test_a_registry_that_is_a_cache(depot: Depot) -> None:
    """docker-registry as a pull-through cache reads from dfdaemon as from any registry."""
    image = depot.layout.image(depot.layer(SMALL), tag="cached")
    depot.skopeo.push(depot.layout, "cached", f"{depot.registry.netloc}/deep/cached:1")
    cache = Registry(depot.scene, "cache", upstream=depot.first.url())
    depot.skopeo.pull(f"{cache.netloc}/deep/cached:1").right(image)
    depot.skopeo.pull(f"{depot.second.netloc}/deep/cached:1").right(image)
    for layer in image.layers:
        depot.once(layer)


def test_mirror_of_a_named_registry(depot: Depot) -> None:
    """As an engine is configured: the image keeps the registry's name, the mirror answers.

    The engine tries TLS first on such a mirror.
    """
    image = depot.layout.image(depot.layer(SMALL), tag="named")
    depot.skopeo.push(depot.layout, "named", f"{depot.registry.netloc}/library/app:1")
    settings = depot.skopeo.mirror("registry.test", depot.first.netloc)
    depot.skopeo.pull("registry.test/library/app:1", settings=settings).right(image, seconds=20)


def test_push_through_dfdaemon(depot: Depot) -> None:
    """An engine that pushes to the mirror reaches the registry: POST, PATCH in chunks, PUT."""
    image = depot.layout.image(depot.layer(MIDDLING), depot.layer(SMALL), tag="pushed")
    depot.skopeo.push(depot.layout, "pushed", f"{depot.first.netloc}/pushed/app:1")
    methods = {line.method for line in depot.registry.lines() if "/pushed/app/" in line.path}
    assert {"POST", "PATCH", "PUT"} <= methods
    native = depot.skopeo.pull(f"{depot.registry.netloc}/pushed/app:1").right(image)
    assert native.manifest == image.manifest.hex


def test_dfget_uses_the_same_peer(depot: Depot) -> None:
    """dfget with the home of a dfdaemon starts no process, and finds what is there."""
    layer = depot.layer(SMALL)
    depot.layout.image(layer, tag="dfget")
    depot.skopeo.push(depot.layout, "dfget", f"{depot.registry.netloc}/dfget:1")
    home = Home(depot.scene, depot.first.home.name, depot.supernode.node)
    assert home.pid == depot.first.program.pid
    _pull_blob(depot, layer)
    out = depot.scene.root / "dfget-out"
    url = depot.registry.url(f"/v2/dfget/blobs/{layer.digest}")
    done = home.get(url, "-o", out, "--digest", layer.digest).succeeded()
    assert sha256(out) == layer.hex
    assert "here already" in done.text
    assert home.pid == depot.first.program.pid
    depot.once(layer)


def _pull_blob(depot: Depot, layer: Blob) -> None:
    answer = depot.curl.get(depot.first.url(f"/v2/dfget/blobs/{layer.digest}"))
    assert (answer.code, answer.status, len(answer.body)) == (0, 200, layer.size)
