"""An admission to private content is renewed by the origin, or ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from dragonfly.errors import DragonflyError, OriginRefused, OriginUnreachable
from dragonfly.net.reply import OriginReply
from dragonfly.net.tasks import TaskSet
from dragonfly.supernode.admission import ADMISSION_S, Admission
from dragonfly.supernode.standing import ASK_AGAIN_S, Standing
from tests.doubles.reader import make_reply
from tests.doubles.swarm import FakeOrigin

SECRET = (("Authorization", "Bearer t"),)


class _Lab:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.answer: OriginReply | DragonflyError = make_reply(length=1)
        self.origin = FakeOrigin(self._decide)
        tasks = TaskSet(Logger())
        self.admission = Admission(lambda _: self.origin, self.clock, tasks, secret=b"s" * 32)
        self.standing = Standing(b"n" * 32, self.admission, self.clock, tasks)
        self.access = self.admission.access("http://origin.example/f", SECRET)

    def _decide(self, headers: dict[str, str]) -> OriginReply | DragonflyError:
        return self.answer if "authorization" in headers else OriginRefused("no", 401)


def test_it_is_renewed_in_the_background_when_half_is_over() -> None:
    """Before that nobody is asked; the origin's yes counts from the question on."""
    lab = _Lab()
    name = lab.standing.take(lab.access)
    assert lab.standing.until(name) == 1000.0 + ADMISSION_S
    lab.clock.advance(ADMISSION_S / 2)
    assert lab.standing.until(name) == 1000.0 + ADMISSION_S
    assert lab.origin.asked == []
    lab.clock.advance(1.0)
    lab.standing.until(name)
    assert lab.standing.until(name) == lab.clock.seconds() + ADMISSION_S
    assert len(lab.origin.asked) == 2  # without credentials, then with them


def test_a_refusal_ends_it() -> None:
    """Nothing more rests on these credentials, until they are admitted again."""
    lab = _Lab()
    name = lab.standing.take(lab.access)
    lab.answer = OriginRefused("revoked", 403)
    lab.clock.advance(ADMISSION_S * 0.6)
    assert lab.standing.until(name) == 1000.0 + ADMISSION_S
    assert lab.standing.refused(name)
    asked = len(lab.origin.asked)
    lab.clock.advance(100.0)
    lab.standing.until(name)
    assert len(lab.origin.asked) == asked
    lab.standing.take(lab.access)
    assert not lab.standing.refused(name)


@pytest.mark.parametrize(
    "make", [lambda: OriginUnreachable("down"), lambda: OriginRefused("broken", 500)]
)
def test_an_origin_that_does_not_answer_says_neither(make: Callable[[], DragonflyError]) -> None:
    """It is asked again after a while; until it answers the end stays where it was."""
    lab = _Lab()
    name = lab.standing.take(lab.access)
    lab.answer = make()
    lab.clock.advance(ADMISSION_S * 0.6)
    assert lab.standing.until(name) == 1000.0 + ADMISSION_S
    asked = len(lab.origin.asked)
    lab.standing.until(name)
    assert len(lab.origin.asked) == asked
    assert not lab.standing.refused(name)
    lab.answer = make_reply(length=1)
    lab.clock.advance(ASK_AGAIN_S)
    lab.standing.until(name)
    assert lab.standing.until(name) == lab.clock.seconds() + ADMISSION_S


def test_credentials_are_kept_while_somebody_relies_on_them() -> None:
    """With the last peer they are forgotten."""
    lab = _Lab()
    name = lab.standing.take(lab.access)
    lab.standing.take(lab.access)
    lab.standing.drop(name)
    assert len(lab.standing) == 1
    lab.standing.drop(name)
    assert len(lab.standing) == 0
    lab.standing.drop(name)
    assert lab.standing.until(name) == 0.0
    assert not lab.standing.refused(name)
