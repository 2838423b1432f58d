"""A blob that goes straight on: its end comes only if it is the one that the path names."""

from __future__ import annotations

import hashlib

import pytest

from dragonfly.daemon.http.messages import Headers, Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.straight.namecheck import NameCheck
from tests.doubles.responding import HeardResponder, request, routed

REGISTRY = Registry(scheme="http", host="registry.example", port=5000)
PARTS = (b"first", b"second", b"last")
BODY = b"".join(PARTS)
RIGHT = f"/v2/a/b/blobs/sha256:{hashlib.sha256(BODY).hexdigest()}".encode()
WRONG = b"/v2/a/b/blobs/sha256:" + b"0" * 64


class Scene:
    """One request, and a registry that answers it."""

    def __init__(
        self, target: bytes, *, method: bytes = b"GET", why: str = "", lines: Headers = ()
    ) -> None:
        self.responder = HeardResponder(request(method, target, *lines))
        self.note = Note(method="GET", target="/", client="", why=why)

    def answer(
        self, *parts: bytes, status: int = 200, headers: Headers = (), ending: str = "finish"
    ) -> str:
        """Let the registry give this; give how the answer ended."""

        async def straight_on(responder: Responder, _route: Route, note: Note) -> None:
            responder.start(status, headers)
            for part in parts:
                responder.write(part)
            getattr(responder, ending)()
            assert responder.over
            assert responder.sent == len(self.responder.received)
            note.ending = "done"

        coroutine = NameCheck(straight_on).answer(
            self.responder, routed(self.responder.head, REGISTRY), self.note
        )
        with pytest.raises(StopIteration):
            coroutine.send(None)  # type: ignore[arg-type]
        return self.responder.ending


def test_right() -> None:
    """All of it comes."""
    scene = Scene(RIGHT)
    assert scene.answer(*PARTS) == "finished"
    assert scene.responder.received == BODY
    assert (scene.note.ending, scene.note.why) == ("done", "")


def test_wrong() -> None:
    """The end never comes, and the log says why."""
    scene = Scene(WRONG, why="no supernode is configured")
    assert scene.answer(*PARTS) == "aborted"
    assert scene.responder.received == BODY[: -len(PARTS[-1])]
    assert scene.note.ending == "aborted"
    assert scene.note.why == (
        f"no supernode is configured; then: the registry's bytes do not have sha256:{'0' * 64}"
    )


def test_nothing() -> None:
    """No bytes are not any blob, except for the one."""
    assert Scene(WRONG).answer() == "aborted"
    empty = f"/v2/a/blobs/sha256:{hashlib.sha256().hexdigest()}".encode()
    assert Scene(empty).answer() == "finished"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, ()),
        (404, ()),
        (307, ()),
        (200, ((b"Content-Encoding", b"gzip"),)),
    ],
)
def test_what_is_not_the_blob_itself(status: int, headers: Headers) -> None:
    """Parts, errors, redirects and encoded bodies pass as they are."""
    scene = Scene(WRONG)
    assert scene.answer(*PARTS, status=status, headers=headers) == "finished"
    assert scene.responder.received == BODY


@pytest.mark.parametrize(
    ("span", "ending"),
    [
        (b"bytes 0-14/15", "aborted"),
        (b"bytes 0-13/15", "finished"),
        (b"bytes 1-14/15", "finished"),
        (b"bytes 0-14/*", "finished"),
        (b"bytes */15", "finished"),
        (b"pages 1-2/2", "finished"),
    ],
)
def test_a_range_that_is_everything(span: bytes, ending: str) -> None:
    """It is the blob, whatever it is called."""
    assert len(BODY) == 15
    headers = ((b"Content-Range", span),)
    assert Scene(WRONG).answer(*PARTS, status=206, headers=headers) == ending
    assert Scene(RIGHT).answer(*PARTS, status=206, headers=headers) == "finished"


def test_encoding_that_is_none() -> None:
    """``identity`` changes nothing."""
    assert Scene(WRONG).answer(BODY, headers=((b"Content-Encoding", b"identity"),)) == "aborted"


@pytest.mark.parametrize(
    "target", [b"/v2/a/manifests/1", b"/v2/a/blobs/uploads/1", b"/v2/a/blobs/sha256:00", b"//["]
)
def test_paths_that_name_no_digest(target: bytes) -> None:
    """There is nothing to check."""
    assert Scene(target).answer(*PARTS) == "finished"


def test_head() -> None:
    """It has no body."""
    assert Scene(WRONG, method=b"HEAD").answer() == "finished"


def test_registry_that_breaks_off() -> None:
    """The cut is passed on."""
    scene = Scene(RIGHT)
    assert scene.answer(PARTS[0], ending="abort") == "aborted"


def test_client() -> None:
    """Leaving and reading are the connection's matter."""
    told: list[str] = []

    class Producer:
        def stopProducing(self) -> None:
            told.append("stop")

    async def straight_on(responder: Responder, _route: Route, _note: Note) -> None:
        responder.on_gone(lambda: told.append("gone"))
        responder.start(200, ())
        responder.registerProducer(Producer(), True)  # type: ignore[arg-type]
        scene.responder.leave()
        responder.unregisterProducer()

    scene = Scene(RIGHT)
    with pytest.raises(StopIteration):
        NameCheck(straight_on).answer(
            scene.responder, routed(scene.responder.head, REGISTRY), scene.note
        ).send(None)  # type: ignore[arg-type]
    assert told == ["stop", "gone"]


def test_a_registry_that_knows_no_ranges() -> None:
    """The range is cut out here; a blob that is another one is cut off all the same."""
    length = (b"Content-Length", b"%d" % len(BODY))
    for target, ending in ((RIGHT, "finished"), (WRONG, "aborted")):
        scene = Scene(target, lines=((b"Range", b"bytes=3-12"),))
        assert scene.answer(*PARTS, headers=(length, (b"ETag", b"x"))) == ending
        assert scene.responder.status == 206
        assert (b"Content-Range", b"bytes 3-12/%d" % len(BODY)) in scene.responder.headers
        assert (b"Content-Length", b"10") in scene.responder.headers
        assert length not in scene.responder.headers
        assert BODY[3:13].startswith(scene.responder.received)
    whole = Scene(RIGHT, lines=((b"Range", b"bytes=99-"),))
    whole.answer(*PARTS, headers=(length,))
    assert whole.responder.status == 200
