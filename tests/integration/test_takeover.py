"""A dfdaemon that takes over from another one in this process, step by step, or fails to."""

from __future__ import annotations

import hashlib
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from dragonfly.daemon.composition import make_daemon
from dragonfly.daemon.lifetime.predecessor import Predecessor
from dragonfly.daemon.lifetime.sidedoor import side_door
from dragonfly.errors import HomeBusy
from dragonfly.peer.home.home import Home
from dragonfly.peer.home.sockpath import socket_path
from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Supernode, until

BLOB = random.Random(18).randbytes(300_000)
PATH = f"/v2/app/blobs/sha256:{hashlib.sha256(BLOB).hexdigest()}"
Start = Callable[..., Awaitable[Daemon]]


@pytest_twisted.async_yield_fixture
async def start(tmp_path: Path, origin: FakeOrigin, node: Supernode) -> AsyncIterator[Start]:
    """Starts a dfdaemon in the one home; all of them end with the test."""
    started: list[Daemon] = []

    async def begin(**config: Any) -> Daemon:
        home, url = tmp_path / "home", origin.url("")
        repo = str(tmp_path / "repo")
        started.append(await Daemon.started(home, url, node, local_repo=repo, **config))
        return started[-1]

    origin.put(PATH, BLOB)
    yield begin
    for each in started:
        await each.stop()


async def met(home: Path) -> Predecessor:
    """Whoever is there."""
    found: Predecessor | None = await deferToThread(Predecessor.met, home)
    assert found is not None
    return found


async def through_swarm(daemon: Daemon) -> bool:
    """Whether a pull comes that way; it is right in any case."""
    answer = await daemon.get(PATH)
    assert (answer.status, answer.body) == (200, BLOB)
    return answer.headers["x-dragonfly-source"] != "origin"


def is_free(home: Path) -> bool:
    """Whether nobody has it."""
    trial = Home(home)
    try:
        trial.lock()
    except HomeBusy:
        return False
    trial.unlock()
    return True


@ensureDeferred
async def test_all_steps(start: Start, tmp_path: Path) -> None:
    """Its sockets, then its home, then its work; it answers all the while."""
    home = tmp_path / "home"
    old = await start()
    service = old.service
    ports = [service.ports.front.port, service.ports.status.port, service.peer.pieces.port]
    new = await met(home)
    assert list(new.sockets) == ["dfdaemon", "dfdaemon-status", "dfdaemon-peer"]
    assert [sock.getsockname()[1] for sock in new.sockets.values()] == ports
    assert await through_swarm(old)
    new.free()
    await until(lambda: is_free(home) and is_free(tmp_path / "repo"))
    assert not await through_swarm(old)
    ended = service.finished.wait()
    new.serving()
    assert await ended == os.getpid()
    front = new.sockets.pop("dfdaemon")
    new.close()
    await old.stop()
    with front, socket.create_connection(("127.0.0.1", ports[0]), 5):
        pass  # nobody accepts, and nobody refuses


@ensureDeferred
async def test_one_that_fails_before_the_home_is_free(start: Start, tmp_path: Path) -> None:
    """Nothing has happened; another one may come."""
    old = await start()
    (await met(tmp_path / "home")).close()
    assert await through_swarm(old)
    await until_met(tmp_path / "home")


async def until_met(home: Path) -> None:
    """Wait until another one may take over."""
    while not await may_be_met(home):
        pass


async def may_be_met(home: Path) -> bool:
    """Whether the one that is there hands over; it does not come to that."""
    try:
        (await met(home)).close()
    except HomeBusy:
        return False
    return True


@ensureDeferred
async def test_one_that_fails_later(start: Start, tmp_path: Path) -> None:
    """The old one takes its home again, and its port, and serves through the swarm."""
    home = tmp_path / "home"
    old = await start(rate_limit=1 << 30)
    port = old.service.peer.pieces.port
    before = old.service.peer
    assert await through_swarm(old)
    new = await met(home)
    new.free()
    await until(lambda: is_free(home))
    new.close()
    await until(lambda: old.service.peer is not before and old.service.peer.running)
    assert await through_swarm(old)
    assert old.service.peer.pieces.port == port
    assert old.service.peer.total is before.total
    assert (await old.status("/healthy")).json["ok"]
    await until_met(home)
    assert b"uploaded_bytes_total" in (await old.status("/metrics")).body


