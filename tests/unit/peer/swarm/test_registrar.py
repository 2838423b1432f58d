"""What is told to a supernode, and who shares its answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.control.messages import INLINE_BYTES, Announced, DirectAnswer, RegisterRequest
from dragonfly.net.tasks import TaskSet
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.shelf.catalogue import Shelved
from dragonfly.peer.swarm.registrar import Registrar
from dragonfly.signatures import SigningKey
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.identity import name_of

URL = "http://o/f"
NAME = name_of(URL)
PIECE = 32 * 1024


@attrs.define(eq=False)
class Asking:
    """A download, as far as registering goes."""

    request: FetchRequest


class Supernodes:
    """They answer when the test says so."""

    def __init__(self) -> None:
        self.asked: list[RegisterRequest] = []
        self.answers: list[Deferred[Any]] = []

    async def register(self, nodes: object, name: bytes, request: RegisterRequest) -> Any:
        """Keep it."""
        self.asked.append(request)
        self.answers.append(Deferred())
        return await self.answers[-1]


class Scene:
    """A registrar, what is stored, and what is in work."""

    def __init__(self) -> None:
        self.supernodes = Supernodes()
        self.stored: Shelved | None = None
        self.transfers: dict[bytes, Any] = {}
        self.key = SigningKey.from_bytes(b"\1" * 32)
        self.tasks = TaskSet(Logger())
        me: Any = self
        self.registrar = Registrar(me, me, self.transfers)

    def announced(self) -> Announced:
        """How the peer describes itself."""
        return Announced(port=1, address=None, hostname="h", version="1")

    def named(self, name: bytes) -> Shelved | None:
        """What the shelf has."""
        return self.stored

    def register(self, **asked: Any) -> Deferred[Any]:
        """One download registers."""
        download: Any = Asking(FetchRequest(url=URL, **asked))
        return Deferred.fromCoroutine(self.registrar.register(download, NAME))

    def request(self, **asked: Any) -> RegisterRequest:
        """What it would say."""
        return self.registrar.request(cast("Any", Asking(FetchRequest(url=URL, **asked))), NAME)


@pytest.fixture
def scene() -> Scene:
    """Nothing is stored or in work."""
    return Scene()


def test_a_registration_says_who_asks_for_what(scene: Scene) -> None:
    """A pattern that is not the CDN's is the swarm's."""
    request = scene.request(headers=(("A", "b"),), identifier="i", pattern="other")
    assert (request.url, request.key, request.peer.port) == (URL, scene.key.public, 1)
    assert (request.headers, request.identifier, request.pattern) == ([("A", "b")], "i", "p2p")
    assert (request.have, request.inline) == (None, INLINE_BYTES)
    assert scene.request(pattern="cdn").pattern == "cdn"


def test_what_is_stored_is_told(scene: Scene) -> None:
    """Unless that version is in work: then what is in work."""
    scene.stored = Shelved(b"T" * 32, 3, PIECE, 2 * PIECE, {}, Bitfield.full(1), 0.0)
    told = scene.request().have
    assert told is not None
    assert (told.task, told.fetch, told.count) == (b"T" * 32, 3, 2)

    transfer: Any = SimpleNamespace(content=SimpleNamespace(have=Bitfield.full(2)))
    transfer.reports = SimpleNamespace(holding=lambda: "in work")
    scene.transfers[b"T" * 32] = transfer
    assert cast("Any", scene.request().have) == "in work"
    transfer.content.have = Bitfield()
    assert scene.request().have is None


def test_who_comes_while_the_same_is_asked_shares_the_next_answer(scene: Scene) -> None:
    """Who has other credentials asks for himself."""
    first, second, third = scene.register(), scene.register(), scene.register()
    other = scene.register(headers=(("Authorization", "x"),))
    assert len(scene.supernodes.asked) == 2
    scene.supernodes.answers[0].callback(("s", DirectAnswer(reason="no")))
    assert first.called
    assert not second.called
    scene.supernodes.answers[2].callback(("s", DirectAnswer(reason="no")))
    assert second.called
    assert third.called
    assert not other.called
    scene.supernodes.answers[1].callback(("s", DirectAnswer(reason="no")))
    assert other.called
