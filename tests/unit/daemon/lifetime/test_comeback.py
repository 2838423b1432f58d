"""A dfdaemon that gave up its home for nothing: how it tries to have it again."""

from __future__ import annotations

import random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from dragonfly.daemon.lifetime.comeback import FIRST_S, MOST_S, Comeback
from dragonfly.errors import HomeBusy, HomeUnusable


class Door(Service):
    """Where another one may come in; ``broken``: it cannot be opened."""

    broken = False

    def startService(self) -> None:
        """Open it."""
        if self.broken:
            raise HomeUnusable("the disk is full")
        super().startService()  # type: ignore[no-untyped-call]


class Scene:
    """Attempts that have these results, and the last one again and again."""

    def __init__(self, *results: Any) -> None:
        self.clock = Clock()
        self.door = Door()
        self.tried_at: list[float] = []
        self._results = list(results)
        self.comeback = Comeback(self._back, self.door, clock=self.clock, rng=random.Random(7))

    def _back(self) -> Deferred[None]:
        self.tried_at.append(self.clock.seconds())
        result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        return fail(result) if isinstance(result, Exception) else succeed(result)


def test_at_once() -> None:
    """Nothing was in the way."""
    scene = Scene(None)
    scene.comeback.start()
    assert scene.tried_at == [0.0]
    assert not scene.clock.getDelayedCalls()
    assert not scene.door.running


def test_it_is_tried_until_it_works() -> None:
    """Meanwhile there is a door for another process."""
    scene = Scene(HomeBusy("busy"), HomeBusy("busy"), None)
    scene.comeback.start()
    scene.comeback.start()  # it does not begin anew
    assert scene.tried_at == [0.0]
    assert scene.door.running
    scene.clock.advance(FIRST_S)
    assert len(scene.tried_at) == 2
    assert scene.door.running
    scene.clock.advance(2 * FIRST_S)
    assert len(scene.tried_at) == 3
    assert not scene.door.running
    assert not scene.clock.getDelayedCalls()


def test_attempts_become_rare() -> None:
    """But they do not end."""
    scene = Scene(HomeUnusable("read-only"))
    scene.comeback.start()
    scene.clock.pump([MOST_S / 2] * 100)
    gaps = [b - a for a, b in zip(scene.tried_at, scene.tried_at[1:], strict=False)]
    assert 50 <= len(gaps) <= 101
    assert max(gaps) <= MOST_S
    scene.comeback.stop()


def test_a_bug_does_not_end_them(no_silent_failures: list[Any]) -> None:
    """It is logged."""
    scene = Scene(RuntimeError("a bug"), None)
    scene.comeback.start()
    assert no_silent_failures.pop().check(RuntimeError)
    scene.clock.advance(FIRST_S)
    assert len(scene.tried_at) == 2


def test_it_is_stopped() -> None:
    """While it waits; it may be started again."""
    scene = Scene(HomeBusy("busy"))
    scene.comeback.start()
    scene.comeback.stop()
    assert not scene.clock.getDelayedCalls()
    assert not scene.door.running
    scene.comeback.stop()
    scene.comeback.start()
    assert len(scene.tried_at) == 2
    scene.comeback.stop()


def test_an_attempt_is_given_up() -> None:
    """When it is stopped meanwhile."""
    scene = Scene(None)
    attempt: Deferred[None] = Deferred()
    scene.comeback._back = lambda: attempt
    scene.comeback.start()
    scene.comeback.stop()
    assert attempt.called
    assert not scene.clock.getDelayedCalls()


def test_a_door_that_cannot_be_opened() -> None:
    """It is tried again, too."""
    scene = Scene(HomeBusy("busy"))
    scene.door.broken = True
    scene.comeback.start()
    scene.clock.pump([MOST_S] * 3)
    assert len(scene.tried_at) == 4
    scene.door.broken = False
    scene.clock.advance(MOST_S)
    assert scene.door.running
    scene.comeback.stop()
