"""Programs that are no container engines, through dfdaemon as their proxy."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.e2e.rig.cells import DOWNLOADS, FULL, Cell
from tests.e2e.rig.downloaders import DOWNLOADERS, Errand
from tests.e2e.rig.goods import Goods
from tests.e2e.rig.page import Results
from tests.e2e.rig.town import Town, User


@pytest.fixture(scope="module")
def goods(shared_town: Town) -> Goods:
    """Everything to download."""
    return Goods(shared_town.sites.storage.path, shared_town.sites.FILES)


def errands() -> list[tuple[str, str]]:
    """What this run does: everything, or each program in one of the modes."""
    if FULL:
        return list(itertools.product(DOWNLOADERS, DOWNLOADS))
    return list(zip(DOWNLOADERS, itertools.cycle(DOWNLOADS), strict=False))


@pytest.mark.parametrize(("name", "mode"), errands())
def test_download(
    town: Town, user: User, goods: Goods, results: Results, name: str, mode: str
) -> None:
    """It gets what the server has; a rule sends it through the swarm."""
    downloader, scheme = DOWNLOADERS[name], DOWNLOADS[mode]
    downloader.needed()
    good = downloader.make(goods, scheme)
    way = user.way(Cell(name, "tls", mode))
    errand = Errand(
        host=user.host,
        good=good,
        url=town.sites.FILES[scheme],
        proxy=way.through,
        trust=way.trust,
        work=town.scene.directory(f"get-{good.name}-{mode}"),
    )
    outcome = downloader.run(errand)
    results.downloads[name, mode] = outcome.why or "swarm"
    results.versions.setdefault(name, errand.version(*downloader.version))
    assert outcome.good, outcome.why
    lines = user.daemon(Cell(name, "tls", mode)).requests(Path(good.path).name)
    assert {line.route for line in lines if line.sent} == {"swarm"}
