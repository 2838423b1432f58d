"""Requests of dockerd with a graph driver, and of docker-registry that pulls through."""

from __future__ import annotations

import random

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import gatherResults

from tests.doubles.replaying import BODY, MANIFEST, Scene, sha256

AGENT = (
    "User-Agent: docker/20.10.24 go/go1.19.8 git-commit/20.10.24 kernel/6.1.0 os/linux arch/amd64 "
    r"UpstreamClient(Docker-Client/20.10.24 \(linux\))"
)
ACCEPTED = [
    "application/json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]


@ensureDeferred
async def test_dockerd_with_a_graph_driver(scene: Scene) -> None:
    """The version check, then the manifest: Accept lines in any order, all of them passed on."""
    scene.origin.put("/v2/", b"{}", headers={"Docker-Distribution-Api-Version": "registry/2.0"})
    scene.put_manifest(name="library/app")
    bodies = [BODY[begin:] for begin in (0, 1000, 2000)]
    paths = [scene.put_blob(body, name="library/app") for body in bodies]
    version = await scene.mirror.get("/v2/", AGENT)
    assert version.headers["docker-distribution-api-version"] == "registry/2.0"
    manifest = "/v2/library/app/manifests/latest"
    for seed in range(3):
        accepted = random.Random(seed).sample(ACCEPTED, len(ACCEPTED))
        lines = [f"Accept: {each}" for each in accepted]
        head = await scene.mirror.head(manifest, AGENT, *lines)
        assert head.headers["content-length"] == str(len(MANIFEST))  # without, it gives us up
        assert head.headers["docker-content-digest"] == sha256(MANIFEST)
        assert scene.origin.requests(manifest)[-1].lines["accept"] == accepted
    layers = await gatherResults([(await scene.mirror.visit(path, AGENT)).done for path in paths])
    assert [bytes(each.body) for each in layers] == bodies


@ensureDeferred
async def test_dockerd_goes_on_where_a_layer_broke_off(scene: Scene) -> None:
    """206 from there on."""
    path = scene.put_blob()
    answer = await scene.mirror.get(path, AGENT, "Range: bytes=1500000-")
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes 1500000-{len(BODY) - 1}/{len(BODY)}"
    assert answer.body == BODY[1_500_000:]


@ensureDeferred
@pytest.mark.parametrize("name", ["library/app", "a/b/c/d"])
async def test_docker_registry_pulls_through(scene: Scene, name: str) -> None:
    """It asks for the length of a blob first, and again for its content."""
    agent = "User-Agent: docker-distribution/v2.8.2 go/go1.19.8"
    scene.origin.put("/v2/", b"{}")
    scene.put_manifest(name=name)
    path = scene.put_blob(name=name)
    assert (await scene.mirror.get("/v2/", agent)).status == 200
    lines = [f"Accept: {each}" for each in ACCEPTED]
    manifest = f"/v2/{name}/manifests/latest"
    assert (await scene.mirror.head(manifest, agent, *lines)).status == 200
    stat = await scene.mirror.head(path, agent)
    assert stat.headers["content-length"] == str(len(BODY))
    assert stat.headers["content-type"] == "application/octet-stream"
    assert (await scene.mirror.get(path, agent, "Accept-Encoding: gzip")).body == BODY
    assert scene.mirror.notes[-1].route == "swarm"
