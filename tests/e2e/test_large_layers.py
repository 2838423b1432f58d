"""Layers of hundreds of megabytes, and of more than 31 bits can count, by every engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.rig.cells import CLIENTS, FULL, Cell
from tests.e2e.rig.files import MIB
from tests.e2e.rig.images import Image
from tests.e2e.rig.page import Results
from tests.e2e.rig.town import Town, User

pytestmark = [
    pytest.mark.skipif(not FULL, reason="only in the full run: DRAGONFLY_COMPAT=full"),
    pytest.mark.timeout(600),
]

SIZES = {"300 MiB": 300 * MIB, "2048 MiB": 2048 * MIB}
FIRST = ("dockerd", "docker build", "BuildKit", "skopeo")
"""Clients of one host; the others are on a second one."""


@pytest.fixture(scope="module")
def hosts(shared_town: Town) -> tuple[User, User]:
    """What one has comes from its peer or its own store after the first pull."""
    return shared_town.user("large-1"), shared_town.user("large-2")


@pytest.fixture(scope="module")
def large(shared_town: Town) -> Callable[[int], tuple[str, Image]]:
    """One image of each size for all: making it, and keeping it, costs too much otherwise."""
    made: dict[int, tuple[str, Image]] = {}

    def image(size: int) -> tuple[str, Image]:
        if size not in made:
            image = shared_town.gallery.fresh(size)
            made[size] = shared_town.put(image), image
        return made[size]

    return image


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("size", SIZES)
def test_large_layer(
    hosts: tuple[User, User],
    large: Callable[[int], tuple[str, Image]],
    results: Results,
    size: str,
    client: str,
) -> None:
    """It comes by the swarm, and is unpacked by those that do.

    What the client had is removed afterwards: the disk would not do for all.
    """
    reference, image = large(SIZES[size])
    (layer,) = image.layers
    host = hosts[client not in FIRST]
    cell = Cell(client, "tls", "mirror")
    before = len(host.daemon(cell).requests(layer.hex))
    outcome = host.again(cell, reference, image)
    host.engine(client).forget()
    results.kinds[f"a layer of {size}", client] = outcome.why or "swarm"
    assert outcome.good, outcome.why
    lines = host.daemon(cell).requests(layer.hex)[before:]
    assert {line.route for line in lines if line.sent} == {"swarm"}


@pytest.mark.parametrize("size", SIZES)
def test_large_layer_left_once(
    town: Town, large: Callable[[int], tuple[str, Image]], size: str
) -> None:
    """A host that the swarm feeds too slowly, as this machine's disk may make it, asks the
    registry for parts of it: but not for all."""
    (layer,) = large(SIZES[size])[1].layers
    assert layer.size <= town.sites.sent(layer) < 2 * layer.size
