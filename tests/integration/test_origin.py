"""The origin client against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_twisted
from twisted.internet import reactor

from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.sink import BodySink
from tests.doubles.origin import FakeOrigin


@pytest_twisted.async_yield_fixture
async def origin() -> AsyncIterator[FakeOrigin]:
    """A server on loopback."""
    server = FakeOrigin(reactor)
    await server.start()
    yield server
    await server.stop()


@pytest_twisted.async_yield_fixture
async def client() -> AsyncIterator[OriginClient]:
    """A client that may fetch from loopback."""
    made = OriginClient(reactor, policy=FetchPolicy(allow_loopback=True))
    yield made
    await made.close()


async def read(client: OriginClient, url: str, *headers: tuple[str, str], **options: Any) -> bytes:
    """Return what a GET brings."""
    body = await client.get(url, headers, **options)
    chunks: list[bytes] = []
    await body.deliver(BodySink(chunks.append, clock=reactor))
    return b"".join(chunks)


@pytest_twisted.ensureDeferred
async def test_whole_body(origin: FakeOrigin, client: OriginClient) -> None:
    """The ordinary case: what is there arrives, with its length and validator known."""
    content = bytes(range(256)) * 5000
    origin.put("/file", content)
    reply = await client.probe(origin.url("/file"), ())
    assert (reply.status, reply.length, reply.etag) == (200, len(content), '"v1"')
    assert await read(client, origin.url("/file")) == content
    assert origin.requests("/file")[1].headers["accept-encoding"] == "identity"
