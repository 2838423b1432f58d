"""Programs that are no container engines, through dfdaemon as their proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rig.cells import MODES, Cell
from tests.e2e.rig.downloaders import DOWNLOADERS, Errand
from tests.e2e.rig.goods import Goods
from tests.e2e.rig.scene import Scene, failed
from tests.e2e.rig.town import Town, User

SCHEMES = {"proxy": "http", "intercept": "https"}
"""What a mode can see: TLS only where it is opened."""


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Town:
    """One for all tests: each downloads something of its own."""
    return Town.made(module_scene)


@pytest.fixture(scope="module")
def user(made: Town) -> User:
    """The host that all use."""
    return made.user("one")


@pytest.fixture(scope="module")
def goods(made: Town) -> Goods:
    """Everything to download."""
    return Goods(made.sites.storage.path, made.sites.FILES)


@pytest.fixture
def town(made: Town, request: pytest.FixtureRequest) -> Iterator[Town]:
    """The servers; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.scene.logs())


@pytest.mark.parametrize("mode", [mode for mode in SCHEMES if MODES[mode].here])
@pytest.mark.parametrize("name", DOWNLOADERS)
def test_download(town: Town, user: User, goods: Goods, name: str, mode: str) -> None:
    """It gets what the server has; a rule sends it through the swarm."""
    downloader, scheme = DOWNLOADERS[name], SCHEMES[mode]
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
    assert outcome.good, outcome.why
    lines = user.daemon(Cell(name, "tls", mode)).requests(good.path)
    assert {line.route for line in lines if line.sent} == {"swarm"}
