"""Room on the disk: who is told when it is short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dragonfly.errors import StoreError
from dragonfly.peer.swarm.room import LOOK_EVERY_S, SHARED_IDLE_S, Room
from tests.doubles.inline import InlineReactor, inline_disk

GB = 1024**3


class Swarm:
    """Writes down what it is asked to free."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def make_room(self, wanted: int, *, idle_s: float) -> int:
        """Pretend."""
        self.asked.append((wanted, idle_s))
        return wanted


class Lab:
    """A disk of a size that tests set."""

    def __init__(self) -> None:
        self.reactor = InlineReactor()
        self.swarm = Swarm()
        self.found: Any = (0, 0)
        disk = inline_disk(self.reactor)
        self.room = Room(
            Path("/store"),
            disk,
            self.swarm,  # type: ignore[arg-type]
            self.reactor,
            measure=self._measure,
        )

    def _measure(self, path: Path) -> tuple[int, int]:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found  # type: ignore[no-any-return]


def test_a_full_disk_is_noticed() -> None:
    """Every few seconds, until the service stops."""
    lab = Lab()
    lab.room.startService()
    lab.found = (100 * GB, 1000 * GB)
    lab.reactor.advance(LOOK_EVERY_S)
    assert lab.swarm.asked == []
    lab.found = (7 * GB, 1000 * GB)
    lab.reactor.advance(LOOK_EVERY_S)
    assert lab.swarm.asked == [(3 * GB, SHARED_IDLE_S)]
    lab.room.stopService()
    lab.reactor.advance(LOOK_EVERY_S)
    assert len(lab.swarm.asked) == 1


def test_a_disk_that_cannot_be_asked_is_asked_again() -> None:
    """It says nothing about whether there is room."""
    lab = Lab()
    lab.room.startService()
    lab.found = StoreError("/store: gone")
    lab.reactor.advance(LOOK_EVERY_S)
    lab.found = (0, 1000 * GB)
    lab.reactor.advance(LOOK_EVERY_S)
    assert lab.swarm.asked == [(10 * GB, SHARED_IDLE_S)]
    lab.room.stopService()
