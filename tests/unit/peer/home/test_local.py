"""The Unix socket of a home, without a socket: requests in, events out, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from dragonfly.errors import (
    DigestMismatch,
    DragonflyError,
    NoSources,
    OriginRefused,
    TrackerError,
)
from dragonfly.net.trust import Trust
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.home.local import LINE_BYTES, LocalFactory, LocalServer
from dragonfly.peer.home.rangebatch import RANGES_EVERY_S
from dragonfly.task.digest import Digest
from dragonfly.task.layout import Layout
from tests.doubles.bounded_pipe import BoundedPipe, pump

GET = {"op": "get", "url": "http://o/f"}


@attrs.define(eq=False)
class FakeDownload:
    """A download of which a test decides everything."""

    request: FetchRequest
    task: bytes = b"T" * 32
    path: Path = Path("/store/data")
    layout: Layout = attrs.field(factory=lambda: Layout(32768, 100))
    sources: dict[str, int] = attrs.field(factory=lambda: {"cdn": 0, "peers": 7})
    seconds: float = 1.23456
    reason: int = 3
    cancelled: int = 0
    listener: Any = None

    def add_listener(self, listener: Any) -> None:
        """One."""
        self.listener = listener

    def cancel(self) -> None:
        """Count."""
        self.cancelled += 1


class Client(Protocol):
    """The other end of the socket."""

    def __init__(self) -> None:
        self.received = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        """Keep."""
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        """The peer hung up."""
        self.gone = True

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that was said, line by line."""
        assert not self.received or self.received.endswith(b"\n")
        return [json.loads(line) for line in self.received.splitlines()]


class Scene:
    """One client at the socket of a peer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.downloads: list[FakeDownload] = []
        self.refusal: DragonflyError | None = None
        self.stopped = 0
        self.users = 0
        server = LocalServer(
            fetch=self._fetch,  # type: ignore[arg-type]
            stop=self._stop,
            status=lambda: {"tasks": 2},
            used=self._used,
            clock=self.clock,
        )
        self.factory = LocalFactory(server)
        self.client = Client()
        self.protocol = self.factory.buildProtocol(None)
        self.mine, self.theirs = BoundedPipe.pair(high=1000, low=100)
        self.mine.connect(self.protocol)  # type: ignore[arg-type]
        self.theirs.connect(self.client)  # type: ignore[arg-type]

    def _fetch(self, request: FetchRequest) -> FakeDownload:
        if self.refusal is not None:
            raise self.refusal
        self.downloads.append(FakeDownload(request))
        return self.downloads[-1]

    def _stop(self) -> None:
        self.stopped += 1

    def _used(self, change: int) -> None:
        self.users += change

    def say(self, message: Any) -> list[dict[str, Any]]:
        """Send a line; give what was answered to it."""
        before = len(self.client.events)
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.theirs.write(raw + b"\n")
        return self.hear()[before:]

    def hear(self) -> list[dict[str, Any]]:
        """Everything that was said so far."""
        pump(self.mine, self.theirs)
        return self.client.events

    def get(self, **fields: Any) -> FakeDownload:
        """Ask for a download."""
        assert self.say({**GET, **fields}) == []
        return self.downloads[-1]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A client; it hangs up at the end, and no timer is left."""
    scene = Scene()
    yield scene
    scene.theirs.abortConnection()
    assert scene.users == 0
    assert not scene.factory.connected
    assert scene.clock.getDelayedCalls() == []


# -- requests ------------------------------------------


def test_a_peer_says_who_it_is(scene: Scene) -> None:
    """Version and process, so that dfget can tell an old one."""
    (event,) = scene.say({"op": "ping"})
    assert event["event"] == "pong"
    assert {"version", "pid"} <= set(event)


def test_status_and_stop(scene: Scene) -> None:
    """What the owner says; stopping is the owner's, too."""
    assert scene.say({"op": "status"}) == [{"event": "status", "tasks": 2}]
    assert scene.say({"op": "stop"}) == [{"event": "stopping"}]
    assert scene.stopped == 1


