"""Blobs through a real mirror: front, desk, peer, supernode, and a registry that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from dragonfly.daemon.blobs.outlet import HOLD_BYTES
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.errors import DiskFull
from tests.doubles.mirror import VIA, Answer, Mirror
from tests.doubles.origin import FakeOrigin, Logged
from tests.doubles.peers import Peer, Supernode, until

BODY = random.Random(13).randbytes(3_000_000)
RIGHT = "Authorization: Bearer right"
SHARED = "X-Dragonfly-Use-P2P: true"


def path_of(body: bytes) -> str:
    """Where a registry keeps it."""
    return f"/v2/lib/image/blobs/sha256:{hashlib.sha256(body).hexdigest()}"


PATH = path_of(BODY)


@attrs.define(eq=False)
class World:
    """A registry, a supernode, a peer, and the mirror before it."""

    origin: FakeOrigin
    node: Supernode
    peer: Peer
    mirror: Mirror

    def total(self, kind: str) -> int:
        """Bytes by source, of all requests."""
        return sum(note.sources[kind] for note in self.mirror.notes)


@pytest_twisted.async_yield_fixture
async def world(origin: FakeOrigin, tmp_path: Path) -> AsyncIterator[World]:
    """All of it."""
    node = await Supernode.started(tmp_path / "node")
    peer = await Peer.started(tmp_path / "peer", node)
    mirror = Mirror(peer, parse_registry(origin.url("")), reactor)
    mirror.start()
    yield World(origin, node, peer, mirror)
    await mirror.stop()
    await peer.stop()
    await node.stop()


async def slow(world: World, rate: int) -> Mirror:
    """Another mirror of the same peer, with a rate limit: transfers take a while."""
    registry = parse_registry(world.origin.url(""))
    mirror = Mirror(world.peer, registry, reactor, local_limit=rate)
    mirror.start()
    return mirror


async def without_swarm(world: World) -> Mirror:
    """Another mirror of the same peer, that knows no supernode."""
    mirror = Mirror(world.peer, parse_registry(world.origin.url("")), reactor, nodes=())
    mirror.start()
    return mirror


def is_whole(answer: Answer, body: bytes = BODY) -> bool:
    """Whether the client has all of it, and knows so."""
    return answer.complete and bytes(answer.body) == body


# -- the good case ---------------------------------------------------------------------


@ensureDeferred
async def test_cold_and_warm(world: World) -> None:
    """From the CDN, then from here; the registry sends it once."""
    world.origin.put(PATH, BODY, headers={"Docker-Content-Digest": PATH.rpartition("/")[2]})
    cold, warm = await world.mirror.get(PATH), await world.mirror.get(PATH)
    for answer in (cold, warm):
        assert is_whole(answer)
        assert answer.status == 200
        assert answer.headers["docker-content-digest"] == PATH.rpartition("/")[2]
        assert answer.headers["etag"] == '"v1"'
    assert [note.sources["cdn"] for note in world.mirror.notes] == [len(BODY), 0]
    assert [note.sources["cache"] for note in world.mirror.notes] == [0, len(BODY)]
    assert [note.why for note in world.mirror.notes] == ["", ""]
    assert world.origin.sent(PATH) == len(BODY)


@ensureDeferred
async def test_a_warm_blob_needs_no_supernode(world: World) -> None:
    """Only the registry's yes to that caller; without it there is nothing."""
    page = world.origin.put(PATH, BODY, token="right")
    assert is_whole(await world.mirror.get(PATH, RIGHT))
    await world.node.stop()
    assert is_whole(await world.mirror.get(PATH, RIGHT))
    assert world.mirror.notes[-1].sources["cache"] == len(BODY)
    assert (await world.mirror.get(PATH, "Authorization: Bearer wrong")).status == 401
    page.token = "other"
    assert (await world.mirror.get(PATH, "Authorization: Bearer other")).body == BODY
    assert (await world.mirror.get(PATH)).status == 401


@ensureDeferred
async def test_a_head_that_is_open_to_all(world: World) -> None:
    """A client hears how to log in all the same; who did is asked for by a HEAD from then on."""
    swarm = "X-Dragonfly-Use-P2P: true"
    world.origin.put("/a", BODY, token="right", open_head=True)
    refused = await world.mirror.get("/a", swarm)
    assert refused.status == 401
    assert "www-authenticate" in refused.headers
    for _ in range(2):
        assert is_whole(await world.mirror.get("/a", RIGHT, swarm))
    checks = [each.method for each in world.origin.requests("/a") if through_us(each)]
    assert checks == ["GET", "GET", "GET", "HEAD"]


