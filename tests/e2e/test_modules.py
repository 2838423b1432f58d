"""Go's own client behind dfdaemon's prefix, as the manual has it. Skipped where there is no ``go``
(``tox -e compat`` installs it)."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from dragonfly.config.proxies import ProxyRule
from tests.doubles.daemons import Daemon
from tests.doubles.manual import documented_rules
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Supernode

if shutil.which("go") is None:
    pytest.skip("go is not installed", allow_module_level=True)

MODULE, VERSION = "example.test/Big/app", "v1.0.0"
ESCAPED = "/example.test/%21big/app/@v"
DATA = random.Random(10).randbytes(1_200_000)


def _zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in (("go.mod", _MOD), ("data.bin", DATA)):
            archive.writestr(f"{MODULE}@{VERSION}/{name}", body)
    return out.getvalue()


_MOD = f"module {MODULE}\n".encode()
ZIP = _zipped()


@attrs.define(eq=False)
class Hosts:
    """A server of modules, and two hosts."""

    origin: FakeOrigin
    daemons: list[Daemon]
    directory: Path

    async def download(self, host: int) -> bytes:
        """What Go has of the module in the end."""
        home = self.directory / f"host-{host}"
        port = self.daemons[host].port
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GOPROXY": f"http://127.0.0.1:{port}/go/{self.origin.url('')}",
            "GOSUMDB": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-modcacherw",
        }
        ran = await deferToThread(
            subprocess.run,
            ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
            cwd=self.directory,
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        return _data_in(json.loads(ran.stdout)["Dir"])


def _data_in(directory: str) -> bytes:
    return Path(directory, "data.bin").read_bytes()


@pytest_twisted.async_yield_fixture
async def hosts(tmp_path: Path) -> AsyncIterator[Hosts]:
    """With the rules of the manual."""
    origin = FakeOrigin(reactor)
    await origin.start()
    for name, body in (
        ("list", f"{VERSION}\n".encode()),
        (f"{VERSION}.info", json.dumps({"Version": VERSION}).encode()),
        (f"{VERSION}.mod", _MOD),
        (f"{VERSION}.zip", ZIP),
    ):
        origin.put(f"{ESCAPED}/{name}", body)
    rules = [ProxyRule(regx=rule.regx.pattern) for rule in documented_rules("packages.rst")]
    node = await Supernode.started(tmp_path / "node")
    daemons = [
        await Daemon.started(tmp_path / name, "http://registry.example", node, rules=rules)
        for name in ("a", "b")
    ]
    yield Hosts(origin, daemons, tmp_path)
    for daemon in daemons:
        await daemon.stop()
    await node.stop()
    await origin.stop()


@ensureDeferred
async def test_a_module_on_two_hosts(hosts: Hosts) -> None:
    """The server sends it once."""
    for host in (0, 1):
        assert await hosts.download(host) == DATA
    assert hosts.origin.sent(f"{ESCAPED}/{VERSION}.zip") == len(ZIP)
    assert hosts.origin.count(f"{ESCAPED}/{VERSION}.mod", "GET") == 2
