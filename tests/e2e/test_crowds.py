"""Many engines at one dfdaemon at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.rig.cells import FULL, Cell
from tests.e2e.rig.files import MIB
from tests.e2e.rig.page import Results
from tests.e2e.rig.town import Town

CROWD = {"skopeo": 16, "podman": 8} if FULL else {"skopeo": 6}
SIZES = (24 * MIB, 8 * MIB, MIB) if FULL else (2 * MIB, MIB)
IMAGES = 4  # each is pulled by several at once, with different ones beside it


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", ["mirror", "intercept"] if FULL else ["mirror"])
def test_crowd(town: Town, results: Results, mode: str) -> None:
    """None of them fails, and each layer left the registry once."""
    host = town.user(f"crowd-{mode}")
    images = [town.gallery.fresh(*SIZES) for _ in range(IMAGES)]
    references = [town.put(image) for image in images]
    clients = list(Counter(CROWD).elements())
    for client in CROWD:
        host.daemon(Cell(client, "tls", mode)), host.engine(client)

    def pull(number: int) -> str:
        cell, which = Cell(clients[number], "tls", mode), number % IMAGES
        return host.again(cell, references[which], images[which]).why

    with ThreadPoolExecutor(len(clients)) as pool:
        wrong = [why for why in pool.map(pull, range(len(clients))) if why]
    crowd = ", ".join(f"{count} {client}" for client, count in CROWD.items())
    results.crowds[crowd, mode] = wrong[0] if wrong else "all arrive"
    assert wrong == []
    for layer in (layer for image in images for layer in image.layers):
        assert town.sites.sent(layer) < 2 * layer.size
