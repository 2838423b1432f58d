"""The command as users run it, as a process, with its background peer."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread

from dragonfly.dfget.client import Conversation, connect
from dragonfly.dfget.options import parse_server
from dragonfly.dfget.server import make_service
from dragonfly.errors import PeerGone
from dragonfly.peer.home.sockpath import socket_path
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Supernode, until

BODY = random.Random(13).randbytes(1_500_000)


class Run(ProcessProtocol):
    """One ``dfget``; ``ended`` fires with its exit code."""

    def __init__(self, *args: str) -> None:
        self.out = self.err = ""
        self.ended: Deferred[int] = Deferred()
        command = [sys.executable, "-m", "dragonfly.dfget", *args]
        self.process: Any = reactor.spawnProcess(self, command[0], command, env=dict(os.environ))

    def outReceived(self, data: bytes) -> None:
        """Keep it."""
        self.out += data.decode()

    def errReceived(self, data: bytes) -> None:
        """Keep it."""
        self.err += data.decode()

    def processEnded(self, reason: Any) -> None:
        """Tell the exit code."""
        self.ended.callback(reason.value.exitCode)

    @property
    def last(self) -> str:
        """The last line."""
        return self.out.splitlines()[-1]


class Place:
    """A directory with a home, an output, and no configuration of the machine's."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.output = root / "out"

    def dfget(self, url: str, *flags: str) -> Run:
        """Start the command."""
        return Run("--home", str(self.home), "-o", str(self.output), *flags, url)

    def outputs(self) -> list[bytes]:
        """What all outputs hold."""
        return [path.read_bytes() for path in self.output.parent.glob("out*")]

    def pid(self) -> int:
        """The process that serves the home."""
        return int((self.home / "lock").read_text())

    def peer_stops(self) -> None:
        """Ask the peer to end, if there is one, and wait until it has."""
        sock = connect(str(socket_path(self.home)))
        if sock is not None:
            talk = Conversation(sock)
            with suppress(PeerGone):  # it is ending already
                talk.ask("stop", "stopping")
            talk.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Its peer process ends with the test."""
    place = Place(tmp_path)
    yield place
    place.peer_stops()


@ensureDeferred
async def test_downloads_and_leaves_a_peer_behind(origin: FakeOrigin, place: Place) -> None:
    """The output is right, the last line is v1's, and a second run finds the same process."""
    origin.put("/file", BODY)
    run = place.dfget(origin.url("/file"))
    assert await run.ended == 0
    assert place.output.read_bytes() == BODY
    assert run.last.startswith("download SUCCESS cost:")
    assert run.last.endswith(f"length:{len(BODY)} reason:8")
    assert "dfget: downloading from the origin: no supernode is configured" in run.err
    pid = place.pid()
    again = place.dfget(origin.url("/file"))
    assert await again.ended == 0
    assert place.pid() == pid
    assert "that were here already" in again.out


async def piece_bytes_out(node: Supernode) -> float:
    """What the supernode says of its piece port."""
    text = await deferToThread(_read, f"http://127.0.0.1:{node.port}/metrics")
    found = re.search(r'wire_bytes_total{direction="out",port="pieces"} (\S+)', text)
    return float(found[1]) if found is not None else -1.0


def _read(url: str) -> str:
    with urlopen(url) as answer:
        return str(answer.read(), "utf-8")


@ensureDeferred
async def test_through_the_swarm(origin: FakeOrigin, place: Place, tmp_path: Path) -> None:
    """With a supernode the origin is read by that alone."""
    node = await Supernode.started(tmp_path / "node")
    origin.put("/file", BODY)
    run = place.dfget(origin.url("/file"), "--node", str(node.node))
    assert await run.ended == 0
    assert place.output.read_bytes() == BODY
    assert run.last.endswith("reason:0")
    assert run.err == ""
    assert await piece_bytes_out(node) > len(BODY)
    place.peer_stops()
    await node.stop()


@ensureDeferred
async def test_errors_have_their_exit_codes(origin: FakeOrigin, place: Place) -> None:
    """And leave an existing output alone."""
    place.output.write_bytes(b"old")
    origin.put("/secret", BODY, basic=("user", "right"))
    origin.put("/file", BODY)
    for url, flags, code in (
        (origin.url("/nothing"), (), 8),
        (origin.url("/secret"), (), 6),
        ("http://127.0.0.1:1/file", (), 4),
        (origin.url("/file"), ("--md5", "0" * 32), 9),
        (origin.url("/file"), ("--locallimit", "20X"), 2),
    ):
        run = place.dfget(url, *flags)
        assert await run.ended == code, (url, run.out, run.err)
        if code != 2:
            assert run.last.startswith(f"download FAIL({code}) cost:")
    assert place.output.read_bytes() == b"old"


@ensureDeferred
async def test_interrupted_and_continued(origin: FakeOrigin, place: Place) -> None:
    """SIGINT ends it with 130, leaves no output, and the next run goes on."""
    page = origin.put("/file", BODY, stall_after=1_000_000)
    run = place.dfget(origin.url("/file"))
    await until(lambda: origin.sent("/file") >= 1_000_000 and _stored(place) > 20)
    run.process.signalProcess("INT")
    assert await run.ended == 130
    assert "interrupted" in run.last
    assert not place.output.exists()
    page.stall_after = None
    again = place.dfget(origin.url("/file"))
    assert await again.ended == 0
    assert place.output.read_bytes() == BODY
    assert "that were here already" in again.out


