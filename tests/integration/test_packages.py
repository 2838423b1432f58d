"""What package managers ask for, through the proxy, with the rules of the manual's page."""

from __future__ import annotations

import hashlib

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from dragonfly.daemon.routing.rules import Rules
from tests.doubles.manual import documented_rules
from tests.doubles.mirror import Mirror
from tests.doubles.origin import FakeOrigin
from tests.doubles.rawtcp import RawLine
from tests.doubles.replaying import BODY, Scene

RULES = documented_rules("packages.rst")
OID = hashlib.sha256(BODY).hexdigest()
PIP = 'User-Agent: pip/25.3 {"ci":null,"cpu":"x86_64","installer":{"name":"pip"}}'


@pytest_twisted.async_fixture
async def mirror(scene: Scene) -> Mirror:
    """With the rules of the page."""
    return scene.add_mirror(*RULES)


def test_the_page_has_rules() -> None:
    """Else nothing here would be about them."""
    assert len(RULES) == 6


@pytest.mark.parametrize(
    "url",
    [
        "https://files.pythonhosted.org/packages/ab/cd/0123abcd/numpy-2.0-cp311-linux.whl",
        "http://devpi.example:3141/root/pypi/+f/012/abc/six-1.17.0.tar.gz",
        "http://deb.debian.org/debian/pool/main/c/curl/curl_7.88.1-10+deb12u8_amd64.deb",
        f"http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/{OID}",
        "https://registry.npmjs.org/@types/node/-/node-22.0.0.tgz",
        f"https://github-cloud.example/alambic/media/1/ab/cd/{OID}?X-Amz-Signature=0&actor_id=1",
        f"https://gitlab.example/group/project.git/gitlab-lfs/objects/{OID}",
        f"https://s3.example/lfs-objects/{OID[:2]}/{OID[2:4]}/{OID[4:]}?X-Amz-Signature=0",
        f"https://gitea.example/user/project.git/info/lfs/objects/{OID}",
        "https://proxy.golang.org/github.com/!burnt!sushi/toml/@v/v1.5.0.zip",
    ],
)
def test_what_a_rule_names(url: str) -> None:
    """It does not change."""
    assert [rule.regx.pattern for rule in RULES if rule.matches(url)]


@pytest.mark.parametrize(
    "url",
    [
        "https://pypi.org/simple/numpy/",
        "https://files.pythonhosted.org/packages/ab/cd/0123abcd/numpy-2.0.whl.metadata",
        "http://deb.debian.org/debian/dists/bookworm/InRelease",
        "http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/Packages.xz",
        "https://registry.npmjs.org/@types%2fnode",
        "https://registry.npmjs.org/-/npm/v1/security/advisories/bulk",
        "https://github.com/user/project.git/info/lfs/objects/batch",
        "https://github.com/user/project.git/info/refs?service=git-upload-pack",
        "https://proxy.golang.org/github.com/a/b/@v/list",
        "https://proxy.golang.org/github.com/a/b/@v/v1.0.0.info",
        "https://proxy.golang.org/github.com/a/b/@latest",
        "https://sum.golang.org/lookup/github.com/a/b@v1.0.0",
    ],
)
def test_what_goes_straight_on(url: str) -> None:
    """It does change, or is small."""
    assert Rules(RULES).first(url) is None


@ensureDeferred
async def test_pip(scene: Scene, mirror: Mirror) -> None:
    """The index in the form that is asked for, and asked for again by its entity tag."""
    simple = scene.origin.put("/simple/app/", b'{"files": []}')
    url = scene.origin.url("/simple/app/")
    for form in ("application/vnd.pypi.simple.v1+json", "text/html"):
        answer = await mirror.get(url, PIP, f"Accept: {form}", "Cache-Control: max-age=0")
        assert answer.body == simple.body
        assert scene.origin.requests("/simple/app/")[-1].headers["accept"] == form
    simple.status, simple.body = 304, b""
    again = await mirror.get(url, PIP, 'If-None-Match: "v1"')
    assert again.status == 304
    scene.origin.put("/packages/ab/app-1-py3-none-any.whl", BODY)
    wheel = scene.origin.url("/packages/ab/app-1-py3-none-any.whl")
    for _ in range(2):
        assert (await mirror.get(wheel, PIP, "Accept-Encoding: identity")).body == BODY
    assert [note.route for note in mirror.notes] == ["direct"] * 3 + ["swarm"] * 2
    assert mirror.notes[-1].sources["cache"] == len(BODY)