def through_us(request: Logged) -> bool:
    """Whether the mirror asked, for a client: neither a peer nor the supernode."""
    return VIA.decode() in request.headers.get("via", "")


@ensureDeferred
async def test_two_at_once_share(world: World) -> None:
    """One transfer, one copy from the CDN."""
    world.origin.put(PATH, BODY)
    answers = await gatherResults([(await world.mirror.visit(PATH)).done for _ in range(3)])
    assert all(is_whole(answer) for answer in answers)
    assert len(world.peer.service.swarm.transfers) == 1
    assert world.peer.service.swarm.transfers[0].tally.cdn == len(BODY)
    assert world.origin.sent(PATH) == len(BODY)


@ensureDeferred
async def test_small_and_empty(world: World) -> None:
    """Configurations of images are a few KiB; and nothing is a blob, too."""
    for size in (0, 1, 10_000):
        body = BODY[:size]
        world.origin.put(path_of(body), body)
        assert is_whole(await world.mirror.get(path_of(body)), body)


@ensureDeferred
async def test_head(world: World) -> None:
    """As the registry answers it."""
    world.origin.put(PATH, BODY)
    visitor = await world.mirror.visit(PATH, method="HEAD")
    answer = await visitor.done
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(BODY))
    assert world.mirror.notes[-1].route == "direct"
    assert world.origin.count(PATH, "HEAD") == 1


@ensureDeferred
async def test_parts(world: World) -> None:
    """Cold and warm, of all forms; a long one first, for which the swarm has time."""
    world.origin.put(PATH, BODY)
    for header, begin, end in (
        ("bytes=100-", 100, len(BODY)),
        ("bytes=2000000-2000099", 2_000_000, 2_000_100),
        ("bytes=-5", len(BODY) - 5, len(BODY)),
        ("bytes=0-0", 0, 1),
        ("bytes=2999999-9999999", 2_999_999, len(BODY)),
    ):
        answer = await world.mirror.get(PATH, f"Range: {header}")
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(BODY)}"
        assert is_whole(answer, BODY[begin:end])
    assert world.total("registry") == 0


@ensureDeferred
async def test_small_parts_where_the_supernode_has_not_come(world: World) -> None:
    """The registry gives these and nothing else, and what the swarm has the swarm gives."""
    page = world.origin.put(PATH, BODY, stall_after=1_000_000)
    size, begins = 20_000, range(2_900_000, 2_000_000, -90_000)
    for begin in begins:
        answer = await world.mirror.get(PATH, f"Range: bytes={begin}-{begin + size - 1}")
        assert (answer.status, answer.complete) == (206, True)
        assert bytes(answer.body) == BODY[begin : begin + size]
    assert len(world.mirror.notes) == 10
    assert world.total("registry") == 10 * size
    assert all("swarm has not come to" in note.why for note in world.mirror.notes)
    assert world.origin.sent(PATH) == page.stall_after + 10 * size
    (transfer,) = world.peer.service.swarm.transfers
    await until(lambda: any(link.mask for link in transfer.links))
    answer = await world.mirror.get(PATH, "Range: bytes=0-9999")
    assert bytes(answer.body) == BODY[:10_000]
    assert world.total("registry") == 10 * size


@ensureDeferred
async def test_small_parts_at_once(world: World) -> None:
    """Where all of them wait, and take turns."""
    page = world.origin.put(PATH, BODY, stall_after=1_000_000)
    begins = range(1_500_000, 2_500_000, 50_000)
    asked = [
        (await world.mirror.visit(PATH, f"Range: bytes={begin}-{begin + 999}")).done
        for begin in begins
    ]
    for begin, answer in zip(begins, await gatherResults(asked), strict=True):
        assert is_whole(answer, BODY[begin : begin + 1000])
    assert world.total("registry") == 1000 * len(asked)
    assert world.origin.sent(PATH) <= page.stall_after + 1000 * len(asked)


@ensureDeferred
async def test_several_parts(world: World) -> None:
    """In one answer, each with its place."""
    world.origin.put(PATH, BODY)
    answer = await world.mirror.get(PATH, "Range: bytes=5-6, -3")
    assert (answer.status, answer.complete) == (206, True)
    assert answer.headers["content-type"] == "multipart/byteranges; boundary=b0undary"
    parts = answer.body.split(b"--b0undary")
    assert [part.partition(b"\r\n\r\n")[2][:-2] for part in parts[1:3]] == [BODY[5:7], BODY[-3:]]