@ensureDeferred
async def test_the_peer_is_killed_in_mid_transfer(origin: FakeOrigin, place: Place) -> None:
    """The command starts another one, which goes on where the first was."""
    page = origin.put("/file", BODY, stall_after=1_000_000)
    run = place.dfget(origin.url("/file"))
    await until(lambda: origin.sent("/file") >= 1_000_000 and _stored(place) > 20)
    page.stall_after = None
    os.kill(place.pid(), signal.SIGKILL)
    assert await run.ended == 0
    assert place.output.read_bytes() == BODY
    assert "starting it again and continuing" in run.err


@ensureDeferred
async def test_inside_one_process(origin: FakeOrigin, place: Place) -> None:
    """--alivetime 0 leaves no process behind, and what it kept is used by the next."""
    origin.put("/file", BODY)
    run = place.dfget(origin.url("/file"), "--alivetime", "0")
    assert await run.ended == 0
    assert place.output.read_bytes() == BODY
    assert not socket_path(place.home).exists()
    again = place.dfget(origin.url("/file"), "--alivetime", "0")
    assert await again.ended == 0
    assert "that were here already" in again.out


@ensureDeferred
async def test_inside_one_process_interrupted(origin: FakeOrigin, place: Place) -> None:
    """Ctrl-C reaches it there as well, and leaves a state that is continued."""
    page = origin.put("/file", BODY, stall_after=1_000_000)
    run = place.dfget(origin.url("/file"), "--alivetime", "0")
    await until(lambda: origin.sent("/file") >= 1_000_000 and _stored(place) > 20)
    run.process.signalProcess("INT")
    assert await run.ended == 130
    page.stall_after = None
    again = place.dfget(origin.url("/file"), "--alivetime", "0")
    assert await again.ended == 0
    assert place.output.read_bytes() == BODY
    assert "that were here already" in again.out


@ensureDeferred
async def test_a_home_that_cannot_be(origin: FakeOrigin, tmp_path: Path) -> None:
    """The download works all the same, in a temporary home, and the user is told."""
    (tmp_path / "file").write_bytes(b"")
    origin.put("/file", BODY)
    output = tmp_path / "out"
    run = Run("--home", str(tmp_path / "file" / "home"), "-o", str(output), origin.url("/file"))
    assert await run.ended == 0
    assert output.read_bytes() == BODY
    assert "using a temporary home" in run.err


@ensureDeferred
async def test_a_peer_that_cannot_be_talked_to(origin: FakeOrigin, place: Place) -> None:
    """The home has a socket that is of no use: the download does without that home."""
    origin.put("/file", BODY)
    place.home.mkdir()
    socket_path(place.home).symlink_to(socket_path(place.home))
    run = place.dfget(origin.url("/file"))
    assert await run.ended == 0
    assert place.output.read_bytes() == BODY
    assert "using a temporary home for this download" in run.err
    socket_path(place.home).unlink()


@ensureDeferred
async def test_several_at_once_start_one_peer(origin: FakeOrigin, place: Place) -> None:
    """The lock elects one; all are served by it."""
    origin.put("/file", BODY)
    runs = [
        Run("--home", str(place.home), "-o", f"{place.output}{n}", origin.url("/file"))
        for n in range(4)
    ]
    assert [await run.ended for run in runs] == [0] * 4
    assert place.outputs() == [BODY] * 4


@ensureDeferred
async def test_the_server_ends_when_idle_and_cleans_up(place: Place) -> None:
    """It ends with 0, and its socket is gone."""
    run = Run("server", "--home", str(place.home), "--alivetime", "200ms")
    assert await run.ended == 0
    assert "peer ends: idle for" in run.err
    assert not socket_path(place.home).exists()


@ensureDeferred
async def test_the_server_obeys_sigterm(place: Place) -> None:
    """It ends in order."""
    run = Run("server", "--home", str(place.home))
    await until(lambda: "peer ready" in run.err)
    busy = Run("server", "--home", str(place.home))
    assert await busy.ended == 3
    assert "another process serves the home" in busy.err
    assert socket_path(place.home).stat().st_mode & 0o777 == 0o600
    run.process.signalProcess("TERM")
    assert await run.ended == 0
    assert not socket_path(place.home).exists()


@ensureDeferred
async def test_a_port_that_is_taken(place: Place) -> None:
    """The server says which, and ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = Run("server", "--home", str(place.home), "--port", str(port))
        assert await run.ended == 1
    assert f"port {port} is taken" in run.err


def _stored(place: Place) -> int:
    """How many pieces the journals of the home hold."""
    journals = place.home.glob("store/tasks/*/*/journal")
    return sum(journal.stat().st_size // 8 for journal in journals)


@ensureDeferred
async def test_the_status_of_a_peer_tells_how_late_its_reactor_is(tmp_path: Path) -> None:
    """Looked at as long as it serves."""
    service = make_service(parse_server(["--home", str(tmp_path / "home")]), reactor)

    def looks() -> int:
        return int(service.status()["reactor_lateness"]["le"]["+Inf"])

    service.startService()
    try:
        assert looks() == 0
        await until(looks)
    finally:
        await service.stopService()