@ensureDeferred
async def test_apt_sends_four_requests_at_once(scene: Scene, mirror: Mirror) -> None:
    """Answers come in order, wherever they come from; then the archive has another version."""
    paths = [
        "/debian/dists/stable/InRelease",
        "/debian/pool/main/a/app/app_1_amd64.deb",
        f"/debian/dists/stable/main/binary-amd64/by-hash/SHA256/{OID}",
        "/debian/pool/main/b/bar/bar_1_amd64.deb",
    ]
    bodies = [b"Origin: Debian\n", BODY, BODY[1:], BODY[:100_000]]
    for path, body in zip(paths, bodies, strict=True):
        scene.origin.put(path, body, last_modified="Mon, 02 Nov 2026 10:00:00 GMT")
    line = await RawLine.connect(reactor, mirror.port)
    host, agent = scene.place, "User-Agent: Debian APT-HTTP/1.3 (2.6.1)"
    for path in paths:
        line.write(
            f"GET {scene.origin.url(path)} HTTP/1.1\r\nHost: {host}\r\n{agent}\r\n\r\n".encode()
        )
    for body in bodies:
        head = await line.head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert f"content-length: {len(body)}\r\n".encode() in head.lower()
        assert await line.take(len(body)) == body
    line.close()
    await line.gone.wait()
    routes = [note.route for note in mirror.notes]
    assert routes == ["direct", "swarm", "swarm", "swarm"]
    scene.origin.put(paths[0], b"Origin: newer\n", etag='"v2"')
    changed = "If-Modified-Since: Mon, 02 Nov 2026 10:00:00 GMT"
    assert (await mirror.get(scene.origin.url(paths[0]), changed)).body == b"Origin: newer\n"


@ensureDeferred
async def test_npm(scene: Scene, mirror: Mirror) -> None:
    """A new session is no other task."""
    scene.origin.put("/app", b"{}")
    scene.origin.put("/app/-/app-1.0.0.tgz", BODY)
    agent = "User-Agent: npm/9.2.0 node/v18.19.0 linux x64 workspaces/false"
    tasks = set()
    for session in ("0a1b", "2c3d"):
        lines = (agent, f"npm-session: {session}", "pacote-req-type: tarball")
        assert (await mirror.get(scene.origin.url("/app"), *lines)).body == b"{}"
        answer = await mirror.get(scene.origin.url("/app/-/app-1.0.0.tgz"), *lines)
        assert answer.body == BODY
        tasks.add(answer.headers["x-dragonfly-task-id"])
    assert len(tasks) == 1
    assert [note.route for note in mirror.notes] == ["direct", "swarm"] * 2
    checks = scene.origin.requests("/app/-/app-1.0.0.tgz")
    assert not any("npm-session" in entry.headers for entry in checks)


@ensureDeferred
async def test_git_lfs(scene: Scene, mirror: Mirror, other_origin: FakeOrigin) -> None:
    """Where objects are is asked by POST; then each has a new signature in its URL."""
    batch = "/user/app.git/info/lfs/objects/batch"
    scene.origin.put(batch, b'{"transfer": "basic"}')
    asked = b'{"operation": "download", "objects": []}'
    line = await RawLine.connect(reactor, mirror.port)
    head = (
        f"POST {scene.origin.url(batch)} HTTP/1.1\r\nHost: {scene.place}\r\n"
        "Accept: application/vnd.git-lfs+json; charset=utf-8\r\n"
        "Content-Type: application/vnd.git-lfs+json; charset=utf-8\r\n"
        f"Content-Length: {len(asked)}\r\nConnection: close\r\n\r\n"
    )
    line.write(head.encode() + asked)
    assert (await line.rest()).endswith(b'{"transfer": "basic"}')
    assert scene.origin.count(batch, "POST") == 1
    stored = f"/alambic/media/1/{OID[:2]}/{OID[2:4]}/{OID}"
    other_origin.put(stored, BODY)
    for number in range(2):
        signed = f"X-Amz-Date=2026113{number}T000000Z&X-Amz-Signature={number}&actor_id={number}"
        url = f"{other_origin.url(stored)}?{signed}"
        agent = "User-Agent: git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)"
        assert (await mirror.get(url, agent, "Accept-Encoding: gzip")).body == BODY
    assert other_origin.sent(stored) == len(BODY)
    assert [note.route for note in mirror.notes] == ["direct", "swarm", "swarm"]


@ensureDeferred
async def test_go(scene: Scene, mirror: Mirror) -> None:
    """All of it behind one prefix, ``GOPROXY=http://127.0.0.1:65001/go/https://...``, of which
    Go makes ``/go/https:/...``. (It runs for real in the end-to-end tests.)"""
    module = "/example.test/!big/app/@v/"
    for name, body in (("list", b"v1.0.0\n"), ("v1.0.0.info", b"{}"), ("v1.0.0.zip", BODY)):
        scene.origin.put(module + name, body)
        path = f"/go/http:/{scene.place}{module}{name}"
        lines = ("User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip")
        assert (await mirror.get(path, *lines)).body == body
    absent = await mirror.get(f"/go/http:/{scene.place}{module}v9.info")
    assert absent.status == 404  # Go then tries what is behind the comma
    assert [note.route for note in mirror.notes] == ["direct", "direct", "swarm", "direct"]
