"""Single requests to a dfdaemon, by curl and by raw sockets: each answer is the registry's own."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator

import attrs
import pytest

from tests.e2e.rig.curl import Curl
from tests.e2e.rig.daemon import Dfdaemon
from tests.e2e.rig.depot import Depot
from tests.e2e.rig.files import MIB
from tests.e2e.rig.images import Blob, Image
from tests.e2e.rig.nginx import free_port
from tests.e2e.rig.scene import Scene, failed

SIZE = 3 * MIB
AT_ONCE_S = 5.0
# What the registry says of a blob, apart from the time of day.
OF_BLOBS = (
    "accept-ranges",
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "etag",
)


@attrs.frozen(kw_only=True)
class Pushed:
    """An image in a registry, and two ways to it."""

    depot: Depot
    image: Image

    @property
    def layer(self) -> Blob:
        """Its only layer."""
        return self.image.layers[0]

    @property
    def path(self) -> str:
        """The path of the layer."""
        return f"/v2/team/sub/app/blobs/{self.layer.digest}"

    def both(self, path: str, *flags: str) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """What comes from the registry itself, and through dfdaemon."""
        curl, names = self.depot.curl, (*OF_BLOBS, "www-authenticate")
        native = curl.get(self.depot.registry.url(path), *flags)
        ours = curl.get(self.depot.first.url(path), *flags)
        return native.only(*names), ours.only(*names)


@pytest.fixture(scope="module")
def made(module_scene: Scene) -> Pushed:
    """One for all tests: they break nothing."""
    depot = Depot.made(module_scene, hosts=1)
    image = depot.layout.image(depot.layer(SIZE), tag="app")
    depot.skopeo.push(depot.layout, "app", f"{depot.registry.netloc}/team/sub/app:1")
    return Pushed(depot=depot, image=image)


@pytest.fixture
def pushed(made: Pushed, request: pytest.FixtureRequest) -> Iterator[Pushed]:
    """The same; the logs are shown if the test fails."""
    yield made
    if failed(request):
        print(made.depot.scene.logs())


@pytest.mark.parametrize(
    "wanted",
    ["0-0", "0-", "1000-1999", "1048576-", "-1000", "3000000-99999999", "-99999999"],
)
def test_ranges(pushed: Pushed, wanted: str) -> None:
    """One range, in each form that HTTP has: status, headers and bytes are the registry's."""
    native, ours = pushed.both(pushed.path, "--range", wanted)
    assert native[1] == 206
    assert ours == native


def test_range_past_the_end(pushed: Pushed) -> None:
    """416, with the length there is."""
    native, ours = pushed.both(pushed.path, "--range", "99999999-")
    # status and Content-Range; the text beside them is free
    assert native[1] == ours[1] == 416
    assert ours[4] == native[4] == f"bytes */{pushed.layer.size}"


def test_whole_blob(pushed: Pushed) -> None:
    """GET and HEAD of a blob."""
    native, ours = pushed.both(pushed.path)
    assert ours == native
    native, ours = pushed.both(pushed.path, "--head")
    assert native[1] == 200
    assert ours == native


def test_several_ranges_are_never_one(pushed: Pushed) -> None:
    """Several ranges at once: both of them, all of it, or a refusal, but not a false 206."""
    answer = pushed.depot.curl.get(pushed.depot.first.url(pushed.path), "--range", "0-9,20-29")
    if answer.status == 206:
        assert "multipart/byteranges" in (answer.header("content-type") or "")
    elif answer.status == 200:
        assert len(answer.body) == pushed.layer.size
    else:
        assert answer.status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2/team/sub/app/manifests/1",
        "/v2/team/sub/app/tags/list",
        "/v2/no/such/manifests/1",
        f"/v2/team/sub/app/blobs/sha256:{'0' * 64}",
        "/v2/no/such/blobs/sha256:short",
        "/",
        "/elsewhere?x=%2F",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_everything_else(pushed: Pushed, path: str, method: str) -> None:
    """What is no blob, and what is not there, is answered by the registry."""
    accept = ["--header", f"Accept: {pushed.image.manifest.media_type}"]
    head = ["--head"] if method == "HEAD" else []
    native, ours = pushed.both(path, *accept, *head)
    assert native[1] in (200, 400, 404, 405)
    assert ours == native


