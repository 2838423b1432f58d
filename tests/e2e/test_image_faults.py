"""Registries that give wrong bytes, or too few: no engine gets them as if they were right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import attrs
import pytest

from tests.e2e.rig.curl import Curl
from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.files import MIB, random_file
from tests.e2e.rig.images import Blob
from tests.e2e.rig.scene import Scene, failed
from tests.e2e.rig.stage import Stage

SIZE = 3 * MIB
# curl: a body that broke off, with and without a length; a reset.
BROKEN_OFF = (18, 56)


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


def test_corrupt_blob(depot: Depot) -> None:
    """The pull fails, as it does without dfdaemon; when the registry is repaired it succeeds."""
    image = depot.layout.image(depot.layer(SIZE), tag="corrupt")
    depot.skopeo.push(depot.layout, "corrupt", f"{depot.registry.netloc}/corrupt:1")
    (layer,) = image.layers
    depot.registry.storage.corrupt(layer)
    assert (
        "Digest did not match" in depot.skopeo.pull(f"{depot.registry.netloc}/corrupt:1").failed()
    )
    depot.skopeo.pull(f"{depot.first.netloc}/corrupt:1").failed()
    _never_whole(depot, depot.second, layer)
    depot.registry.storage.corrupt(layer)
    for host in depot.hosts:
        depot.skopeo.pull(f"{host.netloc}/corrupt:1").right(image)


def test_corrupt_blob_without_a_supernode(depot: Depot) -> None:
    """The same, when everything comes from the registry."""
    layer = depot.layer(SIZE)
    image = depot.layout.image(layer, tag="alone")
    depot.skopeo.push(depot.layout, "alone", f"{depot.registry.netloc}/corrupt:alone")
    host = Dfdaemon(depot.scene, "alone", depot.registry.url())
    depot.registry.storage.corrupt(layer)
    _never_whole(depot, host, layer)
    depot.registry.storage.corrupt(layer)
    depot.skopeo.pull(f"{host.netloc}/corrupt:alone").right(image)


def _never_whole(depot: Depot, host: Dfdaemon, layer: Blob) -> None:
    answer = depot.curl.get(host.url(f"/v2/corrupt/blobs/{layer.digest}"))
    assert answer.code in BROKEN_OFF or answer.status >= 500


@attrs.frozen(kw_only=True)
class Odd:
    """A registry with bad manners, and a dfdaemon with or without a supernode before it."""

    stage: Stage
    host: Dfdaemon
    curl: Curl
    swarm: bool

    def blob(self, name: str) -> str:
        """Put a blob there; give the end of its path."""
        new = self.stage.odd.files / f"{name}-new"
        digest = random_file(new, SIZE)
        blobs = self.stage.odd.files / name / "blobs"
        blobs.mkdir(parents=True)
        new.rename(blobs / f"sha256:{digest}")
        return f"{name}/blobs/sha256:{digest}"


@pytest.fixture(scope="module", params=["swarm", "alone"])
def odd(shared_stage: Stage, request: pytest.FixtureRequest) -> Iterator[Odd]:
    """A dfdaemon of its own on the stage that all share."""
    scene = shared_stage.scene
    swarm = request.param == "swarm"
    nodes = [shared_stage.supernode.node] if swarm else []
    host = Dfdaemon(scene, f"odd-{request.param}", shared_stage.odd.url(""), *nodes)
    yield Odd(stage=shared_stage, host=host, curl=Curl(scene), swarm=swarm)
    host.stop()


@pytest.mark.parametrize("manner", ["chunked", "closing", "long"])
def test_odd_but_honest_registries_serve(odd: Odd, stage: Stage, manner: str) -> None:
    """No length, or more than was announced: the blob is right."""
    path = odd.blob(f"{manner}-{odd.host.home.name}")
    answer = odd.curl.get(odd.host.url(f"/v2/{manner}/{path}"))
    assert (answer.code, answer.status) == (0, 200)
    assert path.endswith(hashlib.sha256(answer.body).hexdigest())


def test_answers_that_break_off(odd: Odd, stage: Stage) -> None:
    """The swarm continues them with ranges; without it the client sees what the registry does."""
    path = odd.blob(f"cut-{odd.host.home.name}")
    answer = odd.curl.get(odd.host.url(f"/v2/cut/{path}"))
    whole = path.endswith(hashlib.sha256(answer.body).hexdigest())
    assert (answer.code == 0) == whole
    assert whole == odd.swarm


def test_registry_that_never_finishes(odd: Odd, stage: Stage) -> None:
    """Half of what was announced each time: the connection is cut, not ended."""
    path = odd.blob(f"short-{odd.host.home.name}")
    answer = odd.curl.get(odd.host.url(f"/v2/short/{path}"), seconds=60)
    assert answer.code in BROKEN_OFF, answer.code
    assert len(answer.body) < SIZE


def test_registry_that_answers_another_range(odd: Odd, stage: Stage) -> None:
    """Nonsense for a range is not taken for the bytes that were asked for."""
    path = odd.blob(f"bad-range-{odd.host.home.name}")
    answer = odd.curl.get(odd.host.url(f"/v2/bad-range/{path}"), seconds=60)
    assert answer.code in BROKEN_OFF, answer.code


def test_registry_that_is_not_there(depot: Depot) -> None:
    """502 at once, which makes an engine ask elsewhere."""
    host = Dfdaemon(depot.scene, "nowhere", "http://127.0.0.1:1")
    answer = depot.curl.get(host.url(f"/v2/app/blobs/sha256:{'0' * 64}"), seconds=5)
    assert answer.status == 502
