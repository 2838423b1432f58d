"""What is remembered of an origin's yes, for whom, and how long."""

from __future__ import annotations

import attrs
import pytest

from dragonfly.daemon.blobs.admissions import KEEP_S, LARGEST, Admissions, question
from dragonfly.daemon.routing.registry import parse_registry
from tests.doubles.reader import make_reply

HUB = parse_registry("https://hub.example")
URL = "https://hub.example/v2/x"
ME = (("Authorization", "Bearer me"),)
REPLY = make_reply(length=5, url=URL)


class Scene:
    """A memory for two, and its time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said = Admissions(lambda: self.now, most=2)


@pytest.fixture
def scene() -> Scene:
    """Nothing yet."""
    return Scene()


def test_for_a_while(scene: Scene) -> None:
    """From when it was said: asking again does not make it last."""
    scene.said.keep(b"a", REPLY)
    scene.now += KEEP_S - 1
    assert scene.said.find(b"a") is REPLY
    scene.said.keep(b"a", REPLY)
    scene.now += 1
    assert scene.said.find(b"a") is None
    assert len(scene.said) == 0


def test_until_it_is_doubted(scene: Scene) -> None:
    """Once is enough, and twice does no harm."""
    scene.said.keep(b"a", REPLY)
    for _ in range(2):
        scene.said.drop(b"a")
        assert scene.said.find(b"a") is None


def test_so_many(scene: Scene) -> None:
    """The oldest makes room, and answers with enormous headers are not kept at all."""
    for name in (b"a", b"b", b"c"):
        scene.said.keep(name, REPLY)
    assert [scene.said.find(name) is REPLY for name in (b"a", b"b", b"c")] == [False, True, True]
    for large in ({"headers": (("x", "y" * LARGEST),)}, {"passed": (("x", "y" * LARGEST),)}):
        scene.said.keep(b"d", attrs.evolve(REPLY, **large))
        assert scene.said.find(b"d") is None
    assert len(scene.said) == 2


def test_a_question_is_who_asks_whom_for_what() -> None:
    """Another of any of these is another question; and none can be read out of it."""
    other = parse_registry("http://hub.example")
    asked = [
        question(HUB, URL, ME),
        question(other, URL, ME),
        question(attrs.evolve(HUB, local=False), URL, ME),
        question(HUB, URL + "?a", ME),
        question(HUB, URL, ()),
        question(HUB, URL, (("Authorization", "Bearer you"),)),
        question(HUB, URL, (*ME, ("Cookie", "a=b"))),
        question(HUB, URL, (("AuthorizationBearer", " me"),)),
    ]
    assert len(set(asked)) == len(asked)
    assert question(HUB, URL, list(ME)) == asked[0]
    assert {len(each) for each in asked} == {32}
