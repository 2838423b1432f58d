"""Requests of snapshotters that pull what is read: stargz, SOCI, nydus, and overlaybd."""

from __future__ import annotations

import email
import email.policy

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults

from tests.doubles.mirror import Answer
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import until
from tests.doubles.replaying import BODY, Scene

SIZE = len(BODY)
IDENTITY = "Accept-Encoding: identity"
SIGNATURE = "X-Amz-Expires=1200&X-Amz-Signature="


async def ask(scene: Scene, path: str, begin: int, last: int, *lines: str) -> Answer:
    """A closed range, and no answer but to that."""
    answer = await scene.mirror.get(path, f"Range: bytes={begin}-{last}", *lines)
    assert (answer.status, answer.complete) == (206, True)
    assert answer.headers["content-range"] == f"bytes {begin}-{last}/{SIZE}"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.body == BODY[begin : last + 1]
    return answer


async def ask_all(scene: Scene, path: str, size: int, *lines: str) -> None:
    """All of it in ranges of that size, at once."""
    spans = [(begin, min(begin + size, SIZE) - 1) for begin in range(0, SIZE, size)]
    asking = [Deferred.fromCoroutine(ask(scene, path, *span, *lines)) for span in spans]
    await gatherResults(asking)


def payloads(answer: Answer) -> list[bytes]:
    """What the parts of an answer hold."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parsed = email.message_from_bytes(head + answer.body, policy=email.policy.HTTP)
    return [bytes(part.get_payload(decode=True) or b"") for part in parsed.iter_parts()]


# -- stargz-snapshotter ------------------------------------------------------------------


@ensureDeferred
async def test_stargz(scene: Scene, other_origin: FakeOrigin) -> None:
    """Two bytes, the size, then chunks of 50 kB, several in one request. A redirect would take
    all later reads past us, so there is none; the registry may be named by header and query."""
    path = scene.put_blob(redirect=other_origin.url("/blob"))
    other_origin.put("/blob", BODY, headers={"Content-Type": "application/octet-stream"})
    named = f"X-Dragonfly-Registry: {scene.origin.url('')}"
    path += "?ns=registry.example%3A5000"
    first = await ask(scene, path, 0, 1, IDENTITY, named)
    assert "location" not in first.headers
    head = await scene.mirror.head(path, IDENTITY, named)
    assert (head.status, head.headers["content-length"]) == (200, str(SIZE))
    chunks = [(begin, begin + 49_999) for begin in (0, 100_000, 250_000, 2_900_000)]
    wanted = ",".join(f"{begin}-{last}" for begin, last in chunks)
    several = await scene.mirror.get(path, f"Range: bytes={wanted}", IDENTITY, named)
    assert (several.status, several.complete) == (206, True)
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert payloads(several) == [BODY[begin : last + 1] for begin, last in chunks]
    again = await ask(scene, path, 0, 1, IDENTITY, named)  # still there? once a minute
    assert again.headers["x-dragonfly-task-id"] == first.headers["x-dragonfly-task-id"]


@ensureDeferred
async def test_many_chunks_are_not_as_many_checks(scene: Scene, other_origin: FakeOrigin) -> None:
    """Each would take longer than a chunk; another caller is another question."""
    path = scene.put_blob(redirect=other_origin.url("/blob"), token="t")
    other_origin.put("/blob", BODY)
    token = "Authorization: Bearer t"
    await ask(scene, path, 0, 1, IDENTITY, token)
    asked = scene.origin.count(path)
    for begin in range(0, 500_000, 50_000):
        await ask(scene, path, begin, begin + 49_999, IDENTITY, token)
    assert scene.origin.count(path) - asked <= 2  # the supernode's, for its copy
    refused = await scene.mirror.get(path, "Range: bytes=0-1", "Authorization: Bearer u")
    assert refused.status == 401


@ensureDeferred
async def test_stargz_where_heads_are_refused(scene: Scene) -> None:
    """Then the size is in the answer to two bytes."""
    path = scene.put_blob(head=False)
    await ask(scene, path, 0, 1, IDENTITY)
    head = await scene.mirror.head(path, IDENTITY)
    assert head.status in (200, 405)
    await ask(scene, path, 100_000, 149_999, IDENTITY)


# -- SOCI --------------------------------------------------------------------------------


@ensureDeferred
@pytest.mark.parametrize("swarm", [True, False])
async def test_soci_in_parallel(scene: Scene, swarm: bool) -> None:
    """Closed ranges, ten at once, each with ``Accept-Ranges``."""
    if not swarm:
        scene.add_mirror(nodes=())
    path = scene.put_blob()
    await ask(scene, path, 0, 1)
    await ask_all(scene, path, SIZE // 10)


# -- nydusd ------------------------------------------------------------------------------


@ensureDeferred
async def test_nydus_as_a_proxy(scene: Scene) -> None:
    """On demand and ahead, with the headers of Dragonfly's second version, which stay with us."""
    path = scene.put_blob()
    url = scene.origin.url(path)
    for priority in (6, 3):
        wishes = (
            f"X-Dragonfly-Priority: {priority}",
            "X-Dragonfly-Use-P2P: true",
            f"X-Dragonfly-Prefetch: {'true' if priority == 6 else 'false'}",
        )
        await ask_all(scene, url, 1_048_576, *wishes)
    assert {note.mode for note in scene.mirror.notes} == {"proxy"}
    for entry in scene.origin.log:
        assert not [name for name in entry.headers if name.startswith("x-dragonfly-")]


