"""The conversation with the peer of a home, against a scripted one."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from dragonfly.dfget import client as module
from dragonfly.dfget.client import Conversation, Result, connect, converse
from dragonfly.errors import DownloadFailed, PeerGone
from dragonfly.peer.home.sockpath import socket_path
from tests.doubles.local_peer import HANG_UP, ScriptedPeer

BYTES = {"cache": 1, "cdn": 2, "peers": 3, "origin": 4}
LAYOUT = {"event": "layout", "task": "00", "path": "/x", "length": 10}
DONE = {"event": "done", "length": 10, "bytes": BYTES, "seconds": 1.0, "reason": 8}


class _Follower:
    """Remembers what it was told."""

    tick_s: float | None = None

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.ticks = 0

    def notice(self, text: str) -> None:
        self.told.append(("notice", text))

    def layout(self, path: str, length: int | None) -> None:
        self.told.append(("layout", path, length))

    def ranges(self, ranges: list[tuple[int, int]], sources: dict[str, int]) -> None:
        self.told.append(("ranges", ranges, sources))

    def restart(self) -> None:
        self.told.append(("restart",))

    def tick(self) -> None:
        self.ticks += 1


class _Wire:
    """A socket whose other end is the test, on a clock that only silence moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.incoming = bytearray()
        self.sent = b""
        self.broken = False
        self.chunk = 1 << 20
        self.talk = Conversation(self, clock=self.clock)  # type: ignore[arg-type]
        self._timeout: float | None = None

    def clock(self) -> float:
        return self.now

    def say(self, *events: Any) -> None:
        for event in events:
            self.incoming += json.dumps(event).encode() + b"\n"

    def asked(self) -> list[str]:
        return [json.loads(line)["op"] for line in self.sent.splitlines()]

    # -- socket.socket, as far as it is used --

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def sendall(self, data: bytes) -> None:
        if self.broken:
            raise BrokenPipeError(32, "Broken pipe")
        self.sent += data

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            assert self._timeout is not None, "this would wait for ever"
            self.now += self._timeout
            raise TimeoutError
        size = min(size, self.chunk)
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data


@pytest.fixture
def wire() -> _Wire:
    """A conversation with the test itself."""
    return _Wire()


def test_nobody_there(tmp_path: Path) -> None:
    """No socket, or the socket of a dead process: start one."""
    assert connect(str(socket_path(tmp_path / "none"))) is None
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "sock"))
    dead.close()
    assert connect(str(tmp_path / "sock")) is None


def test_somebody_who_may_not_be_used(tmp_path: Path) -> None:
    """An error with the path, not an attempt to start another."""
    (tmp_path / "sock").symlink_to("sock")
    with pytest.raises(PeerGone, match=f"{tmp_path}/sock: Too many levels"):
        connect(str(tmp_path / "sock"))


def test_events_reach_the_follower(tmp_path: Path) -> None:
    """Everything is passed on in order, until the end."""
    follower = _Follower()
    ranges = {"event": "ranges", "ranges": [[0, 4], [6, 10]], "bytes": BYTES}
    script = [
        {"event": "notice", "text": "hello"}, LAYOUT, ranges, {"event": "restart"},
        {"event": "from the future", "x": 1}, LAYOUT, DONE,
    ]  # fmt: skip
    with ScriptedPeer(tmp_path, script) as peer:
        sock = connect(str(socket_path(tmp_path)))
        assert sock is not None
        talk = Conversation(sock)
        result = converse(talk, {"op": "get", "url": "u"}, follower)
        talk.close()
    assert isinstance(result, Result)
    assert (result.length, result.sources, result.reason) == (10, BYTES, 8)
    assert follower.told == [
        ("notice", "hello"),
        ("layout", "/x", 10),
        ("ranges", [(0, 4), (6, 10)], BYTES),
        ("restart",),
        ("layout", "/x", 10),
    ]
    assert peer.requests == [{"op": "get", "url": "u"}]