@ensureDeferred
async def test_parts_that_are_none(world: World) -> None:
    """416 with the length; malformed or outdated ones get the whole."""
    world.origin.put(PATH, BODY)
    outside = await world.mirror.get(PATH, f"Range: bytes={len(BODY)}-")
    assert (outside.status, outside.complete) == (416, True)
    assert outside.headers["content-range"] == f"bytes */{len(BODY)}"
    for lines in (
        ["Range: bytes=5-4"],
        ["Range: bytes=0-1", 'If-Range: "v0"'],
    ):
        answer = await world.mirror.get(PATH, *lines)
        assert answer.status == 200
        assert is_whole(answer)
    held = await world.mirror.get(PATH, "Range: bytes=0-1", 'If-Range: "v1"')
    assert is_whole(held, BODY[:2])


@ensureDeferred
async def test_no_length(world: World) -> None:
    """The swarm is used all the same; while it does not know the end either, in chunks."""
    page = world.origin.put(PATH, BODY, chunked=True, ranges=False, stall_after=1_500_000)
    page.headers["Docker-Content-Digest"] = PATH.rpartition("/")[2]
    visitor = await world.mirror.visit(PATH)
    await until(lambda: visitor.answer.status)
    assert "content-length" not in visitor.answer.headers
    visitor.hang_up()
    other = BODY[:-1]
    for told in (False, True):
        page = world.origin.put(path_of(other), other, chunked=True)
        if told:
            page.headers["Docker-Content-Digest"] = path_of(other).rpartition("/")[2]
        assert is_whole(await world.mirror.get(path_of(other)), other)
        assert (world.mirror.notes[-1].route == "swarm") is told


@ensureDeferred
async def test_a_redirect_is_followed_without_credentials(
    world: World, other_origin: FakeOrigin
) -> None:
    """By the check, the CDN and the rest; the storage never sees the token."""
    world.origin.put(PATH, token="right", redirect=other_origin.url("/store"), status=307)
    other_origin.put("/store", BODY)
    assert is_whole(await world.mirror.get(PATH, RIGHT))
    assert other_origin.sent("/store") >= len(BODY)
    assert all("authorization" not in each.headers for each in other_origin.log)


# -- rights ----------------------------------------------------------------------------


@ensureDeferred
async def test_private_blobs(world: World) -> None:
    """Whoever has the right gets it, everybody else the registry's own no."""
    world.origin.put(PATH, BODY, token="right")
    assert is_whole(await world.mirror.get(PATH, RIGHT))
    for lines in ([], ["Authorization: Bearer wrong"]):
        answer = await world.mirror.get(PATH, *lines)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
        assert bytes(answer.body) == b"no\n"
    missing = await world.mirror.get(path_of(b"nothing"))
    assert missing.status == 404


WRONG = "Authorization: Bearer wrong"
Lines = tuple[str, ...]


@ensureDeferred
@pytest.mark.parametrize("order", list(permutations([(), (RIGHT,), (WRONG,)])))
@pytest.mark.parametrize("etag", ['"v1"', None])
async def test_private_blobs_whose_heads_are_open(
    world: World, order: Sequence[Lines], etag: str | None
) -> None:
    """Whoever comes first, and whoever has the bytes: each gets what he would without us."""
    world.origin.put(PATH, BODY, token="right", open_head=True, etag=etag)
    for lines in (*order, *order):
        for part in ((), ("Range: bytes=5-9",)):
            answer = await world.mirror.get(PATH, *lines, *part)
            if RIGHT in lines:
                assert is_whole(answer, BODY[5:10] if part else BODY)
                continue
            assert (answer.status, bytes(answer.body)) == (401, b"no\n")
            assert answer.headers["www-authenticate"].startswith("Bearer realm=")
    assert world.total("cdn") + world.total("cache") >= 2 * len(BODY)


@ensureDeferred
@pytest.mark.parametrize("restarted", [False, True])
async def test_an_open_head_and_bytes_that_are_elsewhere(
    world: World, tmp_path: Path, restarted: bool
) -> None:
    """The supernode and another host have them, and give them to who may have them only."""
    world.origin.put(PATH, BODY, token="right", open_head=True)
    assert is_whole(await world.mirror.get(PATH, RIGHT))
    if restarted:
        await world.node.stop()
        world.node.start()
    peer = await Peer.started(tmp_path / "another", world.node)
    mirror = Mirror(peer, parse_registry(world.origin.url("")), reactor)
    mirror.start()
    for lines in ((), (WRONG,)):
        assert (await mirror.get(PATH, *lines)).status == 401
    assert is_whole(await mirror.get(PATH, RIGHT))
    await mirror.stop()
    await peer.stop()


