"""Who answers which request, and what is logged of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.desk import Desk
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import DOCTOR, Note
from dragonfly.daemon.routing.registries import Registries
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.routing.rules import Rules
from dragonfly.errors import ClientGone, ConfigError, DragonflyError, OriginUnreachable
from tests.doubles.responding import HeardResponder, request

BLOB = b"/v2/x/blobs/sha256:" + b"0" * 64
PLACE = parse_registry("https://registry.example")
VIA = b"dfdaemon-1"

Deed = Callable[[Responder], Awaitable[None]]


async def fine(responder: Responder) -> None:
    """Answer in two bytes."""
    responder.start(200, ((b"Content-Length", b"2"),))
    responder.write(b"ok")
    responder.finish()


class Answering:
    """Notes whom it answered."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.deed: Deed = fine
        self.why = ""

    async def answer(self, responder: Responder, route: Route, note: Note) -> None:
        """Do what the test says."""
        assert route.registry is PLACE
        self.asked.append(responder.head.target)
        note.because(self.why)
        await self.deed(responder)


class Scene:
    """A desk."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.blobs, self.passthrough = Answering(), Answering()
        self.notes: list[Note] = []
        self.desk = Desk(
            Router(Registries(PLACE), Rules(), hosts_in_paths=False),
            blobs=self.blobs,
            passthrough=self.passthrough,
            via=VIA,
            log=self.notes.append,
            clock=self.clock,
        )
        self.result: list[Any] = []

    def ask(
        self, target: bytes = b"/v2/", *lines: tuple[bytes, bytes], method: bytes = b"GET"
    ) -> HeardResponder:
        """One request."""
        responder = HeardResponder(request(method, target, *lines))
        self.answering = Deferred.fromCoroutine(self.desk.answer(responder))
        self.answering.addBoth(self.result.append)
        return responder

    @property
    def note(self) -> Note:
        """The only one."""
        (note,) = self.notes
        return note

    @property
    def error(self) -> BaseException:
        """What was raised."""
        error = self.result[0].value
        assert isinstance(error, BaseException)
        return error


@pytest.fixture
def scene() -> Scene:
    """A desk of its own."""
    return Scene()


def test_blobs_and_the_rest(scene: Scene) -> None:
    """By the rules."""
    scene.ask(BLOB)
    scene.ask(BLOB, method=b"HEAD")
    scene.ask(b"/v2/x/manifests/latest")
    scene.ask(BLOB, method=b"PUT")
    assert scene.blobs.asked == [BLOB, BLOB]
    assert scene.passthrough.asked == [b"/v2/x/manifests/latest", BLOB]


def test_what_is_logged(scene: Scene) -> None:
    """The numbers of the answer; the query is no part of it."""
    waiting: Deferred[None] = Deferred()

    async def later(responder: Responder) -> None:
        await waiting
        await fine(responder)

    scene.passthrough.deed = later
    scene.ask(b"/v2/x/tags/list?n=secret")
    assert scene.notes == []
    scene.clock.advance(2.5)
    waiting.callback(None)
    note = scene.note
    assert (note.method, note.target, note.registry) == ("GET", "/v2/x/tags/list", str(PLACE))
    assert (note.status, note.sent, note.seconds, note.ending) == (200, 2, 2.5, "done")


def test_who_asks(scene: Scene) -> None:
    """What dfdaemon doctor asks is marked, so that it is not taken for an engine."""
    scene.ask(b"/v2/", (b"User-Agent", b"containerd/2.1.0"))
    scene.ask(b"/v2/")
    scene.ask(b"/v2/", (b"User-Agent", DOCTOR.encode()))
    assert [note.trial for note in scene.notes] == [False, False, True]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"GET", b"ftp://other.example/v2/", 400),
        (b"GET", b"http://other.example:25/v2/", 403),
        (b"GET", b"other", 400),
        (b"OPTIONS", b"*", 501),
    ],
)
def test_what_is_not_done(scene: Scene, method: bytes, target: bytes, status: int) -> None:
    """It says so, and that is logged."""
    responder = scene.ask(target, method=method)
    assert responder.status == status
    assert (b"X-Dragonfly-Error-Type", b"proxy") in responder.headers
    assert responder.ending == "finished"
    assert scene.note.status == status
    assert scene.note.why
    assert scene.passthrough.asked == []


def test_a_loop(scene: Scene) -> None:
    """The registry that is configured is this very process, perhaps by a detour."""
    responder = scene.ask(b"/v2/", (b"Via", b"1.1 other, 1.1 " + VIA))
    assert responder.status == 508
    assert b"loop" in responder.received
    assert scene.ask(b"/v2/", (b"Via", b"1.1 other")).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [(b"CONNECT", b"other.example:443"), (b"GET", b"http://other.example/v2/")],
)
def test_a_proxy_that_is_this_process(scene: Scene, method: bytes, target: bytes) -> None:
    """A loop as well, whatever it asks for."""
    assert scene.ask(target, (b"Via", b"1.1 " + VIA), method=method).status == 508


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OriginUnreachable("registry.example: connection refused"), 502),
        (ConfigError("cacerts /x: no such file"), 500),
        (ClientGone("the body of the request is incomplete"), 400),
    ],
)
def test_errors_before_the_answer(scene: Scene, error: DragonflyError, status: int) -> None:
    """The client is told, and the log knows what."""

    async def fail(_: Responder) -> None:
        raise error

    scene.passthrough.deed = fail
    responder = scene.ask()
    assert responder.status == status
    assert str(error).encode() in responder.received
    assert (scene.note.status, scene.note.why) == (status, str(error))
    assert scene.result == [None]


def test_what_led_to_an_error(scene: Scene) -> None:
    """Not only why it was asked straight on, but also why that failed."""

    async def fail(_: Responder) -> None:
        raise OriginUnreachable("connection refused")

    scene.blobs.why, scene.blobs.deed = "no supernode is configured", fail
    assert scene.ask(BLOB).status == 502
    assert scene.note.why == "no supernode is configured; then: connection refused"


def test_errors_within_the_answer(scene: Scene) -> None:
    """The front, which gets the error, cuts it."""

    async def fail(responder: Responder) -> None:
        responder.start(200, ())
        responder.write(b"abc")
        raise OriginUnreachable("cut")

    scene.passthrough.deed = fail
    scene.ask()
    assert isinstance(scene.error, OriginUnreachable)
    assert (scene.note.status, scene.note.sent, scene.note.ending) == (200, 3, "aborted")


def test_bugs(scene: Scene) -> None:
    """Logged like everything else; what they say may be anything, so it is not repeated."""

    async def fail(_: Responder) -> None:
        raise ValueError("secret")

    scene.blobs.deed = fail
    responder = scene.ask(BLOB)
    assert isinstance(scene.error, ValueError)
    assert responder.status == 0
    assert (scene.note.status, scene.note.ending) == (500, "aborted")
    assert "secret" not in scene.note.why


def test_the_client_goes(scene: Scene) -> None:
    """Whatever the answer makes of that."""
    waiting: Deferred[None] = Deferred()

    async def wait(responder: Responder) -> None:
        responder.start(200, ())
        await waiting
        raise OriginUnreachable("cut")

    scene.passthrough.deed = wait
    responder = scene.ask()
    responder.leave()
    waiting.callback(None)
    assert scene.note.ending == "gone"
    assert scene.result == [None]


def test_cancelling(scene: Scene) -> None:
    """It is logged, and passed on."""
    waiting: Deferred[None] = Deferred()

    async def wait(_: Responder) -> None:
        await waiting

    scene.passthrough.deed = wait
    scene.ask()
    scene.answering.cancel()
    assert isinstance(scene.error, CancelledError)
    assert scene.note.ending == "aborted"
