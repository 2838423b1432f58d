"""One dfdaemon replaced by another: the old one's side, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from dragonfly.daemon.lifetime.handover import HandOver
from dragonfly.errors import ConfigError
from dragonfly.peer.succession import Handing


class Old:
    """What the old one does, noted."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.sockets = {"front": 7, "peer": 8}
        self.back: Exception | None = None
        self.hand_over = HandOver(
            lambda: self.sockets, self._part, self._return, lambda: self.did.append("end")
        )
        self.sent: list[int] = []
        self.handing = Handing(self.hand_over, self.sent.append)

    def _part(self) -> Deferred[None]:
        self.did.append("part")
        return Deferred()

    def _return(self) -> Deferred[None]:
        self.did.append("return")
        done: Deferred[None] = Deferred()
        if self.back is None:
            done.callback(None)
        else:
            done.errback(self.back)
        return done


def test_all_steps() -> None:
    """Descriptors, then the home, then the end."""
    old = Old()
    assert old.handing.obey("begin") == {"event": "sockets", "names": ["front", "peer"]}
    assert old.sent == [7, 8]
    assert old.did == []
    assert old.handing.obey("free") is None
    assert old.did == ["part"]
    assert old.handing.obey("serving") is None
    assert old.did == ["part", "end"]
    old.handing.hung_up()
    assert old.did == ["part", "end"]


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
    other = Handing(old.hand_over, old.sent.append)
    old.handing.obey("begin")
    with pytest.raises(ConfigError, match="being replaced already"):
        other.obey("begin")
    other.hung_up()  # it has nothing to say in this
    with pytest.raises(ConfigError, match="being replaced already"):
        Handing(old.hand_over, old.sent.append).obey("begin")
    old.handing.hung_up()
    assert old.did == []
    assert Handing(old.hand_over, old.sent.append).obey("begin") is not None


def test_one_that_fails_late() -> None:
    """The old one goes back to the swarm."""
    old = Old()
    old.handing.obey("begin")
    old.handing.obey("free")
    old.handing.hung_up()
    assert old.did == ["part", "return"]
    assert Handing(old.hand_over, old.sent.append).obey("begin") is not None


def test_none_while_it_ends() -> None:
    """There is nothing to hand over."""
    old = Old()
    old.sockets = {}
    with pytest.raises(ConfigError, match="ending"):
        old.handing.obey("begin")