def test_failure_carries_what_the_peer_says(wire: _Wire) -> None:
    """The command needs class, status and reason for its exit code and last line."""
    failed = {"event": "failed", "code": "OriginRefused", "status": 404, "error": "not there",
              "retryable": False, "reason": 8, "bytes": BYTES}  # fmt: skip
    wire.say(failed)
    with pytest.raises(DownloadFailed, match="not there") as caught:
        converse(wire.talk, {}, _Follower(), clock=wire.clock)
    assert (caught.value.kind, caught.value.status) == ("OriginRefused", 404)
    assert caught.value.reason == 8


@pytest.mark.parametrize("broken", [b"\xff\xfe\n", b"[]\n", b'{"event": "ranges"}\n', b"5\n"])
def test_nonsense_is_no_peer(wire: _Wire, broken: bytes) -> None:
    """Whatever listens there, it is not what we talk to."""
    wire.incoming += broken
    with pytest.raises(PeerGone):
        converse(wire.talk, {}, _Follower(), clock=wire.clock)


def test_end_of_connection_is_a_dead_peer(tmp_path: Path) -> None:
    """It can be started again."""
    with ScriptedPeer(tmp_path, [LAYOUT, HANG_UP]):
        sock = connect(str(socket_path(tmp_path)))
        assert sock is not None
        talk = Conversation(sock)
        with pytest.raises(PeerGone, match="ended"):
            converse(talk, {"op": "get"}, _Follower())
        talk.close()


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_lines_come_in_any_pieces(wire: _Wire, chunk: int) -> None:
    """A line may take many reads; two lines may come in one."""
    ranges = [[i * 10, i * 10 + 5] for i in range(50 * chunk % 3000 + 50)]
    follower = _Follower()
    wire.chunk = chunk
    wire.say({"event": "ranges", "ranges": ranges, "bytes": BYTES}, LAYOUT, DONE)
    converse(wire.talk, {}, follower, clock=wire.clock)
    assert follower.told[0] == ("ranges", [tuple(each) for each in ranges], BYTES)
    assert follower.told[1] == ("layout", "/x", 10)


def test_silence_is_asked_about_and_a_living_peer_is_waited_for(wire: _Wire) -> None:
    """A slow origin is no dead peer."""
    follower = _Follower()
    follower.tick_s = 5.0

    def tick() -> None:
        follower.ticks += 1
        if wire.now >= 100 + 2 * module.QUIET_S + 10:
            wire.say(DONE)
        elif wire.now >= 100 + module.QUIET_S + 5 and follower.told == []:
            wire.say({"event": "pong"}, {"event": "notice", "text": "alive"})

    follower.tick = tick  # type: ignore[method-assign]
    converse(wire.talk, {"op": "get"}, follower, clock=wire.clock)
    assert wire.asked() == ["get", "ping", "ping"]


def test_a_hanging_peer_is_given_up(wire: _Wire) -> None:
    """Stopped by a debugger, or spinning: the user gets an answer in any case."""
    with pytest.raises(PeerGone, match="does not answer any more"):
        converse(wire.talk, {"op": "get"}, _Follower(), clock=wire.clock)
    assert wire.now == pytest.approx(100 + module.QUIET_S + module.ANSWER_S)


def test_the_deadline_holds_whatever_the_peer_does(wire: _Wire) -> None:
    """``--timeout`` is the user's, not the peer's."""
    with pytest.raises(DownloadFailed) as caught:
        converse(wire.talk, {"op": "get"}, _Follower(), deadline=107.0, clock=wire.clock)
    assert caught.value.kind == "TimedOut"
    assert wire.now == pytest.approx(107.0)


def test_questions_have_an_end(wire: _Wire) -> None:
    """A peer that hangs from the beginning is recognised before anything is asked of it."""
    with pytest.raises(PeerGone, match="does not answer"):
        wire.talk.ask("ping", "pong")
    assert wire.now == pytest.approx(100 + module.ANSWER_S)


def test_broken_connection_while_sending(wire: _Wire) -> None:
    """The same as while reading."""
    wire.broken = True
    with pytest.raises(PeerGone, match="ended: Broken pipe"):
        wire.talk.send({"op": "get"})
