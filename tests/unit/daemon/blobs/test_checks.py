"""For how long an origin's yes counts, and for whom."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dragonfly.daemon.blobs.admissions import KEEP_S, MOST
from dragonfly.daemon.blobs.checks import Checks
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import OriginRefused
from dragonfly.net.reply import OriginReply
from dragonfly.task.identity import name_of
from tests.doubles.reader import make_reply
from tests.doubles.responding import request, routed

BLOB = "http://registry.example/v2/a/blobs/sha256:" + "0" * 64
FILE = "http://registry.example/a.bin"


class Origin:
    """Says yes, or what a test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    async def probe(
        self, url: str, headers: tuple[Any, ...], *, brief: bool, by_get: bool
    ) -> OriginReply:
        """Answer."""
        assert brief
        assert by_get is (url == FILE and len(self.asked) == 0)
        self.asked.append((url, headers))
        if self.error is not None:
            raise self.error
        return make_reply(length=7, url=url, etag='"v1"')


class Lab:
    """An origin, and somebody who asks it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.origin: Any = Origin()
        self.checks = Checks(self.clock.seconds, via=b"a")

    def ask(
        self,
        url: str = BLOB,
        *,
        host: str = "registry.example",
        token: str = "t",
        part: bool = True,
    ) -> object:
        """The reply, or the failure."""
        source = self.source(url, token=token)
        route = self.route(url, host=host, part=part)
        found: list[object] = []
        plan = self.checks.plan(source, route, held=False)
        Deferred.fromCoroutine(self.checks.ask(source, route, plan)).addBoth(found.append)
        if isinstance(found[0], OriginReply):
            source.reply = found[0]
            self.checks.believe(source, route)
        return found[0]

    def source(self, url: str, *, token: str = "t", filters: tuple[str, ...] = ()) -> Source:
        """It."""
        return Source(
            client=self.origin,
            url=url,
            headers=(("Authorization", token),),
            name=name_of(url, filters=filters),
            filters=filters,
        )

    def route(self, url: str, *, host: str = "registry.example", part: bool = True) -> Route:
        """Of a request for it."""
        lines = ((b"Range", b"bytes=0-9"),) if part else ()
        head = request(b"GET", url.encode(), *lines)
        return routed(head, parse_registry(f"http://{host}"), swarm=True)

    @property
    def count(self) -> int:
        """How often the origin was asked."""
        return len(self.origin.asked)


@pytest.fixture
def lab() -> Lab:
    """Nothing was asked yet."""
    return Lab()


def test_parts_of_a_blob(lab: Lab) -> None:
    """A yes counts for a minute from when it was said."""
    first = lab.ask()
    assert lab.ask() is first
    assert lab.origin.asked == [(BLOB, (("Authorization", "t"), ("Via", "1.1 a")))]
    lab.clock.advance(KEEP_S)
    assert lab.ask() is not first
    assert lab.count == 2


def test_a_whole_is_asked_for_each_time(lab: Lab) -> None:
    """And its yes counts for the parts that follow."""
    for _ in range(2):
        lab.ask(part=False)
    lab.ask()
    assert lab.count == 2


def test_other_callers(lab: Lab) -> None:
    """It is the origin who knows them, and which of its servers was asked counts, too."""
    lab.ask(token="one")
    lab.ask(token="two")
    lab.ask(token="one", host="another.example")
    assert lab.count == 3


def test_what_may_change(lab: Lab) -> None:
    """Without a digest in its name it is asked for each time."""
    for _ in range(2):
        lab.ask(FILE)
    assert lab.count == 2


def test_a_no(lab: Lab) -> None:
    """Counts at once, also for what was allowed before."""
    lab.ask()
    lab.origin.error = OriginRefused("no", 403)
    for part in (False, True):
        refused = lab.ask(part=part)
        assert isinstance(refused, Failure)
        assert refused.check(OriginRefused)


@pytest.mark.parametrize("place", [FILE, BLOB])
def test_a_parameter_that_opens_the_door(lab: Lab, place: str) -> None:
    """What was given for one is not known to be for another, be it a part of the name or not."""
    good, bad = (f"{place}?token={token}&Signature=x&GoogleAccessId=y&Expires=1" for token in "ab")
    source = lab.source(good, filters=("token", "Signature", "GoogleAccessId", "Expires"))
    lab.checks.given(source, lab.route(good), make_reply(length=7, url=good))
    for url, certain in ((good, True), (bad, False), (f"{good}&", False)):
        other = lab.source(url, filters=source.filters)
        plan = lab.checks.plan(other, lab.route(url), held=True)
        assert (plan.certain, plan.by_get) == (True, not certain)


def test_not_for_ever_many(lab: Lab) -> None:
    """The oldest is forgotten."""
    for number in range(MOST + 1):
        lab.ask(token=str(number))
    lab.ask(token="1")
    assert lab.count == MOST + 1
    lab.ask(token="0")
    assert lab.count == MOST + 2
