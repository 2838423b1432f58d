"""Waiting for something, and no longer than a client would."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.blobs.vigil import HungUp, Vigil
from dragonfly.errors import NoSources
from tests.doubles.responding import HeardResponder, request
from tests.doubles.swarm import result_of


class Scene:
    """One wait."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.responder = HeardResponder(request())
        self.vigil = Vigil(self.responder, self.clock)
        self.work: Deferred[str] = Deferred()
        self.late = ""

    def wait(self) -> Deferred[Any]:
        """Begin."""
        return Deferred.fromCoroutine(self.vigil.wait(self.work, lambda: self.late))

    def over(self) -> bool:
        """Whether nothing is left behind."""
        return not self.clock.getDelayedCalls()


def test_it_comes() -> None:
    """The result, or the error, as it is."""
    scene = Scene()
    waiting = scene.wait()
    scene.clock.advance(5)
    scene.work.callback("there")
    assert result_of(waiting) == "there"
    again = Scene()
    waiting = again.wait()
    again.work.errback(NoSources("no"))
    with pytest.raises(NoSources, match="no"):
        result_of(waiting)
    assert scene.over()
    assert again.over()


def test_too_late() -> None:
    """The work is cancelled, and the reason raised."""
    scene = Scene()
    waiting = scene.wait()
    scene.late = "it took 3 s"
    scene.clock.advance(1)
    with pytest.raises(NoSources, match="it took 3 s"):
        result_of(waiting)
    assert scene.work.called
    assert scene.over()


@pytest.mark.parametrize("before", [True, False])
def test_the_client_goes(before: bool) -> None:
    """In the middle, or before it began."""
    scene = Scene()
    if before:
        scene.responder.leave()
    waiting = scene.wait()
    scene.responder.leave()
    with pytest.raises(HungUp):
        result_of(waiting)
    assert scene.over()


def test_cancelled_from_outside() -> None:
    """That is neither of both."""
    scene = Scene()
    waiting = scene.wait()
    waiting.cancel()
    with pytest.raises(CancelledError):
        result_of(waiting)
    assert scene.over()


def test_going_between_two_waits() -> None:
    """Nothing is cancelled while the waiter runs; the next wait ends at once."""
    scene = Scene()
    waiting = scene.wait()
    scene.work.callback("there")
    assert result_of(waiting) == "there"
    scene.responder.leave()
    scene.work = Deferred()
    with pytest.raises(HungUp):
        result_of(scene.wait())
