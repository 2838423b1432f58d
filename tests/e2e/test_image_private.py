"""Registries that let only members in, that keep blobs elsewhere, and that are behind TLS."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from dragonfly.net.tls import load_or_make_certificate
from tests.e2e.rig.containerd import Containerd
from tests.e2e.rig.curl import Answer
from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.files import MIB, files_with
from tests.e2e.rig.images import Image
from tests.e2e.rig.nginx import Nginx
from tests.e2e.rig.registry import Registry, Storage
from tests.e2e.rig.scene import Scene, failed

USER, WORD = "alice", "correct-horse"
RIGHT = f"{USER}:{WORD}"
WRONG = f"{USER}:battery-staple"
SIZE = 5 * MIB


@attrs.frozen(kw_only=True)
class Private:
    """A registry for members whose blobs lie on a host that refuses credentials, and one image."""

    depot: Depot
    cdn: Nginx
    image: Image

    @property
    def netloc(self) -> str:
        """The first host's."""
        return self.depot.first.netloc

    def ask(self, host: Dfdaemon | Registry, path: str, credentials: str = "") -> Answer:
        """One request, with credentials or without."""
        flags = ("--user", credentials) if credentials else ()
        return self.depot.curl.get(host.url(path), *flags)

    def sent_by_cdn(self) -> list[tuple[int, int]]:
        """Status and bytes of each answer of the blobs' host about the layer."""
        (layer,) = self.image.layers
        found = self.cdn.entries("data")
        return [(entry.status, entry.body_bytes) for entry in found if layer.hex in entry.path]


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Private:
    """One for all tests: they break nothing."""
    scene = module_scene
    storage = Storage(scene.directory("storage"))
    refusal = "if ($http_authorization) { return 400; }"
    cdn = Nginx(scene, "cdn", files=storage.path, rule=refusal)
    registry = Registry(scene, storage=storage, users={USER: WORD}, redirect=cdn.url(""))
    depot = Depot.made(scene, registry=registry)
    image = depot.layout.image(depot.layer(SIZE), tag="app")
    flags = ("--dest-creds", RIGHT)
    depot.skopeo.push(depot.layout, "app", f"{registry.netloc}/team/app:1", *flags)
    private = Private(depot=depot, cdn=cdn, image=image)
    pull = depot.skopeo.pull(f"{private.netloc}/team/app:1", "--src-creds", RIGHT)
    pull.right(image)
    return private


@pytest.fixture
def private(made: Private, request: pytest.FixtureRequest) -> Iterator[Private]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.depot.scene.logs())


def test_one_copy_left_the_host_of_the_blobs(private: Private) -> None:
    """Two engines on two hosts; the redirect was followed for them, without credentials."""
    containerd = Containerd(
        private.depot.scene, private.depot.second.url(), private.depot.registry.url()
    )
    assert containerd.fetch("team/app:1", "--user", RIGHT).wait(60) == 0
    (layer,) = private.image.layers
    assert containerd.has(private.image.manifest, layer)
    got = [(status, sent) for status, sent in private.sent_by_cdn() if sent]
    assert sum(sent for status, sent in got if status in (200, 206)) == layer.size
    assert all(status in (200, 206) for status, _sent in private.sent_by_cdn())


def test_a_blob_is_not_answered_by_a_redirect(private: Private) -> None:
    """The engine gets the bytes, not the way to them."""
    (layer,) = private.image.layers
    path = f"/v2/team/app/blobs/{layer.digest}"
    assert private.ask(private.depot.registry, path, RIGHT).status == 307
    answer = private.ask(private.depot.first, path, RIGHT)
    assert (answer.status, len(answer.body)) == (200, layer.size)


@pytest.mark.parametrize("credentials", ["", WRONG], ids=["none", "wrong"])
@pytest.mark.parametrize("where", [0, 1], ids=["cached", "not-cached"])
@pytest.mark.parametrize("what", ["blob", "manifest", "version"])
def test_refusals_are_the_registrys_own(
    private: Private, credentials: str, where: int, what: str
) -> None:
    """Whether or not the blob is here: the registry decides each time, in its own words."""
    (layer,) = private.image.layers
    paths = {
        "blob": f"/v2/team/app/blobs/{layer.digest}",
        "manifest": "/v2/team/app/manifests/1",
        "version": "/v2/",
    }
    names = ("www-authenticate", "content-type", "content-length")
    native = private.ask(private.depot.registry, paths[what], credentials)
    ours = private.ask(private.depot.hosts[where], paths[what], credentials)
    assert native.status == 401
    assert native.header("www-authenticate") == 'Basic realm="members"'
    assert ours.only(*names) == native.only(*names)


def test_wrong_credentials_end_a_pull(private: Private) -> None:
    """The engine says what it says without dfdaemon."""
    pull = private.depot.skopeo.pull(f"{private.netloc}/team/app:1", "--src-creds", WRONG)
    assert "unauthorized: authentication required" in pull.failed()


def test_credentials_stay_nowhere(private: Private) -> None:
    """Neither logs nor homes hold them, in whatever form."""
    encoded = b"YWxpY2U6Y29ycmVjdC1ob3JzZQ"
    for host in (*private.depot.hosts, private.depot.supernode):
        assert files_with(host.home, WORD.encode()) == files_with(host.home, encoded) == []
    logs = [*private.depot.scene.root.glob("d?.log"), private.depot.scene.root / "sn.log"]
    said = "".join(log.read_text() for log in logs)
    assert WORD not in said
    assert encoded.decode() not in said


def test_registry_behind_tls(private: Private) -> None:
    """With the file that vouches for it the image comes; without, the answer says why not."""
    depot = private.depot
    pem = load_or_make_certificate(depot.scene.directory("tls"), ("127.0.0.1",)).path
    registry = Registry(depot.scene, "secure", storage=depot.registry.storage, certificate=pem)
    mirror = {"remote": registry.url(), "certs": [str(pem)]}
    trusting = Dfdaemon(depot.scene, "d3", settings={"registry_mirror": mirror})
    depot.skopeo.pull(f"{trusting.netloc}/team/app:1").right(private.image)
    doubting = Dfdaemon(depot.scene, "d4", registry.url())
    answer = depot.curl.get(doubting.url("/v2/team/app/manifests/1"))
    assert answer.status == 502
    assert b"certificate" in answer.body
