"""The tracker's memory of swarms and members: bounded, and without leftovers."""

from __future__ import annotations

import random

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from dragonfly.control.messages import Announced
from dragonfly.errors import TrackerError
from dragonfly.net.tasks import TaskSet
from dragonfly.sched.peers import Peer
from dragonfly.supernode.admission import Admission
from dragonfly.supernode.content import Content
from dragonfly.supernode.registration import Caller
from dragonfly.supernode.roster import Roster
from dragonfly.supernode.standing import Standing
from dragonfly.supernode.swarm import Swarm
from dragonfly.supernode.swarms import Swarms
from dragonfly.task.manifest import Manifest
from tests.doubles.reader import make_reply
from tests.doubles.swarm import FakeDialler, FakeOrigin

CALLER = Caller(address="10.0.0.1", reached="10.0.0.9", secure=True)
SEED = b"s" * 32
TASK = b"t" * 32


def _content(fetch: int = 1) -> Content:
    manifest = Manifest(TASK, fetch, 32768, 10)
    return Content(id=TASK, name=b"n" * 32, url="u", fetch=fetch, manifest=manifest, validator=None)


def _standing(content: Content) -> Standing:
    clock, tasks = Clock(), TaskSet(Logger())
    origin = FakeOrigin(lambda _: make_reply())
    admission = Admission(lambda _: origin, clock, tasks, secret=b"s" * 32)
    return Standing(content.name, admission, clock, tasks)


def _swarms() -> tuple[Swarms, Roster]:
    told: list[Peer] = []
    roster = Roster(FakeDialler(), Clock(), told.append)
    return Swarms(roster, SEED, random.Random(1), _standing), roster


def _admit(swarms: Swarms, swarm: Swarm, key: bytes) -> None:
    swarms.admit(swarm, key, Announced(port=1), CALLER, callsystem="x", now=0.0)


def test_a_full_swarm_refuses_and_forgets_whom_it_refused() -> None:
    """Members of before may register again."""
    swarms, roster = _swarms()
    content = _content()
    swarm = Swarm(content, SEED, _standing(content), random.Random(1), most=2)
    for key in (b"1", b"2", b"1"):
        _admit(swarms, swarm, key)
    with pytest.raises(TrackerError, match="the task has 2 peers") as caught:
        _admit(swarms, swarm, b"3")
    assert caught.value.status == 503
    assert (len(roster), swarms.population) == (2, 2)


def test_all_swarms_together_are_bounded() -> None:
    """A peer may be in many tasks; members that are known may register again."""
    roster = Roster(FakeDialler(), Clock(), lambda _: None)
    swarms = Swarms(roster, SEED, random.Random(1), _standing, most=2)
    swarm = swarms.of_content(_content())
    for key in (b"1", b"2", b"1"):
        _admit(swarms, swarm, key)
    with pytest.raises(TrackerError, match="2 members of tasks") as caught:
        _admit(swarms, swarm, b"3")
    assert caught.value.status == 503
    assert (len(roster), swarms.population) == (2, 2)


def test_a_new_fetch_is_a_new_swarm() -> None:
    """Its manifest cuts the content differently: members of the old one are no neighbours."""
    swarms, roster = _swarms()
    old = swarms.of_content(_content(1))
    _admit(swarms, old, b"1")
    assert swarms.of_content(_content(1)) is old
    new = swarms.of_content(_content(2))
    assert new is not old
    assert new.members == {}
    assert (len(roster), swarms.population) == (0, 0)
    assert swarms.find(TASK, b"1") is None
    assert not swarms.remove(TASK, b"1")
    swarms.remove_everywhere(b"1")


def test_a_swarm_with_members_keeps_its_content_in_use() -> None:
    """Expiry of tasks goes by their last use."""
    swarms, _ = _swarms()
    content = _content()
    swarm = swarms.of_content(content)
    _admit(swarms, swarm, b"1")
    assert swarms.expire(50.0, 60.0) == 0
    assert content.used == 50.0
    assert swarms.expire(70.0, 60.0) == 1
    assert content.used == 50.0
    swarms.drop(content)
    assert swarms.of_content(content) is not swarm
