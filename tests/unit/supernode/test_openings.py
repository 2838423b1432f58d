"""Questions that are the first transfer already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.net.reply import OriginReply
from dragonfly.supernode.openings import KEEP_S, OPEN_MAX, OpeningProber, Openings
from tests.doubles.reader import ScriptedReader, make_reply

URL = "http://origin.example/f"
BODY = b"some bytes"


class Client(ScriptedReader):
    """An origin that is asked, and read."""

    probed: list[bool]

    async def probe(
        self, url: str, headers: Sequence[tuple[str, str]], *, by_get: bool = False
    ) -> OriginReply:
        """Answer, and note how it was asked."""
        self.probed.append(by_get)
        return make_reply(length=len(self.body), etag=self.etag)


class Lab:
    """Openings, who asks, and the clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.client = Client(body=BODY, clock=self.clock, silent=True)
        self.client.probed = []
        self.openings = Openings(self.clock)
        self.prober = OpeningProber(self.client, self.openings)

    def ask(self, *, by_get: bool = True, opening: bool = True) -> OriginReply:
        """The answer to a question."""
        found: list[Any] = []
        asking = self.prober.probe(URL, [("a", "b")], by_get=by_get, opening=opening)
        Deferred.fromCoroutine(asking).addBoth(found.append)
        (reply,) = found
        assert isinstance(reply, OriginReply)
        return reply

    @property
    def open(self) -> int:
        """Bodies that the origin goes on with."""
        return sum(not body.stopped for body in self.client.bodies)


def test_the_fetch_takes_what_the_question_opened() -> None:
    """Once, and no timer is left."""
    lab = Lab()
    reply = lab.ask()
    body = lab.openings.take(reply)
    assert body is not None
    assert body.reply is reply
    assert (len(lab.client.asked), lab.client.probed) == (1, [])
    assert lab.clock.getDelayedCalls() == []
    assert lab.openings.take(reply) is None


def test_an_answer_like_it_is_another_one() -> None:
    """It may be about a newer version that nothing tells from the older one."""
    lab = Lab()
    first, second = lab.ask(), lab.ask()
    assert first == second
    assert lab.openings.take(make_reply(length=len(BODY), etag=lab.client.etag)) is None
    for reply in (second, first):
        body = lab.openings.take(reply)
        assert body is not None
        assert body.reply is reply


@pytest.mark.parametrize(("by_get", "opening"), [(False, True), (True, False)])
def test_other_questions_open_nothing(by_get: bool, opening: bool) -> None:
    """Neither a HEAD, nor one after which nothing is fetched."""
    lab = Lab()
    lab.ask(by_get=by_get, opening=opening)
    assert lab.client.probed == [by_get]
    assert lab.client.asked == []


def test_nobody_comes_for_it() -> None:
    """It does not wait for long."""
    lab = Lab()
    reply = lab.ask()
    lab.clock.advance(KEEP_S - 0.1)
    assert lab.open == 1
    lab.clock.advance(0.1)
    assert lab.open == 0
    assert lab.openings.take(reply) is None


def test_few_wait() -> None:
    """Where there is no room a question is a question."""
    lab = Lab()
    for _ in range(OPEN_MAX + 1):
        lab.ask()
    assert lab.open == OPEN_MAX
    assert lab.client.probed == [True]


def test_the_end() -> None:
    """Nothing is left."""
    lab = Lab()
    lab.ask()
    lab.openings.close()
    assert (lab.open, lab.clock.getDelayedCalls()) == (0, [])
