"""Real engines, real registries, every mode: each pull by digest, and none of them around us.

``DRAGONFLY_COMPAT=full`` runs all cells, and writes ``doc/compatibility.rst`` if
``DRAGONFLY_COMPAT_PAGE`` names it; without, a slice of a few seconds.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest

from tests.e2e.rig.cells import CLIENTS, FULL, Cell, chosen
from tests.e2e.rig.images import Blob, Image
from tests.e2e.rig.page import Results
from tests.e2e.rig.town import Town, User

WHOLE = ("skopeo", "ctr")
"""Clients that take whole indexes and what is no image."""

PAIRS = {
    "mirror": ("tls", ("ctr", "podman")),
    "many": ("bearer", ("CRI", "ctr")),
    "proxy": ("http", ("skopeo", "dockerd")),
    "intercept": ("signed", ("buildah", "CRI")),
}
"""For each mode a registry, and the clients of two hosts."""

BRIEF = ("mirror", "intercept")
"""The modes of those that the slice does."""

NOBODY = re.compile("refused|name resolution")
"""What clients say where nobody listens, and where docker then asks for its hub."""


HOSTS = 2
"""That pull one image, at most."""


@pytest.mark.parametrize("cell", chosen(), ids=str)
def test_cell(town: Town, user: User, results: Results, cell: Cell) -> None:
    """The client gets what the registry has, in the way that the mode promises."""
    if cell.impossible:
        pytest.skip(cell.impossible)
    image = town.gallery.fresh()
    outcome = user.pull(cell, image)
    took = {user.took(cell, layer) for layer in image.layers}
    results.cells[cell] = outcome.why or ",".join(sorted(took))
    results.versions.setdefault(cell.client, user.engine(cell.client).version())
    assert outcome.good, outcome.why
    assert took <= set(cell.expected)
    if took == {"swarm"}:
        for layer in image.layers:
            town.scene.wait_until(lambda layer=layer: town.sites.sent(layer), "copy")  # type: ignore[misc]
            assert_one_copy(town, layer)


@pytest.mark.parametrize("mode", ["mirror", "proxy"])
def test_nothing_goes_around(town: Town, user: User, mode: str) -> None:
    """With nobody where dfdaemon should be, each client fails: else the rest proves nothing."""
    patient = () if FULL else ("podman", "buildah")  # they try again for seconds
    outcomes = user.astray([Cell(name, "tls", mode) for name in CLIENTS if name not in patient])
    assert [str(cell) for cell, outcome in outcomes.items() if outcome.good] == []
    other = {str(cell): o.why for cell, o in outcomes.items() if not NOBODY.search(o.why)}
    assert other == {}


KINDS: dict[str, Callable[[Town], Image]] = {
    "index of two architectures": lambda town: town.gallery.several(),
    "schema 2": lambda town: town.gallery.schema2(),
    "30 layers": lambda town: town.gallery.many(),
    "a layer without files": lambda town: town.gallery.empty(),
    "zstd": lambda town: town.gallery.zstd(),
    "foreign layer": lambda town: town.foreign(),
    "artifact": lambda town: town.gallery.artifact(),
}

NOT_FOR = (
    {("artifact", client): "it is no image" for client in CLIENTS if client not in WHOLE}
    | {
        ("zstd", client): "docker 20.10 does not know the packing"
        for client in ("dockerd", "docker build", "BuildKit")
    }
    | {
        ("foreign layer", client): "on Linux docker 20.10 asks the registry for it"
        for client in ("dockerd", "docker build")
    }
)


def kinds() -> list[tuple[str, str]]:
    """What this run does: everything, or each kind with one client."""
    if FULL:
        return [(kind, client) for kind in KINDS for client in CLIENTS]
    return list(zip(KINDS, itertools.cycle(WHOLE), strict=False))


@pytest.mark.parametrize(("kind", "client"), kinds())
def test_kind(town: Town, user: User, results: Results, kind: str, client: str) -> None:
    """Images of all kinds come by the swarm."""
    if (kind, client) in NOT_FOR:
        results.kinds[kind, client] = NOT_FOR[kind, client]
        pytest.skip(NOT_FOR[kind, client])
    cell = Cell(client, "tls", "mirror")
    image = KINDS[kind](town)
    outcome = user.pull(cell, image)
    wanted = image.layers if client in WHOLE else image.native.layers
    results.kinds[kind, client] = outcome.why or "swarm"
    assert outcome.good, outcome.why
    assert {user.took(cell, layer) for layer in wanted if not layer.url} == {"swarm"}


def test_name_of_many_parts(town: Town, user: User) -> None:
    """Slashes in a repository's name are part of it."""
    image = town.gallery.fresh()
    reference = town.put(image, "a/b/c/d/e/f")
    outcome = user.again(Cell("ctr", "tls", "mirror"), reference, image)
    assert outcome.good, outcome.why


def assert_one_copy(town: Town, layer: Blob) -> None:
    """All of it left the storage once; besides, each host may have asked for a byte to see
    whether its client is let in."""
    assert layer.size <= town.sites.sent(layer) <= layer.size + HOSTS


def test_layer_in_two_images(town: Town, user: User) -> None:
    """It leaves the registry once."""
    cell = Cell("skopeo", "tls", "mirror")
    first, second = town.gallery.pair()
    for image in (first, second):
        outcome = user.pull(cell, image)
        assert outcome.good, outcome.why
    assert_one_copy(town, first.layers[0])


@pytest.mark.parametrize("mode", [mode for mode in PAIRS if FULL or mode in BRIEF])
def test_second_host(town: Town, user: User, mode: str) -> None:
    """What one host has comes to another by the swarm: one copy left the registry."""
    site, clients = PAIRS[mode]
    other = town.user(f"two-{mode}")
    image = town.gallery.fresh()
    reference = town.put(image)
    for host, client in zip((user, other), clients, strict=True):
        outcome = host.again(Cell(client, site, mode), reference, image)
        assert outcome.good, outcome.why
    for layer in image.layers:
        assert_one_copy(town, layer)
        (line,) = other.daemon(Cell(clients[1], site, mode)).requests(layer.hex)
        assert line.sources["peers"] + line.sources["cdn"] == layer.size