@ensureDeferred
async def test_a_loop(world: World) -> None:
    """Whoever set the registry to this mirror is told."""
    answer = await world.mirror.get(PATH, f"Via: 1.1 {VIA.decode()}")
    assert answer.status == 508


# -- what registries say of a HEAD -------------------------------------------------------


@ensureDeferred
@pytest.mark.parametrize(
    "switches",
    [
        {"head_length": 1000},
        {"head_length": len(BODY) + 1000},
        {"head_length": 0},
        {"head": False, "head_status": 404},
        {"head": False, "head_status": 501},
        {"head_hangs_up": True},
    ],
)
async def test_heads_that_tell_nothing(world: World, switches: dict[str, Any]) -> None:
    """Whatever is asked for comes, as it would without us."""
    world.origin.put(PATH, BODY, **switches)
    part = await world.mirror.get(PATH, "Range: bytes=2900000-")
    assert (part.status, is_whole(part, BODY[2_900_000:])) == (206, True)
    assert is_whole(await world.mirror.get(PATH))


@ensureDeferred
@pytest.mark.parametrize("path", [PATH, "/a"])
@pytest.mark.parametrize(
    "switches", [{"head_tells_length": False}, {"head_length": 1000}, {"head_length": 5_000_000}]
)
async def test_parts_where_heads_tell_other_things(
    world: World, path: str, switches: dict[str, Any]
) -> None:
    """Parts, each time: who had one takes what comes next for one."""
    world.origin.put(path, BODY, **switches)
    alone = await without_swarm(world)
    for mirror in (world.mirror, alone):
        for begin in (2_900_000, 500, 2_000_000):
            part = await mirror.get(path, SHARED, f"Range: bytes={begin}-{begin + 9}")
            assert part.headers.get("content-range") == f"bytes {begin}-{begin + 9}/{len(BODY)}"
            assert is_whole(part, BODY[begin : begin + 10])
            assert is_whole(await mirror.get(path, SHARED))
    await alone.stop()


@ensureDeferred
@pytest.mark.parametrize("length", [1000, len(BODY) + 1000])
async def test_a_length_that_only_a_head_tells_wrongly(world: World, length: int) -> None:
    """What looks complete is; and the next one learns it from the GET."""
    world.origin.put("/a", BODY, chunked=True, ranges=False, head_length=length)
    alone = await without_swarm(world)
    assert not (await alone.get("/a", SHARED)).complete
    assert is_whole(await alone.get("/a", SHARED))
    await alone.stop()


@ensureDeferred
async def test_a_registry_that_encodes_whatever_is_asked_for(world: World) -> None:
    """Engines undo it; what came is not compared with a digest that is not its own."""
    world.origin.put(PATH, BODY, gzip=True)
    answer = await world.mirror.get(PATH, "Accept-Encoding: gzip")
    assert answer.complete
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(bytes(answer.body)) == BODY


# -- what goes wrong ---------------------------------------------------------------------


@ensureDeferred
async def test_wrong_bytes_at_the_registry(world: World) -> None:
    """Never complete, by whatever way; a small one, of which nothing went out, neither."""
    for size in (len(BODY), 1000):
        path = path_of(BODY[:size])
        world.origin.put(path, BODY[: size - 1] + b"?")
        answer = await world.mirror.get(path)
        assert not answer.complete
        assert len(answer.body) <= max(0, size - HOLD_BYTES)
        assert world.mirror.notes[-1].ending == "aborted"
        assert "sha256" in world.mirror.notes[-1].why


@ensureDeferred
@pytest.mark.parametrize("change", [-1000, 1000])
async def test_a_registry_that_lies_about_the_length(world: World, change: int) -> None:
    """What is announced cannot be had, or is not all: not complete, or told without us."""
    world.origin.put(PATH, BODY, head_length=len(BODY) + change)
    answer = await world.mirror.get(PATH)
    assert is_whole(answer) or not answer.complete


@ensureDeferred
async def test_a_registry_that_cuts(world: World) -> None:
    """Each transfer breaks off in the middle, once."""
    world.origin.put(PATH, BODY, cut_after=1_000_000, cuts=1)
    assert is_whole(await world.mirror.get(PATH))


