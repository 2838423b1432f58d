"""``dfdaemon doctor`` beside a dfdaemon, a supernode and a registry."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from dragonfly.setup import cli, doctor
from dragonfly.setup.web import get
from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Supernode

DEFAULT = Path("/etc/dragonfly/dfdaemon.yml")
BLOB = b"{}" * 5000
LAYER = b"layer" * 20000
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def digest(data: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image(origin: FakeOrigin, name: str, **switches: object) -> None:
    """An image with an index, one platform, a configuration and a layer."""
    manifest = json.dumps(
        {
            "config": {"digest": digest(BLOB), "size": len(BLOB)},
            "layers": [{"digest": digest(LAYER), "size": len(LAYER)}],
        }
    ).encode()
    index = json.dumps({"manifests": [{"digest": digest(manifest)}]}).encode()
    headers = {"Docker-Content-Digest": digest(index), "Content-Type": INDEX_TYPE}
    origin.put(f"/v2/{name}/manifests/latest", index, headers=headers, **switches)
    origin.put(f"/v2/{name}/manifests/{digest(manifest)}", manifest, **switches)
    origin.put(f"/v2/{name}/blobs/{digest(BLOB)}", BLOB, **switches)
    origin.put(f"/v2/{name}/blobs/{digest(LAYER)}", LAYER, **switches)


@attrs.frozen
class Report:
    """What was printed."""

    code: int
    lines: list[str]

    def of(self, what: str) -> str:
        """The one line on a thing."""
        found = [line for line in self.lines if line[6:].startswith(what)]
        assert len(found) == 1, self.lines
        return found[0]


class Host:
    """A root with dfdaemon's configuration in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "etc/dragonfly/dfdaemon.yml"
        self.config.parent.mkdir(parents=True)

    def configured(self, **settings: object) -> None:
        """Write dfdaemon's file; JSON is YAML."""
        home = {"workHome": str(self.root / "home")}
        self.config.write_text(json.dumps({**home, **settings}))

    async def set_up(self, *arguments: str) -> None:
        """Run dfdaemon setup."""
        flags = [*arguments, "--root", str(self.root)]
        assert await deferToThread(cli.main, flags, DEFAULT) == 0

    async def report(self, *arguments: str) -> Report:
        """Run dfdaemon doctor; it blocks, and what it asks runs in this process."""
        out = io.StringIO()
        flags = [*arguments, "--root", str(self.root)]
        with contextlib.redirect_stdout(out):
            code = await deferToThread(doctor.main, flags, DEFAULT)
        return Report(code, out.getvalue().splitlines())


@pytest_twisted.async_yield_fixture
async def daemon(tmp_path: Path, origin: FakeOrigin, node: Supernode) -> AsyncIterator[Daemon]:
    """A dfdaemon in front of ``origin``."""
    running = await Daemon.started(tmp_path / "root/home", origin.url(""), node)
    yield running
    await running.stop()


@ensureDeferred
async def test_all_is_well(tmp_path: Path, origin: FakeOrigin, daemon: Daemon) -> None:
    """An engine is set up, the pull comes through the swarm, and at last the engine, too."""
    host = Host(tmp_path / "root")
    host.configured(registry_mirror={"remote": origin.url("")}, port=daemon.port)
    image(origin, "app")
    mirror = f"http://127.0.0.1:{daemon.port}"
    registry = origin.url("").removeprefix("http://")
    await host.set_up("podman", "--registry", registry, "--mirror", mirror)
    before = await host.report()
    assert before.of("requests").startswith("WARN")
    assert before.of("pull").startswith("skip")
    report = await host.report("--image", origin.url("/app"))
    assert report.code == 0, report.lines
    assert not [line for line in report.lines if line.startswith("FAIL")]
    assert report.of("supernode").startswith("ok")
    assert report.of("port of mirror") == f"ok    port of mirror: {daemon.port} is dfdaemon's"
    assert report.of("podman/crio").startswith("ok")
    pull = report.of("pull of")
    assert pull.startswith("ok")
    assert f"a blob of {len(BLOB)} bytes" in pull
    assert "cdn=" in pull
    assert (await host.report()).of("requests").startswith("WARN")  # that was no engine
    await deferToThread(get, f"{mirror}/v2/app/manifests/latest")
    assert (await host.report()).of("requests") == "ok    requests: 1 came since dfdaemon started"


