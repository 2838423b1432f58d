"""The dfdaemon whose place is taken: what it may answer, and what is made of that."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dragonfly.daemon.lifetime.predecessor import Predecessor
from dragonfly.daemon.lifetime.sidedoor import side_door
from dragonfly.errors import HomeBusy
from dragonfly.peer.home.home import Home

HANDED = {"event": "sockets", "names": ["dfdaemon", "dfdaemon-peer"]}


class Old:
    """Answers the first line with ``answer`` and ``sockets``; reads the others until the end."""

    def __init__(self, home: Path) -> None:
        self.answer = json.dumps(HANDED).encode() + b"\n"
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.heard: list[str] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(Home(home).prepare_socket()))
        self._listening.listen()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        self._listening.settimeout(10)
        wire, _ = self._listening.accept()
        wire.settimeout(10)
        with wire, wire.makefile("rb") as lines:
            self._hear(lines.readline())
            numbers = [each.fileno() for each in self.sockets]
            for at, number in enumerate(numbers):  # one by one, as Twisted does
                socket.send_fds(wire, [self.answer[at : at + 1]], [number])
            with suppress(OSError):  # who is talked to too much hangs up
                wire.sendall(self.answer[len(numbers) :])
            if self.answer.endswith(b"\n"):
                for line in lines:
                    self._hear(line)
                    if self.heard[-1] == "free":
                        wire.sendall(b'{"event":"leaving"}\n')

    def _hear(self, line: bytes) -> None:
        message = json.loads(line)
        assert message.pop("op") == "takeover"
        assert message["pid"] == os.getpid()
        self.heard.append(message["step"])

    def end(self) -> None:
        """Wait for the end of the conversation."""
        self._thread.join(10)
        self._listening.close()
        for each in self.sockets:
            each.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of both."""
    return tmp_path


@pytest.fixture
def old(home: Path) -> Iterator[Old]:
    """One that runs."""
    found = Old(home)
    yield found
    found.end()


def test_all_steps(home: Path, old: Old) -> None:
    """Its sockets come under their names."""
    new = Predecessor.met(home)
    assert new is not None
    ports = {name: sock.getsockname()[1] for name, sock in new.sockets.items()}
    assert ports == {
        name: sock.getsockname()[1]
        for name, sock in zip(["dfdaemon", "dfdaemon-peer"], old.sockets, strict=True)
    }
    assert not any(sock.get_inheritable() for sock in new.sockets.values())
    new.free()
    assert readable(new._wire)
    new.serving()
    new.close()
    old.end()
    assert old.heard == ["begin", "free", "serving"]


def test_nobody_is_there(home: Path) -> None:
    """There may be a socket of a dead one."""
    assert Predecessor.met(home) is None
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(Home(home).prepare_socket()))
    assert Predecessor.met(home) is None


def test_one_that_may_not_be_talked_to(home: Path) -> None:
    """A socket of another kind stands for whatever the system says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(Home(home).prepare_socket()))
        with pytest.raises(HomeBusy, match="does not hand over"):
            Predecessor.met(home)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"event":"failed","error":"it is ending"}\n', "it is ending"),
        (b"[]\n", "does not know how"),
        (b"?\n", "does not know how"),
        (b'{"event":"sockets","names":["a"]}\n', "2 sockets came for 1 names"),
        (b"{}", "hung up"),
        (b"x" * 70_000, "talks too much"),
    ],
)
def test_odd_answers(home: Path, old: Old, answer: bytes, words: str) -> None:
    """It is left alone, and nothing of what came is kept."""
    before = len(os.listdir("/proc/self/fd"))
    old.answer = answer
    with pytest.raises(HomeBusy, match=f"home {home} does not hand over: .*{words}"):
        Predecessor.met(home)
    old.end()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_peer_of_dfget_is_no_predecessor(home: Path, old: Old) -> None:
    """It hands nothing over, and ends when it is asked to."""
    old.answer = b'{"event":"failed","error":"unknown request \'takeover\'"}\n'
    old.sockets.pop().close()
    old.sockets.pop().close()
    assert Predecessor.met(home) is None


def test_one_without_a_home_is_met_at_its_side_door(home: Path) -> None:
    """Whoever has the home."""
    side_door(home).mkdir()
    old, other = Old(side_door(home)), Old(home)
    new = Predecessor.met(home)
    assert new is not None
    new.close()
    old.end()
    assert (old.heard, other.heard) == (["begin"], [])
    again = Predecessor.met(home)
    assert again is not None
    again.close()
    other.end()


def test_one_that_is_at_work(home: Path, old: Old) -> None:
    """It says so, or it does not."""
    new = Predecessor.met(home)
    assert new is not None
    assert not new.at_work()
    new.free()
    assert readable(new._wire)
    assert new.at_work()
    assert not new.at_work()
    new.close()


def readable(sock: socket.socket) -> bool:
    """Wait until something came."""
    return bool(select.select([sock], [], [], 10)[0])


def test_one_that_is_gone(home: Path, old: Old) -> None:
    """Before the home was asked for."""
    old.answer = json.dumps(HANDED).encode() + b"\n"
    new = Predecessor.met(home)
    assert new is not None
    new._wire.close()
    with pytest.raises(HomeBusy):
        new.free()
    new.close()