def test_clients_are_counted() -> None:
    """A peer with clients does not end."""
    scene = Scene()
    assert scene.users == 1
    scene.theirs.loseConnection()
    scene.hear()
    assert scene.users == 0


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b'"get"',
        b"{}",
        b'{"op":"dance"}',
        b'{"op":"get"}',
        b"\xff",
        b"[" * 100_000,
    ],
    ids=["empty", "word", "list", "text", "nothing", "unknown", "url", "bytes", "deep"],
)
def test_a_bad_request_is_answered_and_the_next_is_served(scene: Scene, line: bytes) -> None:
    """With one event; nothing is logged as a bug."""
    (event,) = scene.say(line)
    assert event["event"] == "failed"
    assert event["error"]
    assert scene.say({"op": "ping"})[0]["event"] == "pong"


def test_an_endless_line_ends_the_conversation(scene: Scene) -> None:
    """After an answer that says why."""
    scene.theirs.write(b"x" * (LINE_BYTES + 1))
    (event,) = scene.hear()
    assert event["code"] == "ConfigError"
    assert scene.client.gone


def test_a_get_carries_everything(scene: Scene) -> None:
    """Each option of dfget arrives in the request."""
    digest = "sha256:" + "ab" * 32
    request = scene.get(
        headers=[["A", "b"]],
        filters=["token"],
        identifier="i",
        digest=digest,
        pattern="cdn",
        notbs=True,
        nodes=["host:8002"],
        locallimit=10,
        totallimit=20,
        minrate=5,
        timeout=1.5,
        clientqueue=4,
        cacerts="/ca",
        insecure=True,
        callsystem="me",
    ).request
    assert request.url == GET["url"]
    assert request.headers == (("A", "b"),)
    assert request.filters == ("token",)
    assert request.digest == Digest.parse(digest)
    assert (request.identifier, request.pattern, request.callsystem) == ("i", "cdn", "me")
    assert (request.local_limit, request.total_limit, request.min_rate) == (10, 20, 5)
    assert (request.timeout_s, request.client_queue) == (1.5, 4)
    assert request.trust == Trust(cacerts="/ca", insecure=True)
    assert request.notbs
    assert [node.host for node in request.nodes] == ["host"]


def test_one_connection_has_one_download(scene: Scene) -> None:
    """The second is refused, the first goes on."""
    download = scene.get()
    (event,) = scene.say(GET)
    assert event["event"] == "failed"
    assert not download.cancelled


def test_a_download_that_cannot_begin_is_answered(scene: Scene) -> None:
    """And another may be asked for."""
    scene.refusal = NoSources("this peer is stopping")
    (event,) = scene.say(GET)
    assert (event["code"], event["retryable"]) == ("NoSources", True)
    scene.refusal = None
    assert scene.say(GET) == []


# -- events ------------------------------------------


def test_a_layout_tells_where_the_bytes_are(scene: Scene) -> None:
    """The length may be unknown."""
    download = scene.get()
    download.layout = Layout(32768)
    download.listener.on_layout(download.layout)
    assert scene.hear() == [
        {"event": "layout", "task": "54" * 32, "path": "/store/data", "length": None}
    ]


def test_ranges_are_gathered_and_joined(scene: Scene) -> None:
    """One event for all that came within the interval."""
    download = scene.get()
    for each in ([(0, 10)], [(20, 30), (10, 15)]):
        download.listener.on_ranges(each)
    assert scene.hear() == []
    scene.clock.advance(RANGES_EVERY_S)
    (event,) = scene.hear()
    assert event["ranges"] == [[0, 15], [20, 30]]
    assert event["bytes"] == {"cdn": 0, "peers": 7}