@ensureDeferred
async def test_a_token_is_fetched_as_for_anybody(
    tmp_path: Path, origin: FakeOrigin, daemon: Daemon
) -> None:
    """From the realm that the registry names."""
    host = Host(tmp_path / "root")
    host.configured()
    image(origin, "private", token="t", realm=origin.url("/token"))
    origin.put("/token", b'{"token": "t"}')
    report = await host.report("--image", origin.url("/private"))
    assert "right digests" in report.of("pull of")
    assert origin.requests("/token")[0].query == "scope=repository%3Aprivate%3Apull"
    image(origin, "secret", basic=("u", "p"))
    report = await host.report("--image", origin.url("/secret"))
    assert report.code == 1
    assert "wants credentials" in report.of("pull of")


@ensureDeferred
async def test_wrong_bytes_and_missing_images(
    tmp_path: Path, origin: FakeOrigin, daemon: Daemon
) -> None:
    """Nothing is called right that is not."""
    host = Host(tmp_path / "root")
    host.configured()
    image(origin, "wrong")
    origin.pages["/v2/wrong/manifests/latest"].headers["Docker-Content-Digest"] = digest(b"x")
    report = await host.report("--image", origin.url("/wrong"))
    assert report.code == 1
    assert "manifest latest: got sha256:" in report.of("pull of")
    report = await host.report("--image", origin.url("/missing"))
    assert "the answer is 404" in report.of("pull of")


@ensureDeferred
async def test_a_registry_that_is_down(tmp_path: Path, daemon: Daemon, origin: FakeOrigin) -> None:
    """It is said whose fault it is: dfdaemon's own answer is 502."""
    host = Host(tmp_path / "root")
    host.configured()
    url = origin.url("/app")
    await origin.stop()
    report = await host.report("--image", url)
    assert report.code == 1
    assert "manifests/latest: 502" in report.of("pull of")


@ensureDeferred
async def test_bodies_that_lie(tmp_path: Path, origin: FakeOrigin, daemon: Daemon) -> None:
    """No manifest, and a token that is none."""
    host = Host(tmp_path / "root")
    host.configured()
    origin.put("/v2/html/manifests/latest", b"<html>")
    report = await host.report("--image", origin.url("/html"))
    assert "no JSON object" in report.of("pull of")
    image(origin, "private", token="t", realm=origin.url("/token"))
    origin.put("/token", b"[]")
    report = await host.report("--image", origin.url("/private"))
    assert "gives no token" in report.of("pull of")
    assert report.code == 1


@ensureDeferred
async def test_no_supernode_answers_and_the_key_is_another(
    tmp_path: Path, origin: FakeOrigin, daemon: Daemon, node: Supernode
) -> None:
    """The pull works all the same."""
    host = Host(tmp_path / "root")
    host.configured(registry_mirror={"remote": origin.url("")})
    known = host.root / "home/known_supernodes"
    known.write_text(f"{node.node} {'00' * 32}\n")
    report = await host.report()
    assert "has another key" in report.of("supernode")
    assert str(known) in report.of("supernode")
    known.unlink()
    await node.stop()
    report = await host.report()
    assert report.of("supernode").startswith("FAIL")
    assert report.code == 1


@ensureDeferred
async def test_it_does_not_run(tmp_path: Path) -> None:
    """Its ports are free or taken, and the rest is looked at all the same."""
    host = Host(tmp_path / "root")
    (host.root / "etc/docker").mkdir()
    (host.root / "etc/docker/daemon.json").write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, not listening: connecting is refused
        ports = {"port": taken.getsockname()[1], "statusPort": reserved.getsockname()[1]}
        host.configured(**ports, peerPort=0)
        report = await host.report()
    assert report.code == 1
    assert report.of("dfdaemon").startswith("FAIL")
    assert "is taken by another program" in report.of("port of mirror")
    assert report.of("docker").endswith("; dfdaemon setup docker")
    assert report.of("pull") == "skip  pull: dfdaemon does not run"


@ensureDeferred
async def test_somebody_else_at_the_status_port(tmp_path: Path, origin: FakeOrigin) -> None:
    """A web server is no dfdaemon."""
    host = Host(tmp_path / "root")
    origin.put("/healthy", b"OK")
    host.configured(statusPort=int(origin.url("").rpartition(":")[2]))
    report = await host.report()
    assert "another program answers" in report.of("dfdaemon")


@ensureDeferred
async def test_mistakes(tmp_path: Path) -> None:
    """One line, before anything is looked at."""
    host = Host(tmp_path / "root")
    host.config.write_text("prot: 1\n")
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        assert (await host.report()).code == 1
    assert "unknown key 'prot'" in errors.getvalue()
