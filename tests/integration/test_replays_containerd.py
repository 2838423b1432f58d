"""containerd's requests, as its sources send them: parallel layer fetch (2.1 and later), the time
it waits for headers (2.3 and later), and dockerd's with containerd's store."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults

from dragonfly.daemon.routing.rules import Rule
from tests.doubles.peers import until
from tests.doubles.replaying import BODY, MANIFEST, Scene, sha256

CHUNK = 500_000
LAYER = (
    "User-Agent: containerd/2.1.4",
    "Accept: application/vnd.oci.image.layer.v1.tar+gzip, */*",
    "Accept-Encoding: zstd;q=1.0, gzip;q=0.8, deflate;q=0.5",
)
MANIFESTS = (
    "User-Agent: containerd/2.1.1",
    (
        "Accept: application/vnd.docker.distribution.manifest.v2+json, "
        "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*"
    ),
)


def ns(path: str, registry: str) -> str:
    """As containerd names the registry to a mirror."""
    return f"{path}?ns={registry.replace(':', '%3A')}"


async def chunk(scene: Scene, path: str, begin: int) -> bytes:
    """One of the parallel fetchers: asks to the end, takes its chunk, and hangs up."""
    visitor = await scene.mirror.visit(path, *LAYER, f"Range: bytes={begin}-")
    end = min(begin + CHUNK, len(BODY))
    await until(lambda: len(visitor.answer.body) >= end - begin)
    answer = visitor.answer
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"
    assert answer.headers["content-length"] == str(len(BODY) - begin)
    assert "content-encoding" not in answer.headers
    visitor.hang_up()
    return bytes(answer.body[: end - begin])


async def pull(scene: Scene, path: str) -> bytes:
    """A layer in chunks: the first tells whether there are ranges at all, the others follow."""
    first = await chunk(scene, path, 0)
    begins = range(CHUNK, len(BODY), CHUNK)
    others = [Deferred.fromCoroutine(chunk(scene, path, begin)) for begin in begins]
    return b"".join([first, *await gatherResults(others)])


@ensureDeferred
async def test_parallel_chunks(scene: Scene) -> None:
    """Cold and warm: always 206, the bytes are right, the registry sends them once."""
    path = scene.put_blob()
    for _ in range(2):
        assert await pull(scene, ns(path, scene.place)) == BODY
    await until(lambda: len(scene.mirror.notes) == 2 * -(-len(BODY) // CHUNK))
    assert all(note.status == 206 for note in scene.mirror.notes)
    assert {note.ending for note in scene.mirror.notes} <= {"gone", "done"}
    assert scene.origin.sent(path) <= len(BODY) + CHUNK
    asked = [entry.headers.get("accept-encoding") for entry in scene.origin.requests(path)]
    assert set(asked) == {"identity"}


@ensureDeferred
async def test_whether_there_are_ranges_never_changes(scene: Scene) -> None:
    """Also where the registry does none: containerd looks at the first answer only."""
    path = scene.put_blob(ranges=False)
    assert await pull(scene, path) == BODY
    assert await pull(scene, path) == BODY


@ensureDeferred
async def test_without_a_swarm(scene: Scene) -> None:
    """206 as well, from the registry."""
    scene.add_mirror(nodes=())
    path = scene.put_blob()
    assert await pull(scene, path) == BODY


@ensureDeferred
async def test_a_layer_is_opened_again(scene: Scene) -> None:
    """After a chunk that broke off: the rest of it, from there."""
    path = scene.put_blob()
    answer = await scene.mirror.get(path, *LAYER, "Range: bytes=2000001-")
    assert (answer.status, answer.complete) == (206, True)
    assert answer.body == BODY[2_000_001:]


@ensureDeferred
@pytest.mark.parametrize("ranges", [True, False])
async def test_ranges_of_manifests(scene: Scene, ranges: bool) -> None:
    """containerd 2.1.0 to 2.1.2 asks for a part of everything; the registry's own answer does."""
    scene.put_manifest().ranges = ranges
    path = ns("/v2/lib/image/manifests/latest", scene.place)
    resolved = await scene.mirror.head(path, *MANIFESTS)
    assert resolved.headers["docker-content-digest"] == sha256(MANIFEST)
    assert resolved.headers["content-length"] == str(len(MANIFEST))
    answer = await scene.mirror.get(path, *MANIFESTS, "Range: bytes=0-")
    assert answer.status == (206 if ranges else 200)
    assert answer.body == MANIFEST


@ensureDeferred
async def test_headers_come_before_the_data(scene: Scene) -> None:
    """containerd gives up after 30 s without, SOCI after 3: it is enough that the registry said
    that there is something, whenever it sends that."""
    path = scene.put_blob(stall_after=1)
    visitors = [
        await scene.mirror.visit(path, *LAYER, f"Range: bytes={begin}-") for begin in (0, CHUNK)
    ]
    await until(lambda: all(visitor.answer.status for visitor in visitors))
    for visitor in visitors:
        assert visitor.answer.status == 206
        assert visitor.answer.headers["accept-ranges"] == "bytes"
        assert not visitor.answer.complete
        visitor.hang_up()
    await until(lambda: len(scene.mirror.notes) == 2)


@ensureDeferred
async def test_what_is_not_there(scene: Scene) -> None:
    """404 and refusals are the registry's, so that the next host is tried; never 429 of ours."""
    assert (await scene.mirror.get("/v2/lib/image/blobs/" + sha256(b"?"), *LAYER)).status == 404
    path = scene.put_blob(token="t")
    answer = await scene.mirror.get(path, *LAYER, "Range: bytes=0-")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    scene.put_blob(status=503)
    assert (await scene.mirror.get(path, *LAYER)).status == 503


@ensureDeferred
async def test_dockerd_with_the_store_of_containerd(scene: Scene) -> None:
    """Docker Hub is named in the query; an operator's rule says where it is."""
    hub, there = r"^https://registry-1\.docker\.io(:443)?/v2/", scene.origin.url("")
    scene.add_mirror(
        Rule(regx=hub + ".*/blobs/sha256", redirect=there),
        Rule(regx=hub, redirect=there, direct=True),
    )
    scene.put_manifest(name="library/busybox")
    path = scene.put_blob(name="library/busybox")
    manifest = ns("/v2/library/busybox/manifests/latest", "docker.io")
    agent = "User-Agent: docker/29.0.1 go/go1.25.3 containerd-client/2.1.5 os/linux arch/amd64"
    assert (await scene.mirror.head(manifest, agent, *MANIFESTS[1:])).status == 200
    answer = await scene.mirror.get(ns(path, "docker.io"), agent, *LAYER[1:])
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == BODY
    assert scene.mirror.notes[-1].route == "swarm"
    assert all(entry.query == "" for entry in scene.origin.log)