def test_the_end_comes_after_the_last_range(scene: Scene) -> None:
    """Nothing is said after it."""
    download = scene.get()
    download.listener.on_ranges([(0, 100)])
    download.listener.on_done()
    scene.clock.advance(1.0)
    ranges, done = scene.hear()
    assert ranges["ranges"] == [[0, 100]]
    assert done == {
        "event": "done",
        "length": 100,
        "bytes": {"cdn": 0, "peers": 7},
        "seconds": 1.235,
        "reason": 3,
    }


@pytest.mark.parametrize(
    ("error", "code", "status", "retryable"),
    [
        (OriginRefused("no", 403), "OriginRefused", 403, False),
        (TrackerError("no", 500), "TrackerError", 500, False),
        (DigestMismatch("no"), "DigestMismatch", 0, False),
        (NoSources("no"), "NoSources", 0, True),
    ],
)
def test_a_failure_is_the_last_event(
    scene: Scene, error: Exception, code: str, status: int, retryable: bool
) -> None:
    """Ranges that waited are told before it: they are worth something to who tries again."""
    download = scene.get()
    download.listener.on_ranges([(0, 50)])
    download.listener.on_failed(error)
    scene.clock.advance(1.0)
    ranges, failed = scene.hear()
    assert ranges["ranges"] == [[0, 50]]
    assert (failed["event"], failed["error"]) == ("failed", "no")
    assert (failed["code"], failed["status"]) == (code, status)
    assert (failed["retryable"], failed["reason"]) == (retryable, 3)
    assert failed["bytes"] == {"cdn": 0, "peers": 7}


def test_a_restart_takes_back_what_waited(scene: Scene) -> None:
    """Its ranges are another version's."""
    download = scene.get()
    download.listener.on_ranges([(0, 50)])
    download.listener.on_restart()
    download.listener.on_notice("beginning again")
    scene.clock.advance(1.0)
    assert scene.hear() == [
        {"event": "restart"},
        {"event": "notice", "text": "beginning again"},
    ]


def test_a_client_that_does_not_read_costs_one_line(scene: Scene) -> None:
    """Ranges are gathered until it does, and then told in one event."""
    download = scene.get()
    scene.theirs.pauseProducing()
    for piece in range(1000):
        download.listener.on_ranges([(piece * 10, piece * 10 + 9)])
        scene.clock.advance(RANGES_EVERY_S)
    assert len(scene.mine.queued) < 5000
    scene.theirs.resumeProducing()
    events = scene.hear()
    assert sum(len(event["ranges"]) for event in events) == 1000
    assert len(events) < 20


def test_the_end_reaches_a_client_that_does_not_read(scene: Scene) -> None:
    """It is in the transport's hands, whatever was held back before it."""
    download = scene.get()
    scene.theirs.pauseProducing()
    for piece in range(100):
        download.listener.on_ranges([(piece * 10, piece * 10 + 9)])
        scene.clock.advance(RANGES_EVERY_S)
    download.listener.on_done()
    scene.theirs.resumeProducing()
    events = scene.hear()
    assert [event["event"] for event in events[-2:]] == ["ranges", "done"]
    assert sum(len(event["ranges"]) for event in events[:-1]) == 100


# -- the end of a conversation ------------------------------------------


def test_a_client_that_hangs_up_gives_up_its_request() -> None:
    """Whatever the download says then goes nowhere."""
    scene = Scene()
    download = scene.get()
    download.listener.on_ranges([(0, 1)])
    scene.theirs.abortConnection()
    assert download.cancelled == 1
    download.listener.on_layout(download.layout)
    download.listener.on_done()
    download.listener.on_failed(NoSources("no"))
    assert scene.clock.getDelayedCalls() == []


def test_hanging_up_on_all_lets_them_read_to_the_end() -> None:
    """What was said is still delivered."""
    scene = Scene()
    scene.protocol.on_notice("last words")
    scene.factory.hang_up()
    assert scene.hear() == [{"event": "notice", "text": "last words"}]
    assert scene.client.gone
    assert not scene.factory.connected
