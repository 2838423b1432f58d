"""Engines push images through dfdaemon, which passes on what they send."""

from __future__ import annotations

import re

import pytest

from tests.e2e.rig.backpressure import held_up
from tests.e2e.rig.cells import FULL, Cell
from tests.e2e.rig.files import MIB
from tests.e2e.rig.page import Results
from tests.e2e.rig.town import Town, User
from tests.e2e.rig.way import DEAD

PUSHERS = ("skopeo", "podman", "buildah", "ctr", "dockerd")
"""ctr sends a blob as one body of a known length, the others in chunks."""

BY_PATH = ("skopeo", "podman", "buildah")
"""They push to a mirror of several registries, too, by naming one in the path."""

SLICE = (
    Cell("skopeo", "bearer", "intercept"),
    Cell("skopeo", "http", "proxy"),
    Cell("skopeo", "htpasswd", "proxy"),
    Cell("dockerd", "http", "proxy"),
    Cell("dockerd", "htpasswd", "intercept"),
    Cell("ctr", "bearer", "intercept"),
    Cell("ctr", "http", "mirror"),
    Cell("podman", "http", "proxy"),
    Cell("skopeo", "bearer", "many"),
    Cell("buildah", "htpasswd", "many"),
)

WAYS = (("http", "mirror"), ("http", "proxy"), ("htpasswd", "proxy"), ("bearer", "intercept"))


def chosen() -> list[Cell]:
    """What this run does."""
    every = [Cell(name, site, mode) for name in PUSHERS for site, mode in WAYS]
    every += [Cell(name, site, "many") for name in BY_PATH for site in ("bearer", "htpasswd")]
    return [*SLICE, *(cell for cell in every if cell not in SLICE)] if FULL else list(SLICE)


@pytest.mark.parametrize("cell", chosen(), ids=str)
def test_push(user: User, results: Results, cell: Cell) -> None:
    """What an engine sends goes through as it is, to a registry that may ask who it is."""
    name = f"pushed/{cell}".lower()
    outcome = user.push(cell, f"{name}:1")
    results.pushes[cell, 1] = outcome.why or "arrives"
    assert outcome.good, outcome.why
    if "swarm" in cell.expected:
        methods = {line.method for line in user.daemon(cell).requests(f"/{name}/")}
        assert methods >= {"POST", "PUT"}
        # The registry's absolute URL for the upload leads back through dfdaemon, too.
        assert ("PATCH" in methods) == (cell.client != "ctr")


LARGE = 300 * MIB


@pytest.mark.skipif(not FULL, reason="only in the full run: DRAGONFLY_COMPAT=full")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("site", "mode"), [("http", "proxy"), ("tls", "intercept")])
@pytest.mark.parametrize("client", PUSHERS)
def test_large_push(
    town: Town, user: User, results: Results, client: str, site: str, mode: str
) -> None:
    """dfdaemon keeps nothing of it while the registry does not read, in memory or on disks."""
    cell, name = Cell(client, site, mode), f"large/{client}-{mode}"
    outcome, footprint = held_up(
        lambda: user.push(cell, f"{name}:1", LARGE),
        through=user.daemon(cell),
        on=user.host,
        to=town.sites.programs[site],
        arriving=lambda: town.sites.storage.uploading(name),
    )
    results.pushes[cell, LARGE // MIB] = outcome.why or "arrives"
    assert outcome.good, outcome.why
    footprint.check()


TELLING = tuple(name for name in PUSHERS if name != "ctr")
"""Of ctr 1.6 the upload and the answer to it race: it says something else or hangs, natively."""


@pytest.mark.parametrize("client", TELLING if FULL else TELLING[:1])
def test_layer_too_large(user: User, results: Results, client: str) -> None:
    """nginx before a registry says 413 while the layer flows: the engine tells that as ever."""
    said = []
    for mode, through in (("direct", DEAD), ("intercept", "")):
        cell = Cell(client, "limited", mode)
        outcome = user.push(cell, f"refused/{client}-{mode}:1", 40 * MIB, through=through)
        said.append(re.findall(r"[^:]*\b413\b[^:]*", outcome.why.replace(mode, "")))
    same = f"{said[1]} instead of {said[0]}" if said[1] != said[0] else "as without dfdaemon"
    results.refusals[f"{client}, push", "413 in its middle, by nginx"] = same
    assert said[0]
    assert said[1] == said[0]
