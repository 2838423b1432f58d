"""The CDN against a real HTTP server and a real disk."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from dragonfly.errors import OriginChanged, OriginRefused
from dragonfly.metrics import BuildInfo, SupernodeMetrics
from dragonfly.net.disk import DiskPool
from dragonfly.net.origin import OriginClient
from dragonfly.net.tasks import TaskSet
from dragonfly.signatures import SigningKey
from dragonfly.store.piecestore import PieceStore
from dragonfly.supernode.admission import Admission
from dragonfly.supernode.cdn import Cdn, Wanted
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.fetch import FetchTools
from dragonfly.supernode.openings import OpeningProber, Openings
from dragonfly.task.identity import content_version, name_of, task_id
from tests.doubles.cdn import content_of
from tests.doubles.origin import FakeOrigin

BODY = content_of(3_000_000)


class Node:
    """An admission and a CDN, without a tracker before them."""

    def __init__(self, home: Path, origins: OriginClient) -> None:
        self.openings = Openings(reactor)
        prober = OpeningProber(origins, self.openings)
        self.disk = DiskPool(reactor)
        self.disk.start()
        self.store = PieceStore(home)
        self.store.open()
        self.tasks = TaskSet(Cdn._log)
        self.admission = Admission(lambda _: prober, reactor, self.tasks, secret=b"s" * 32)
        self.cdn = Cdn(
            self.store,
            FetchTools(
                reader=lambda _: origins,
                disk=self.disk,
                key=SigningKey.generate(),
                clock=reactor,
                rng=random.Random(1),
                metrics=SupernodeMetrics(BuildInfo(version="0")),
                openings=self.openings,
            ),
        )

    async def register(self, url: str, *headers: tuple[str, str], opening: bool = False) -> Content:
        """Do what a registration does, and wait until the content settles."""
        name = name_of(url)
        access, digest = self.admission.access(url, headers), name.digest
        admitted = await self.admission.check(
            access, name.id, immutable=digest is not None, opening=opening
        )
        version = content_version(
            admitted.reply, digest=digest, fetch=1, audience=admitted.audience
        )
        assert version is not None
        task = task_id(name, version)
        wanted = Wanted(task=task, name=name, admitted=admitted, digest=digest)
        content = await self.cdn.obtain(wanted)
        if content.state is State.FETCHING:
            await content.done.wait()
        return content

    def read(self, content: Content) -> bytes:
        """What may be given out."""
        assert content.file is not None
        return content.file.read(0, content.held_bytes)

    async def stop(self) -> None:
        """End everything in the order that a supernode does."""
        await self.cdn.close()
        self.openings.close()
        await self.tasks.cancel_all()
        await self.disk.stop()
        self.cdn.release_files()
        self.store.close()


@pytest_twisted.async_yield_fixture
async def node(tmp_path: Path, origin_client: OriginClient) -> AsyncIterator[Node]:
    """A CDN that may read from loopback."""
    made = Node(tmp_path, origin_client)
    yield made
    await made.stop()


@ensureDeferred
async def test_a_cut_goes_on_by_range(origin: FakeOrigin, node: Node) -> None:
    """The rest of the same version is asked for with its tag; one copy leaves the origin."""
    origin.put("/f", BODY, cut_after=1_000_000, cuts=2)
    content = await node.register(origin.url("/f"))
    assert content.state is State.READY
    assert node.read(content) == BODY
    gets = origin.reads("/f")
    assert [each.headers.get("range", "") for each in gets] == [
        "",
        "bytes=1000000-",
        "bytes=2000000-",
    ]
    assert {each.headers["if-range"] for each in gets[1:]} == {'"v1"'}


@ensureDeferred
@pytest.mark.parametrize("size", [0, 10_000, len(BODY)], ids=["empty", "small", "large"])
async def test_the_question_is_the_transfer(origin: FakeOrigin, node: Node, size: int) -> None:
    """Of a new content: the origin is asked once, and sends each byte once."""
    origin.put("/f", BODY[:size])
    content = await node.register(origin.url("/f"), opening=True)
    assert content.state is State.READY
    assert node.read(content) == BODY[:size]
    assert [entry.method for entry in origin.log] == ["GET"]
    assert sum(entry.sent for entry in origin.log) == size


@ensureDeferred
async def test_a_body_that_an_older_question_opened(origin: FakeOrigin, node: Node) -> None:
    """It is not for who asked later, and was told of another version that looks the same."""
    page = origin.put("/f", BODY, etag='W/"v1"')
    access = node.admission.access(origin.url("/f"))
    await node.admission.check(access, b"n" * 32, opening=True)
    page.body = new = content_of(len(BODY), seed=2)
    content = await node.register(origin.url("/f"))
    assert content.state is State.READY
    assert node.read(content) == new


@ensureDeferred
async def test_a_question_whose_transfer_is_cut(origin: FakeOrigin, node: Node) -> None:
    """The rest comes by range, as ever."""
    origin.put("/f", BODY, cut_after=1_000_000, cuts=1)
    content = await node.register(origin.url("/f"), opening=True)
    assert node.read(content) == BODY
    assert [entry.headers.get("range", "") for entry in origin.log] == ["", "bytes=1000000-"]


@ensureDeferred
async def test_changed_in_the_middle(origin: FakeOrigin, node: Node) -> None:
    """Without a validator the new bytes are found by comparing; the next try is all new."""
    page = origin.put("/f", BODY, etag=None, cut_after=1_500_000, cuts=1)
    url = origin.url("/f")
    new = content_of(len(BODY), seed=2)
    running = Deferred.fromCoroutine(node.register(url))
    while not (origin.reads("/f") or running.called):
        await deferLater(reactor, 0, lambda: None)
    await origin.reads("/f")[0].gone
    page.body = new
    content = await running
    assert isinstance(content.error, OriginChanged)
    again = await node.register(url)
    assert again.state is State.READY
    assert node.read(again) == new


@ensureDeferred
async def test_a_wrong_password_gets_nothing(origin: FakeOrigin, node: Node) -> None:
    """The origin is asked with the caller's own credentials, though the CDN has the bytes."""
    origin.put("/f", BODY, token="right")
    content = await node.register(origin.url("/f"), ("Authorization", "Bearer right"))
    assert node.read(content) == BODY
    for headers in ((("Authorization", "Bearer wrong"),), ()):
        with pytest.raises(OriginRefused) as caught:
            await node.register(origin.url("/f"), *headers)
        assert caught.value.status == 401
    assert origin.reads("/f")
    assert sum(each.sent for each in origin.requests("/f") if each.status == 200) == len(BODY)


@ensureDeferred
@pytest.mark.parametrize("switches", [{}, {"etag": None}])
async def test_a_head_that_is_open_to_all(
    origin: FakeOrigin, node: Node, switches: dict[str, Any]
) -> None:
    """Says yes to nobody: neither before somebody had it, nor after; and keeps nobody from it."""
    path = f"/v2/a/blobs/sha256:{hashlib.sha256(BODY).hexdigest()}"
    origin.put(path, BODY, token="right", open_head=True, **switches)
    for _ in range(2):
        for headers in ((("Authorization", "Bearer wrong"),), ()):
            with pytest.raises(OriginRefused) as caught:
                await node.register(origin.url(path), *headers)
            assert caught.value.status == 401
        content = await node.register(origin.url(path), ("Authorization", "Bearer right"))
        assert (content.state, content.public) == (State.READY, False)
        assert node.read(content) == BODY
