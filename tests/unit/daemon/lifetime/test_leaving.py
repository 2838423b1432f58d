"""How a dfdaemon gets out of the way, in time that is made here."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.lifetime.leaving import CUT_S, SWARM_S, Leaving
from dragonfly.net.fanout import OneShot


class Clients:
    """Answers under way."""

    def __init__(self, count: int) -> None:
        self.open = count
        self.aborted = 0
        self._empty: OneShot[None] = OneShot()

    def drain(self) -> Deferred[None]:
        """Fires when all have ended."""
        self.end(0)
        return self._empty.wait()

    def end(self, count: int = 1) -> None:
        """So many end."""
        self.open -= count
        if not self.open:
            self._empty.fire(None)

    def abort(self) -> None:
        """Cut them."""
        self.aborted += self.open
        self.end(self.open)


class Scene:
    """A dfdaemon with so many answers."""

    def __init__(self, count: int) -> None:
        self.clock = Clock()
        self.clients = Clients(count)
        self.left_at: list[float] = []
        self.leaves: Deferred[None] = Deferred()
        clients: Any = self.clients
        self.leaving = Leaving(clients, self._part, clock=self.clock)

    async def _part(self) -> None:
        self.left_at.append(self.clock.seconds())
        await self.leaves

    def drain(self, seconds: float) -> Deferred[None]:
        """Begin."""
        return Deferred.fromCoroutine(self.leaving.drain(seconds))


def test_without_answers_it_is_over_at_once() -> None:
    """As soon as the swarm is left."""
    scene = Scene(0)
    done = scene.drain(25)
    assert scene.left_at == [0.0]
    scene.leaves.callback(None)
    assert done.called
    assert not scene.clock.getDelayedCalls()


def test_the_swarm_is_left_before_long_answers_end() -> None:
    """They go on until they are over."""
    scene = Scene(2)
    done = scene.drain(25)
    scene.clock.advance(SWARM_S - 0.1)
    assert scene.left_at == []
    scene.clock.advance(0.2)
    assert len(scene.left_at) == 1
    scene.leaves.callback(None)
    scene.clock.advance(10)
    assert not done.called
    scene.clients.end(2)
    assert done.called
    assert scene.clients.aborted == 0
    assert not scene.clock.getDelayedCalls()


@pytest.mark.parametrize("seconds", [0.0, SWARM_S / 2, 25.0])
def test_they_are_cut_in_the_end(seconds: float) -> None:
    """After what was configured, also when leaving the swarm takes longer."""
    scene = Scene(2)
    done = scene.drain(seconds)
    scene.clock.advance(seconds)
    assert scene.clients.aborted == 2
    scene.clock.advance(SWARM_S)
    assert not done.called
    scene.leaves.callback(None)
    assert done.called


def test_a_connection_that_cannot_be_cut_is_not_waited_for() -> None:
    """The process ends anyway."""
    scene = Scene(1)
    scene.clients.abort = lambda: None  # type: ignore[method-assign]
    scene.leaves.callback(None)
    done = scene.drain(0)
    for _ in range(2):
        scene.clock.advance(SWARM_S + CUT_S)
    assert done.called


def test_the_swarm_is_left_once() -> None:
    """Whoever asks."""
    scene = Scene(0)
    first, done = scene.leaving.part(), scene.drain(25)
    assert scene.left_at == [0.0]
    first.cancel()
    first.addErrback(lambda _: None)
    scene.leaves.callback(None)
    assert done.called


def test_they_are_hurried() -> None:
    """What is left has so long from now on, and no longer than before."""
    scene = Scene(2)
    scene.leaving.hurry(1)  # nothing is ending
    done = scene.drain(3600)
    scene.leaves.callback(None)
    scene.clock.advance(100)
    scene.leaving.hurry(25)
    scene.clock.advance(20)
    scene.leaving.hurry(25)
    scene.clock.advance(4.9)
    assert scene.clients.aborted == 0
    scene.clock.advance(0.2)
    assert scene.clients.aborted == 2
    assert done.called
    scene.leaving.hurry(1)
    assert not scene.clock.getDelayedCalls()


def test_leaving_the_swarm_is_tried_again() -> None:
    """After a failure, which who waits for is told."""
    scene = Scene(0)
    first, second = scene.leaving.part(), scene.leaving.part()
    scene.leaves.errback(RuntimeError("a bug"))
    for each in (first, second):
        each.addErrback(lambda failure: failure.trap(RuntimeError))
        assert each.called
    scene.leaves = Deferred()
    third = scene.leaving.part()
    scene.leaves.callback(None)
    assert third.called
    assert len(scene.left_at) == 2
