"""A peer inside the command: which home it takes, and what it does when it cannot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from dragonfly.dfget.inprocess import Inside, Neighbour
from dragonfly.dfget.options import parse
from dragonfly.dfget.progress import Console
from dragonfly.errors import HomeUnusable, PeerGone
from dragonfly.net.fanout import OneShot
from tests.doubles.local_peer import ScriptedPeer


def options_for(home: Path) -> Any:
    """The flags of a download in that home."""
    return parse(["--home", str(home), "http://host/file"], config_file="/dev/null/none")


def test_the_process_that_serves_the_home_is_used(tmp_path: Path) -> None:
    """It answers a ping, so it will answer the rest."""
    neighbour = Neighbour(options_for(tmp_path), Console(io.StringIO()))
    with ScriptedPeer(tmp_path) as peer:
        neighbour.talk().close()
    assert peer.asked == ["ping"]
    assert not neighbour.again


def test_one_that_does_not_answer_is_said_to_be_gone(tmp_path: Path) -> None:
    """Then a temporary home serves this download."""
    with pytest.raises(PeerGone, match="does not answer"):
        Neighbour(options_for(tmp_path), Console(io.StringIO())).talk()


class Refusing:
    """A service that cannot start."""

    def __init__(self) -> None:
        self.stopped = 0

    def privilegedStartService(self) -> None:
        """Refuse."""
        raise HomeUnusable("no")

    def stopService(self) -> Any:
        """Count."""
        self.stopped += 1
        done: OneShot[None] = OneShot()
        done.fire(None)
        return done.wait()


def test_what_cannot_start_leaves_the_reactor_for_another_try(tmp_path: Path) -> None:
    """A process can run its reactor once; it is still to serve the temporary home."""
    service = Refusing()
    inside = Inside(service, tmp_path, object())  # type: ignore[arg-type]
    with pytest.raises(HomeUnusable), inside:
        raise AssertionError("it cannot have started")
    assert service.stopped == 1


def test_talking_to_one_that_has_ended(tmp_path: Path) -> None:
    """Nobody listens on the socket."""
    inside = Inside(Refusing(), tmp_path, object())  # type: ignore[arg-type]
    with pytest.raises(PeerGone):
        inside.talk()
