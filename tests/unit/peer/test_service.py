"""The peer as a service, before any port is bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.logger import Logger

import dragonfly
from dragonfly.errors import HomeBusy, HomeUnusable, StoreError, TaskError
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.equipment import Runtime
from dragonfly.peer.home.home import Home
from dragonfly.peer.service import PeerService, make_peer
from dragonfly.peer.settings import PeerSettings


def make(root: Path, **settings: Any) -> PeerService:
    """A peer of that home."""
    runtime = Runtime(reactor=reactor, log=Logger("dragonfly.tests"))
    return make_peer(PeerSettings(home=root, **settings), runtime)


def test_a_home_has_one_peer(tmp_path: Path) -> None:
    """The lock is taken when it is composed."""
    home = Home(tmp_path)
    home.lock()
    with pytest.raises(HomeBusy):
        make(tmp_path)
    home.unlock()


def test_a_damaged_key_is_told_and_the_home_is_free_again(tmp_path: Path) -> None:
    """Whoever mends it needs not end this process."""
    (tmp_path / "peer.key").write_bytes(b"short")
    for _ in range(2):
        with pytest.raises(HomeUnusable, match=r"peer\.key"):
            make(tmp_path)


@ensureDeferred
async def test_a_store_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """Nothing starts, and the home is free afterwards."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "format").write_text("dragonfly store 99\n")
    service = make(tmp_path)
    with pytest.raises(StoreError, match="format '99'"):
        service.privilegedStartService()
    await service.stopService()
    home = Home(tmp_path)
    home.lock()
    home.unlock()


@ensureDeferred
async def test_it_describes_itself_and_takes_nothing_before_it_runs(tmp_path: Path) -> None:
    """An address is told only where one was given."""
    service = make(tmp_path, address="10.0.0.1")
    announced = service.announced()
    assert (announced.address, announced.version) == ("10.0.0.1", dragonfly.__version__)
    with pytest.raises(TaskError):
        service.fetch(FetchRequest(url="http://host/file"))
    assert service.status()["clients"] == 0
    await service.stopService()
