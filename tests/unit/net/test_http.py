"""How many connections a burst of control calls makes."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.web.iweb import IAgent
from zope.interface import implementer

from dragonfly.errors import TrackerLost
from dragonfly.net.http import IDLE_MAX, PATIENCE_S, ControlClient


@implementer(IAgent)
@attrs.define(eq=False)
class HeldAgent:
    """Answers nothing by itself."""

    asked: list[Deferred[Any]] = attrs.field(factory=list)

    def request(self, *_: Any, **__: Any) -> Deferred[Any]:
        """One request that waits."""
        self.asked.append(Deferred())
        return self.asked[-1]


class Scene:
    """A client, and calls that were made of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.agent = HeldAgent()
        self.client = ControlClient(self.agent, self.clock, None)
        self.errors: list[Any] = []
        self.calls: list[Deferred[Any]] = []

    def call(self, count: int, host: str = "node") -> None:
        """So many at once."""
        for _ in range(count):
            asking = self.client.post_json(f"https://{host}:8002/x", b"{}", timeout_s=60.0)
            self.calls.append(Deferred.fromCoroutine(asking).addErrback(self.errors.append))


def test_a_burst_waits_for_connections_that_are_open() -> None:
    """The next one goes as soon as one is free."""
    scene = Scene()
    scene.call(IDLE_MAX + 2)
    assert len(scene.agent.asked) == IDLE_MAX
    scene.agent.asked[0].errback(ConnectionLost())
    assert scene.errors[0].check(TrackerLost)
    assert len(scene.agent.asked) == IDLE_MAX + 1
    for call in scene.calls:
        call.cancel()


def test_slow_calls_hold_nobody_up() -> None:
    """After a moment one more connection is made; who gave up is not asked for."""
    scene = Scene()
    scene.call(IDLE_MAX + 3)
    scene.calls[-1].cancel()
    scene.clock.advance(PATIENCE_S)
    assert len(scene.agent.asked) == IDLE_MAX + 2
    scene.call(1, "other")
    assert len(scene.agent.asked) == IDLE_MAX + 3
    for call in scene.calls:
        call.cancel()
