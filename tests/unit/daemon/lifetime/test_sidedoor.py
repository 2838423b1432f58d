"""The socket beside the home's own, where it cannot be made; what goes on there is in
``tests/integration/test_takeover.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dragonfly.daemon.lifetime.sidedoor import SideDoor, side_door
from dragonfly.errors import HomeBusy, HomeUnusable
from dragonfly.peer.home.home import Home
from dragonfly.peer.home.sockpath import socket_path


def door(home: Path) -> SideDoor:
    """One that never comes to use the reactor, nor to hand anything over."""
    nothing: Any = None
    return SideDoor(home, lambda: nothing, nothing)


def test_a_socket_that_cannot_be_made(tmp_path: Path) -> None:
    """It is not locked then."""
    socket_path(side_door(tmp_path)).mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(HomeUnusable, match="cannot make the socket"):
            door(tmp_path).startService()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Another process that lost its home may be there."""
    other = Home(side_door(tmp_path))
    other.lock()
    with pytest.raises(HomeBusy):
        door(tmp_path).startService()
    other.unlock()