async def lost(old: Daemon, home: Path) -> Home:
    """Have it give up its home for one that fails, while another one has it; give that."""
    new = await met(home)
    new.free()
    other = Home(home)
    await until(lambda: is_free(home))
    other.lock()
    new.close()
    await until(lambda: socket_path(side_door(home)).exists())
    return other


@ensureDeferred
async def test_one_that_fails_while_another_has_the_home(start: Start, tmp_path: Path) -> None:
    """It cannot have it at once: pulls go on from the registry, until it can."""
    home = tmp_path / "home"
    old = await start()
    port = old.service.peer.pieces.port
    other = await lost(old, home)
    assert not await through_swarm(old)
    other.unlock()
    await until(lambda: old.service.peer.running)
    assert await through_swarm(old)
    assert old.service.peer.pieces.port == port
    assert not socket_path(side_door(home)).exists()
    await until_met(home)


@ensureDeferred
async def test_the_peer_cannot_be_had_again_at_first(start: Start, tmp_path: Path) -> None:
    """What was begun for it is undone, and tried again."""
    home = tmp_path / "home"
    old = await start()
    port = old.service.peer.pieces.port
    new = await met(home)
    new.free()
    await until(lambda: is_free(home))
    (home / "sock").mkdir()  # the home's own socket cannot be made
    new.close()
    await until(lambda: socket_path(side_door(home)).exists())
    assert not await through_swarm(old)
    assert is_free(home)
    assert is_free(tmp_path / "repo")
    (home / "sock").rmdir()
    await until(lambda: old.service.peer.running)
    assert await through_swarm(old)
    assert old.service.peer.pieces.port == port


@ensureDeferred
async def test_one_without_a_home_is_replaced(start: Start, tmp_path: Path) -> None:
    """Its sockets are had at its side door, the piece port among them."""
    home = tmp_path / "home"
    old = await start()
    ports = old.service.ports.numbers()
    pieces = old.service.peer.pieces.port
    other = await lost(old, home)
    (await met(home)).close()  # one that fails again, early
    assert not await through_swarm(old)
    await until_met(home)
    blocking: Deferred[Daemon] = deferToThread(start_blocking, old.service.config)
    other.unlock()
    new = await blocking
    new.service.privilegedStartService()
    new.service.startService()
    await old.service.finished.wait()
    await old.stop()
    assert new.service.ports.numbers() == {**ports, "pieces": pieces}
    assert await through_swarm(new)
    await new.stop()


@ensureDeferred
async def test_it_ends_without_a_home(start: Start, tmp_path: Path) -> None:
    """It does not try any longer."""
    home = tmp_path / "home"
    old = await start()
    other = await lost(old, home)
    await old.stop()
    assert not socket_path(side_door(home)).exists()
    other.unlock()


@ensureDeferred
async def test_two_at_once(start: Start, tmp_path: Path) -> None:
    """The second is told; the first goes on."""
    await start()
    first = await met(tmp_path / "home")
    with pytest.raises(HomeBusy, match=r"does not hand over: .*being replaced already"):
        await met(tmp_path / "home")
    first.close()


@ensureDeferred
async def test_it_ends_meanwhile(start: Start, tmp_path: Path) -> None:
    """By a signal: the home is free then, too."""
    old = await start()
    new = await met(tmp_path / "home")
    await old.stop()
    assert is_free(tmp_path / "home")
    new.close()
    assert await deferToThread(Predecessor.met, tmp_path / "home") is None


@ensureDeferred
async def test_a_new_one_in_its_place(start: Start, tmp_path: Path) -> None:
    """All of it together: the new one is made in a thread, as its start blocks."""
    old = await start()
    ports = old.service.ports.numbers()
    blocking: Deferred[Daemon] = deferToThread(start_blocking, old.service.config)
    new = await blocking
    new.service.privilegedStartService()
    new.service.startService()
    await old.service.finished.wait()
    await old.stop()
    assert new.service.ports.numbers() == ports
    assert await through_swarm(new)
    await new.stop()


def start_blocking(config: Any) -> Daemon:
    """Make one that takes over; it is started by the caller."""
    return Daemon(make_daemon(config, reactor, takeover=True))
