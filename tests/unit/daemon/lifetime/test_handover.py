"""One dfdaemon replaced by another: the old one's side, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.lifetime.handover import AT_WORK_S, HandOver
from dragonfly.errors import ConfigError
from dragonfly.peer.home.succession import Handing


class Old:
    """What the old one does, noted."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.sockets = {"front": 7, "peer": 8}
        self.clock = Clock()
        self.parted: Deferred[None] = Deferred()
        comeback: Any = self
        self.hand_over = HandOver(
            lambda: self.sockets,
            self._part,
            comeback,
            lambda pid: self.did.append(f"end for {pid}"),
            clock=self.clock,
        )
        self.sent: list[int] = []
        self.said: list[dict[str, Any]] = []
        self.handing = self.another()

    def another(self) -> Handing:
        """Another conversation."""
        return Handing(self.hand_over, self.sent.append, self.said.append)

    def _part(self) -> Deferred[None]:
        self.did.append("part")
        return self.parted

    def start(self) -> None:
        """Begin to come back."""
        self.did.append("return")

    def stop(self) -> None:
        """Do not come back."""
        self.did.append("stay out")


def test_all_steps() -> None:
    """Descriptors, then the home, then the end."""
    old = Old()
    assert old.handing.obey("begin") == {"event": "sockets", "names": ["front", "peer"]}
    assert old.sent == [7, 8]
    assert old.did == []
    assert old.handing.obey("free") is None
    assert old.did == ["stay out", "part"]
    old.parted.callback(None)
    assert old.handing.obey("serving", 4711) is None
    assert old.did == ["stay out", "part", "end for 4711"]
    old.handing.hung_up()
    assert old.did == ["stay out", "part", "end for 4711"]
    assert not old.clock.getDelayedCalls()


def test_it_tells_that_it_is_at_work() -> None:
    """Every second, until the home is free."""
    old = Old()
    old.handing.obey("begin")
    old.handing.obey("free")
    old.clock.pump([AT_WORK_S] * 3)
    assert old.said == [{"event": "leaving"}] * 3
    old.parted.callback(None)
    old.clock.pump([AT_WORK_S] * 3)
    assert len(old.said) == 3


def test_one_that_cannot_leave_is_not_at_work(no_silent_failures: list[Any]) -> None:
    """The other one gives up soon then."""
    old = Old()
    old.handing.obey("begin")
    old.handing.obey("free")
    old.parted.errback(RuntimeError("a bug"))
    assert no_silent_failures.pop().check(RuntimeError)
    assert not old.clock.getDelayedCalls()


@pytest.mark.parametrize("steps", [["free"], ["begin", "serving"], ["begin", "begin"], [None]])
def test_steps_out_of_order(steps: list[Any]) -> None:
    """Refused."""
    old = Old()
    for step in steps[:-1]:
        old.handing.obey(step)
    with pytest.raises(ConfigError, match="is not"):
        old.handing.obey(steps[-1])
    assert old.did == []


def test_one_at_a_time() -> None:
    """Another one comes when the first has failed."""
    old = Old()
    other = old.another()
    old.handing.obey("begin")
    with pytest.raises(ConfigError, match="being replaced already"):
        other.obey("begin")
    other.hung_up()  # it has nothing to say in this
    with pytest.raises(ConfigError, match="being replaced already"):
        old.another().obey("begin")
    old.handing.hung_up()
    assert old.did == []
    assert old.another().obey("begin") is not None


def test_one_that_fails_late() -> None:
    """The old one goes back to the swarm."""
    old = Old()
    old.handing.obey("begin")
    old.handing.obey("free")
    old.handing.hung_up()
    assert old.did == ["stay out", "part", "return"]
    old.clock.advance(AT_WORK_S)
    assert old.said == []
    another = old.another()
    assert another.obey("begin") is not None
    another.obey("free")
    assert old.did == ["stay out", "part", "return", "stay out", "part"]
    old.clock.advance(AT_WORK_S)
    another.hung_up()
    assert old.said == [{"event": "leaving"}]
    assert not old.clock.getDelayedCalls()


def test_none_while_it_ends() -> None:
    """There is nothing to hand over."""
    old = Old()
    old.sockets = {}
    with pytest.raises(ConfigError, match="ending"):
        old.handing.obey("begin")
