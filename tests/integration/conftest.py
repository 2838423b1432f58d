"""Servers and clients on loopback, closed again whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor

from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.tls import ServerCertificate
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Supernode
from tests.doubles.replaying import Scene


@pytest_twisted.async_yield_fixture
async def origin() -> AsyncIterator[FakeOrigin]:
    """A file server on 127.0.0.1."""
    server = FakeOrigin(reactor)
    await server.start()
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def other_origin() -> AsyncIterator[FakeOrigin]:
    """A second one, on another port: another origin."""
    server = FakeOrigin(reactor)
    await server.start()
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def secure(certificate: ServerCertificate) -> AsyncIterator[FakeOrigin]:
    """One that speaks TLS with the certificate of the module's own fixture."""
    server = FakeOrigin(reactor, tls=certificate.options())
    await server.start()
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def origin_client() -> AsyncIterator[OriginClient]:
    """A client that may fetch from loopback."""
    client = OriginClient(reactor, policy=FetchPolicy(allow_loopback=True))
    yield client
    await client.close()


@pytest_twisted.async_yield_fixture
async def node(tmp_path: Path) -> AsyncIterator[Supernode]:
    """A supernode."""
    running = await Supernode.started(tmp_path / "node")
    yield running
    await running.stop()


@pytest_twisted.async_yield_fixture
async def roles() -> AsyncIterator[list[Any]]:
    """What is put in is stopped in the end, the last one first."""
    running: list[Any] = []
    yield running
    for each in reversed(running):
        await each.stop()


@pytest_twisted.async_yield_fixture
async def scene(origin: FakeOrigin, tmp_path: Path) -> AsyncIterator[Scene]:
    """What the requests of clients are replayed in."""
    everything = await Scene.started(tmp_path, origin)
    yield everything
    await everything.stop()