@ensureDeferred
async def test_the_supernode_dies_in_mid_transfer(world: World) -> None:
    """The body goes on."""
    world.origin.put(PATH, BODY)
    mirror = await slow(world, 1_500_000)
    visitor = await mirror.visit(PATH)
    await until(lambda: len(visitor.answer.body) > 500_000)
    await world.node.stop()
    assert is_whole(await visitor.done)
    assert mirror.notes[0].sources["registry"] > 0
    await mirror.stop()


@ensureDeferred
@pytest.mark.parametrize("header", ["", "Range: bytes=1000-"])
async def test_the_disk_is_full_in_mid_transfer(world: World, header: str) -> None:
    """The rest comes from the registry, into the same body."""
    world.origin.put(PATH, BODY)
    mirror = await slow(world, 1_500_000)
    visitor = await mirror.visit(PATH, *filter(None, [header]))
    await until(lambda: len(visitor.answer.body) > 500_000)
    (transfer,) = world.peer.service.swarm.transfers
    transfer.content.store_failed(DiskFull("/store: 65536 bytes wanted, 0 free"))
    assert is_whole(await visitor.done, BODY[1000:] if header else BODY)
    (note,) = mirror.notes
    assert "65536 bytes wanted" in note.why
    assert 0 < note.sources["registry"] < len(BODY)
    assert sum(note.sources.values()) == note.sent
    await mirror.stop()


@ensureDeferred
async def test_the_disk_is_full_and_the_registry_wrong(world: World) -> None:
    """The front from the swarm and the rest from the registry are one content, or none."""
    world.origin.put(PATH, BODY)
    mirror = await slow(world, 1_500_000)
    visitor = await mirror.visit(PATH)
    await until(lambda: len(visitor.answer.body) > 500_000)
    world.origin.put(PATH, BODY[:-1] + b"?", etag='"v2"')
    (transfer,) = world.peer.service.swarm.transfers
    transfer.content.store_failed(DiskFull("/store: 65536 bytes wanted, 0 free"))
    answer = await visitor.done
    assert not answer.complete
    assert len(answer.body) <= len(BODY) - HOLD_BYTES
    assert mirror.notes[0].ending == "aborted"
    await mirror.stop()


@ensureDeferred
async def test_no_supernode_answers(world: World) -> None:
    """As good as without us, and the second blob does not wait to find that out again."""
    other = path_of(BODY[:1000])
    world.origin.put(PATH, BODY)
    world.origin.put(other, BODY[:1000])
    await world.node.stop()
    assert is_whole(await world.mirror.get(PATH))
    assert is_whole(await world.mirror.get(other), BODY[:1000])
    one, two = world.mirror.notes
    assert one.sources["registry"] == len(BODY)
    assert "supernode" in one.why
    assert (two.route, two.why) == ("direct", "no supernode answered in the last 20 s")


@ensureDeferred
async def test_no_supernode_is_configured(world: World) -> None:
    """Straight on."""
    world.origin.put(PATH, BODY)
    mirror = Mirror(world.peer, parse_registry(world.origin.url("")), reactor, nodes=())
    mirror.start()
    assert is_whole(await mirror.get(PATH))
    assert mirror.notes[0].why == "no supernode is configured"
    assert world.peer.service.swarm.transfers == []
    await mirror.stop()


@ensureDeferred
async def test_what_must_not_be_shared(world: World) -> None:
    """It is named by its digest, so what the registry says of caches is of no interest."""
    world.origin.put(PATH, BODY, headers={"Cache-Control": "private"})
    assert is_whole(await world.mirror.get(PATH))


@ensureDeferred
@pytest.mark.parametrize("header", ["", "Range: bytes=1000000-2000000"])
async def test_the_client_hangs_up(world: World, header: str) -> None:
    """Its download is given up, what came stays for the next."""
    world.origin.put(PATH, BODY)
    mirror = await slow(world, 1_500_000)
    visitor = await mirror.visit(PATH, *filter(None, [header]))
    await until(lambda: len(visitor.answer.body) > 200_000)
    visitor.hang_up()
    await until(lambda: mirror.notes)
    assert mirror.notes[0].ending == "gone"
    (transfer,) = world.peer.service.swarm.transfers
    assert transfer.clients == []
    assert is_whole(await mirror.get(PATH))
    assert mirror.notes[1].sources["cache"] > 200_000
    await mirror.stop()