def test_a_blob_of_another_repository_is_not_found(pushed: Pushed) -> None:
    """It is in the cache, but that repository does not have it."""
    pushed.depot.curl.get(pushed.depot.first.url(pushed.path))
    native, ours = pushed.both(f"/v2/another/app/blobs/{pushed.layer.digest}")
    assert native[1] == 404
    assert ours == native


def test_status_port(pushed: Pushed) -> None:
    """It says that dfdaemon is well, what it is for, and what went through it."""
    host = pushed.depot.first
    pushed.depot.curl.get(host.url(pushed.path))
    health = json.loads(host.get("/healthy"))
    assert health["ok"] is True
    assert health["registry"] == pushed.depot.registry.url()
    text = host.get("/metrics")
    sent = [line for line in text.splitlines() if "_bytes_total{source=" in line]
    assert sum(float(line.split()[-1]) for line in sent) >= pushed.layer.size


def test_tls_on_the_plain_port(pushed: Pushed) -> None:
    """A ClientHello is answered at once; an engine that insists on TLS fails, another goes on."""
    skopeo, netloc = pushed.depot.skopeo, pushed.depot.first.netloc
    began = time.monotonic()
    skopeo.pull(f"{netloc}/team/sub/app:1", tls=True).failed(AT_ONCE_S)
    assert time.monotonic() - began < AT_ONCE_S
    skopeo.pull(f"{netloc}/team/sub/app:1").right(pushed.image, seconds=AT_ONCE_S)


def test_loop(scene: Scene) -> None:
    """Two dfdaemons, each the other's registry: 508 at once, for blobs too."""
    port = free_port()
    one = Dfdaemon(scene, "d1", f"http://127.0.0.1:{port}")
    Dfdaemon(scene, "d2", one.url(), port=port)
    curl = Curl(scene)
    for path in ("/v2/", f"/v2/app/blobs/sha256:{'0' * 64}"):
        began = time.monotonic()
        assert curl.get(one.url(path)).status == 508
        assert time.monotonic() - began < AT_ONCE_S


@pytest.mark.parametrize(
    "sent",
    [
        b"what is this\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n\r\n",
        b"GET /v2/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        bytes(range(256)) * 4,
    ],
    ids=[
        "line",
        "version",
        "header",
        "two-hosts",
        "no-host",
        "nul",
        "negative",
        "two-lengths",
        "chunk",
        "long-target",
        "long-header",
        "noise",
    ],
)
def test_what_is_no_request(pushed: Pushed, sent: bytes) -> None:
    """It is refused with a status of the caller's, and the connection is closed at once."""
    answer = _told(pushed.depot.first.port, sent)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), answer[:200]
    assert pushed.depot.curl.get(pushed.depot.first.url("/v2/")).status == 200


def test_http_1_0(pushed: Pushed) -> None:
    """The oldest form gets a body that ends with the connection."""
    head = f"GET {pushed.path} HTTP/1.0\r\n\r\n".encode()
    answer = _told(pushed.depot.first.port, head)
    assert re.match(rb"HTTP/1\.[01] 200 ", answer)
    assert len(answer.partition(b"\r\n\r\n")[2]) == pushed.layer.size


def test_pipelined(pushed: Pushed) -> None:
    """Requests that do not wait for each other are answered in their order."""
    paths = ["/v2/", pushed.path, "/v2/no/such/manifests/1", "/v2/"]
    lines = [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths[:-1]]
    lines.append(f"GET {paths[-1]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = _told(pushed.depot.first.port, "".join(lines).encode())
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) == [b"200", b"200", b"404", b"200"]


def _told(port: int, sent: bytes) -> bytes:
    """Everything that comes until the connection is closed, in time.

    It may be closed before everything is read.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=AT_ONCE_S) as link:
        parts = []
        try:
            link.sendall(sent)
            while data := link.recv(65536):
                parts.append(data)
        except ConnectionError:
            pass
        return b"".join(parts)