@ensureDeferred
async def test_nydus_streams_a_whole_blob(scene: Scene) -> None:
    """``stream_prefetch``: no range, and read at leisure."""
    path = scene.put_blob()
    await ask(scene, path, 1000, 1999, "X-Dragonfly-Priority: 6")
    answer = await scene.mirror.get(path, "X-Dragonfly-Priority: 3")
    assert (answer.status, answer.complete, answer.body) == (200, True, BODY)


@ensureDeferred
async def test_nydus_tells_our_errors_from_the_registrys(scene: Scene) -> None:
    """By the type that each error has: of ours it goes past us, of the registry's it does not."""
    refused = scene.put_blob(status=429, body=b"later")
    for path, status, kind in (
        (refused, 429, "backend"),
        ("/v2/lib/image/blobs/sha256:" + "0" * 64, 404, "backend"),
        ("ftp://registry.example/", 400, "proxy"),
        (f"http://127.0.0.1:25{refused}", 403, "proxy"),
    ):
        answer = await scene.mirror.get(path, "Range: bytes=0-99", "X-Dragonfly-Use-P2P: true")
        assert (answer.status, answer.headers["x-dragonfly-error-type"]) == (status, kind)


@ensureDeferred
async def test_nydus_pings(scene: Scene) -> None:
    """``proxy.ping_url`` and ``mirrors.ping_url``: any answer but an error of a server will do."""
    scene.origin.put("/v2/", b"{}")
    assert (await scene.mirror.get("/v2/")).status == 200


# -- overlaybd ---------------------------------------------------------------------------


@ensureDeferred
async def test_overlaybd(scene: Scene) -> None:
    """Absolute URLs behind its prefix: a byte for the length, then blocks of 256 KiB."""
    path = scene.put_blob(token="t")
    prefixed, token = f"/dadip2p/{scene.origin.url(path)}", "Authorization: Bearer t"
    await ask(scene, prefixed, 0, 0, token)
    await ask_all(scene, prefixed, 262_144, token)
    assert {note.mode for note in scene.mirror.notes} == {"prefix"}
    refused = await scene.mirror.get(prefixed, "Range: bytes=0-0")
    assert refused.status == 401  # then it asks for a token again


@ensureDeferred
async def test_overlaybd_behind_a_redirect(scene: Scene, other_origin: FakeOrigin) -> None:
    """It has followed the redirect itself: the storage's URL, signed, without a token. A rule
    or the storage's path tells that it is a layer; new signatures are the same task."""
    stored = "/docker/registry/v2/blobs/sha256/ab/abcdef/data"
    other_origin.put(stored, BODY)
    tasks = set()
    for signature in ("one", "two"):
        url = f"{other_origin.url(stored)}?{SIGNATURE}{signature}"
        answer = await ask(scene, f"/dadip2p/{url}", 0, 0)
        tasks.add(answer.headers["x-dragonfly-task-id"])
        await ask_all(scene, f"/dadip2p/{url}", 262_144)
    assert len(tasks) == 1
    assert {note.route for note in scene.mirror.notes} == {"swarm"}


@ensureDeferred
async def test_a_reader_leaves(scene: Scene) -> None:
    """A container that stops reading in the middle is nothing to remark upon."""
    path = scene.put_blob(stall_after=1)
    visitor = await scene.mirror.visit(path, "Range: bytes=0-262143", IDENTITY)
    await until(lambda: visitor.answer.status)
    visitor.hang_up()
    await until(lambda: scene.mirror.notes)
    assert scene.mirror.notes[0].ending == "gone"
