"""Requests of PouchContainer, which has been still since 2020: ``image-proxy`` (absolute URLs of
plain HTTP only) and ``registry-mirrors`` (no name of a registry, no default namespace)."""

from __future__ import annotations

from pytest_twisted import ensureDeferred

from tests.doubles.origin import FakeOrigin
from tests.doubles.replaying import BODY, MANIFEST, Scene, sha256

AGENT = "User-Agent: containerd/1.2.5"
RESOLVING = (
    AGENT,
    (
        "Accept: application/vnd.docker.distribution.manifest.v2+json, "
        "application/vnd.docker.distribution.manifest.list.v2+json, "
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, *"
    ),
)
LAYER = (AGENT, "Accept: application/vnd.docker.image.rootfs.diff.tar.gzip, *")
SIGNED = (
    "Expires=1600000000&OSSAccessKeyId=LTAI1&Signature=one%3D",
    "Expires=1600009999&OSSAccessKeyId=LTAI2&Signature=two%3D",
)


def at_storage(body: bytes) -> str:
    """Where a registry that keeps its blobs in OSS has one."""
    value = sha256(body).partition(":")[2]
    return f"/docker/registry/v2/blobs/sha256/{value[:2]}/{value}/data"


@ensureDeferred
async def test_image_proxy(scene: Scene, other_origin: FakeOrigin) -> None:
    """Absolute URLs: the registry's, and those at a storage that it redirects to."""
    scene.put_manifest()
    path, stored = scene.put_blob(), other_origin.put(at_storage(BODY), BODY, etag='"5D41402A"')
    manifest = scene.origin.url("/v2/lib/image/manifests/latest")
    for _ in range(2):  # it resolves a name twice
        head = await scene.mirror.head(manifest, *RESOLVING)
        assert head.headers["docker-content-digest"] == sha256(MANIFEST)
    assert (await scene.mirror.get(scene.origin.url(path), *LAYER)).body == BODY
    tasks = set()
    for signature in SIGNED:
        url = f"{other_origin.url(at_storage(BODY))}?{signature}"
        answer = await scene.mirror.get(url, *LAYER)
        assert answer.body == stored.body
        tasks.add(answer.headers["x-dragonfly-task-id"])
    assert len(tasks) == 1
    assert other_origin.sent(at_storage(BODY)) == len(BODY)
    assert {note.mode for note in scene.mirror.notes} == {"proxy"}
    assert [note.route for note in scene.mirror.notes] == ["direct"] * 2 + ["swarm"] * 3
    asked = other_origin.requests(at_storage(BODY))
    checked = {entry.query for entry in asked if "via" in entry.headers}
    assert checked == set(SIGNED)  # each must be allowed to by a signature of his own


@ensureDeferred
async def test_a_layer_is_continued_through_the_proxy(scene: Scene) -> None:
    """Where its body broke off."""
    answer = await scene.mirror.get(
        scene.origin.url(scene.put_blob()), *LAYER, "Range: bytes=2000000-"
    )
    assert (answer.status, answer.body) == (206, BODY[2_000_000:])


@ensureDeferred
async def test_registry_mirrors(scene: Scene) -> None:
    """Names without a namespace, no ``?ns=``; 1.2.5 gives up without digest and length."""
    scene.put_manifest(name="busybox")
    path = scene.put_blob(name="busybox")
    for _ in range(2):
        head = await scene.mirror.head("/v2/busybox/manifests/latest", *RESOLVING)
        assert head.status == 200
        assert head.headers["docker-content-digest"] == sha256(MANIFEST)
        assert head.headers["content-length"] == str(len(MANIFEST))
    assert (await scene.mirror.get(path, *LAYER)).body == BODY
    missing = await scene.mirror.head("/v2/absent/manifests/latest", *RESOLVING)
    assert missing.status == 404  # and the next mirror is asked
