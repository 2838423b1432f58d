"""Questions that are the first transfer already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from dragonfly.control.messages import Validator
from dragonfly.errors import OriginChanged
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import OriginReply
from dragonfly.supernode.openings import KEEP_S, OPEN_MAX, Openings
from tests.doubles.reader import ScriptedReader, make_reply

URL = "http://origin.example/f"
BODY = b"some bytes"


class Client(ScriptedReader):
    """An origin that is asked, and read."""

    probed: list[bool]
    closed: bool

    async def probe(
        self, url: str, headers: Sequence[tuple[str, str]], *, by_get: bool = False
    ) -> OriginReply:
        """Answer, and note how it was asked."""
        self.probed.append(by_get)
        return make_reply(length=len(self.body), etag=self.etag)

    def close(self) -> Deferred[None]:
        """Note it."""
        self.closed = True
        return succeed(None)


class Lab:
    """Openings of a client, and its clock."""

    def __init__(self, **switches: Any) -> None:
        self.clock = Clock()
        self.client = Client(body=BODY, clock=self.clock, silent=True, **switches)
        self.client.probed, self.client.closed = [], False
        self.openings = Openings(self.client, self.clock)

    def ask(self, url: str = URL, *, by_get: bool = True, opening: bool = True) -> OriginReply:
        """The answer to a question."""
        asking = self.openings.probe(url, [("a", "b")], by_get=by_get, opening=opening)
        return now(Deferred.fromCoroutine(asking))

    def get(self, url: str = URL, headers: Any = (("a", "b"),), **more: Any) -> OriginBody:
        """A transfer."""
        return now(Deferred.fromCoroutine(self.openings.get(url, headers, **more)))

    @property
    def open(self) -> int:
        """Bodies that the origin goes on with."""
        return sum(not body.stopped for body in self.client.bodies)


def now(done: Deferred[Any]) -> Any:
    """What it fired with."""
    found: list[Any] = []
    done.addBoth(found.append)
    (result,) = found
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


def test_the_fetch_takes_what_the_question_opened() -> None:
    """Once; the origin was asked once."""
    lab = Lab()
    assert lab.ask().length == len(BODY)
    assert lab.get().reply.status == 200
    assert (len(lab.client.asked), lab.client.probed) == (1, [])
    assert lab.clock.getDelayedCalls() == []
    lab.get()
    assert len(lab.client.asked) == 2


@pytest.mark.parametrize(
    "other", [{"url": URL + "?a"}, {"headers": ()}, {"start": 3}], ids=["URL", "headers", "start"]
)
def test_who_wants_something_else_asks_for_it(other: dict[str, Any]) -> None:
    """Another URL, as somebody else, or from another byte on."""
    lab = Lab()
    lab.ask()
    lab.get(**other)
    assert len(lab.client.asked) == 2


@pytest.mark.parametrize(("by_get", "opening"), [(False, True), (True, False)])
def test_other_questions_open_nothing(by_get: bool, opening: bool) -> None:
    """Neither a HEAD, nor one after which nothing is fetched."""
    lab = Lab()
    lab.ask(by_get=by_get, opening=opening)
    assert lab.client.probed == [by_get]
    assert lab.client.asked == []


def test_a_length_that_is_not_told_is_asked_for() -> None:
    """The body is closed."""
    lab = Lab(announce=False)
    assert lab.ask().length == len(BODY)
    assert (lab.client.probed, lab.open) == ([True], 0)


def test_nobody_comes_for_it() -> None:
    """It does not wait for long."""
    lab = Lab()
    lab.ask()
    lab.clock.advance(KEEP_S - 0.1)
    assert lab.open == 1
    lab.clock.advance(0.1)
    assert lab.open == 0
    lab.get()
    assert len(lab.client.asked) == 2


def test_few_wait() -> None:
    """The oldest makes room; a second one for the same takes the first one's place."""
    lab = Lab()
    lab.ask()
    lab.ask()
    assert lab.open == 1
    for number in range(OPEN_MAX):
        lab.ask(f"{URL}{number}")
    assert lab.open == OPEN_MAX
    assert len(lab.clock.getDelayedCalls()) == OPEN_MAX


def test_another_version() -> None:
    """It is compared as by the client, and closed."""
    lab = Lab()
    lab.ask()
    with pytest.raises(OriginChanged):
        lab.get(validator=Validator(etag='"other"'))
    assert lab.open == 0


def test_the_end() -> None:
    """Nothing is left."""
    lab = Lab()
    lab.ask()
    lab.openings.close()
    assert (lab.open, lab.clock.getDelayedCalls(), lab.client.closed) == (0, [], True)
