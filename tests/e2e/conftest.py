"""A stage for each test, and one that the tests share which break nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.rig.home import Home
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.oddities import OddOrigin
from tests.e2e.rig.page import Results, write
from tests.e2e.rig.scene import FAILED, Scene, failed
from tests.e2e.rig.stage import Stage
from tests.e2e.rig.supernode import Supernode
from tests.e2e.rig.town import Town, User


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory runs real programs."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for the fixture that shows the logs."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture
def scene(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    """A directory for the processes of one test; their logs are shown if it fails."""
    found = Scene(tmp_path_factory.mktemp("e"))
    try:
        yield found
        if failed(request):
            print(found.logs())
    finally:
        found.close()


@pytest.fixture(scope="module")
def module_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A directory for processes that the tests of one module share."""
    found = Scene(tmp_path_factory.mktemp("e"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """What tests share that leave it as it was."""
    scene = Scene(tmp_path_factory.mktemp("e"))
    try:
        nginx = Nginx(scene, ipv6=True)
        supernode = Supernode(scene)
        numbers = itertools.count(1)
        yield Stage(
            scene=scene,
            nginx=nginx,
            odd=OddOrigin(scene),
            supernode=supernode,
            home=Home(scene, "h", supernode.node),
            fresh=lambda: Home(scene, f"n{next(numbers)}", supernode.node),
        )
    finally:
        scene.close()


@pytest.fixture
def stage(shared_stage: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The shared stage; what its processes said is shown if the test fails."""
    yield shared_stage
    if failed(request):
        print(shared_stage.scene.logs())


@pytest.fixture(scope="session")
def shared_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A network with all registries: each test has images of its own."""
    scene = Scene(tmp_path_factory.mktemp("e"))
    try:
        town = Town.made(scene)
    except BaseException:
        scene.close()
        raise
    try:
        yield town
    finally:
        town.close()


@pytest.fixture
def town(shared_town: Town, request: pytest.FixtureRequest) -> Iterator[Town]:
    """The same; the logs are shown if the test fails."""
    yield shared_town
    if failed(request):
        print(shared_town.scene.logs())


@pytest.fixture(scope="session")
def user(shared_town: Town) -> User:
    """The host in it that most tests use."""
    return shared_town.user("one")


@pytest.fixture(scope="session")
def results() -> Iterator[Results]:
    """What the manual tells of; written at the end where that is wanted."""
    found = Results()
    yield found
    where = os.environ.get("DRAGONFLY_COMPAT_PAGE")
    if where:
        write(found, Path(where))
