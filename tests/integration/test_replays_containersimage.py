"""Requests of newer containers/image (podman, CRI-O, skopeo, buildah): bodies that are continued,
and layers of which parts are pulled (zstd:chunked)."""

from __future__ import annotations

import email
import email.policy
import re

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults

from tests.doubles.mirror import Answer
from tests.doubles.peers import until
from tests.doubles.replaying import BODY, MANIFEST, Scene

AGENT = "User-Agent: containers/5.36.2 (github.com/containers/image)"
BOUNDARY = re.compile(r"multipart/byteranges; boundary=([A-Za-z-0-9:]+)")
ACCEPTED = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
)


def parts_of(answer: Answer) -> list[tuple[str, bytes]]:
    """Range and bytes of each part."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parsed = email.message_from_bytes(head + answer.body, policy=email.policy.HTTP)
    return [
        (str(part["content-range"]), bytes(part.get_payload(decode=True) or b""))
        for part in parsed.iter_parts()
    ]


@ensureDeferred
async def test_a_pull(scene: Scene) -> None:
    """The version check, the manifest with one Accept line for each type, six layers at once."""
    scene.origin.put("/v2/", b"{}")
    scene.put_manifest()
    bodies = [BODY[begin:] for begin in range(0, 60_000, 10_000)]
    paths = [scene.put_blob(body) for body in bodies]
    assert (await scene.mirror.get("/v2/", AGENT)).status == 200
    lines = [f"Accept: {each}" for each in ACCEPTED]
    manifest = await scene.mirror.get("/v2/lib/image/manifests/latest", AGENT, *lines)
    assert manifest.body == MANIFEST
    (asked,) = scene.origin.requests("/v2/lib/image/manifests/latest")
    assert asked.lines["accept"] == list(ACCEPTED)
    answers = await gatherResults([(await scene.mirror.visit(path, AGENT)).done for path in paths])
    assert [bytes(answer.body) for answer in answers] == bodies


@ensureDeferred
@pytest.mark.parametrize("swarm", [True, False])
async def test_a_body_is_continued(scene: Scene, swarm: bool) -> None:
    """206 with a range up to the end is asked for; 200 would be an error."""
    mirror = scene.mirror if swarm else scene.add_mirror(nodes=())
    path = scene.put_blob()
    visitor = await mirror.visit(path, AGENT)
    await until(lambda: len(visitor.answer.body) > 100_000)
    visitor.hang_up()  # as a host between the two does
    begin = len(visitor.answer.body)
    rest = await mirror.get(path, AGENT, f"Range: bytes={begin}-")
    assert rest.status == 206
    assert rest.headers["content-range"] == f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"
    assert visitor.answer.body + rest.body == BODY


@ensureDeferred
@pytest.mark.parametrize("swarm", [True, False])
async def test_parts_of_a_layer(scene: Scene, swarm: bool) -> None:
    """The last one may be open; the boundary is one that its expression finds."""
    mirror = scene.mirror if swarm else scene.add_mirror(nodes=())
    path = scene.put_blob()
    wanted = "Range: bytes=1000-1999,700000-800000,2999000-"
    answer = await mirror.get(path, AGENT, wanted)
    assert (answer.status, answer.complete) == (206, True)
    assert BOUNDARY.fullmatch(answer.headers["content-type"])
    spans = [(1000, 2000), (700_000, 800_001), (2_999_000, 3_000_000)]
    assert parts_of(answer) == [
        (f"bytes {begin}-{end - 1}/{len(BODY)}", BODY[begin:end]) for begin, end in spans
    ]


@ensureDeferred
async def test_fewer_parts_when_there_are_too_many(scene: Scene) -> None:
    """400 is what makes it try again with fewer; anything else ends the pull."""
    path = scene.put_blob()
    many = ",".join(f"{begin}-{begin + 9}" for begin in range(0, 10_000, 20))
    answer = await scene.mirror.get(path, AGENT, f"Range: bytes={many}")
    assert answer.status == 400
    assert answer.headers["x-dragonfly-error-type"] == "proxy"
    fewer = ",".join(many.split(",")[:100])
    answer = await scene.mirror.get(path, AGENT, f"Range: bytes={fewer}")
    assert [body for _, body in parts_of(answer)] == [
        BODY[begin : begin + 10] for begin in range(0, 2000, 20)
    ]
