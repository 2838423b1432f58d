"""Hugging Face's own client, with a stand-in for the hub: behind dfdaemon's prefix, and with it as
the proxy. Skipped where the client is not installed (``tox -e compat`` does that)."""

from __future__ import annotations

import datetime
import importlib.util
import os
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from dragonfly.config import OriginCert
from dragonfly.config.hijack import Hijack, HijackHost
from dragonfly.config.proxies import ProxyRule
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.net.tls import ServerCertificate, load_or_make_certificate
from tests.doubles.daemons import Daemon
from tests.doubles.hub import REPO, Hub
from tests.doubles.peers import Supernode

if importlib.util.find_spec("huggingface_hub") is None:
    pytest.skip("huggingface_hub is not installed", allow_module_level=True)

WEIGHTS = random.Random(9).randbytes(2_500_000)
FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": WEIGHTS}
ONE, TWO = "1" * 40, "2" * 40
NOWHERE = "http://registry.example"
RULE = ProxyRule(regx="/resolve/")

DOWNLOAD = """
import sys
from huggingface_hub import hf_hub_download
print(hf_hub_download(sys.argv[1], "model.safetensors"))
"""
SNAPSHOT = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], max_workers=2))
"""
LIST = """
import sys
from huggingface_hub import HfApi
print(*sorted(entry.path for entry in HfApi().list_repo_tree(sys.argv[1], recursive=True)))
"""
ABSENT = """
import sys
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
try:
    hf_hub_download(sys.argv[1], "absent.bin")
except EntryNotFoundError:
    print("absent")
"""

Endpoint = Callable[[Daemon, Hub], dict[str, str]]


def prefixed(daemon: Daemon, hub: Hub) -> dict[str, str]:
    """The hub is looked for behind dfdaemon's prefix."""
    return {"HF_ENDPOINT": f"http://127.0.0.1:{daemon.port}/hub/{hub.url('')}"}


def proxied(daemon: Daemon, hub: Hub) -> dict[str, str]:
    """The hub is where it is, and dfdaemon is the proxy."""
    return {"HF_ENDPOINT": hub.url(""), "HTTP_PROXY": f"http://127.0.0.1:{daemon.port}"}


WAYS = pytest.mark.parametrize("way", [prefixed, proxied])


@attrs.define(eq=False)
class Hosts:
    """Two hosts with a dfdaemon each, and a user who downloads there."""

    hub: Hub
    daemons: list[Daemon]
    directory: Path

    async def run(self, host: int, way: Endpoint, script: str, token: str = "") -> str:
        """Run the client on one of them; give the last word that it prints."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        env = {
            **kept,
            **way(self.daemons[host], self.hub),
            "HF_HOME": str(self.directory / f"host-{host}"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **({"HF_TOKEN": token} if token else {}),
        }
        command = [sys.executable, "-c", script, REPO]
        ran = await deferToThread(
            subprocess.run,
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        text: str = ran.stdout.decode()
        assert ran.returncode == 0, text
        return text.strip().rpartition("\n")[2]

    async def read(self, host: int, way: Endpoint, token: str = "") -> bytes:
        """The large file, as the client has it in the end."""
        return _bytes_of(await self.run(host, way, DOWNLOAD, token))

    async def from_swarm(self, host: int) -> float:
        """Bytes that other hosts and the supernode gave to that host."""
        text = (await self.daemons[host].status("/metrics")).body.decode()
        found = re.findall(r'bytes_total{source="(?:peers|cdn)"} (\S+)', text)
        return sum(float(each) for each in found)

    @property
    def stored(self) -> int:
        """Bytes of contents that the storage sent."""
        return self.hub.cdn.content_bytes


def _bytes_of(path: str) -> bytes:
    return Path(path).read_bytes()


@attrs.define(eq=False)
class Opened:
    """What it takes for dfdaemon to open the clients' connections to a hub of HTTPS."""

    directory: Path
    hub: ServerCertificate

    @property
    def ours(self) -> str:
        """Whom the clients believe."""
        return str(self.directory / "ca.crt")

    def make(self) -> None:
        """dfdaemon's authority."""
        made = make_authority("test", days=3, now=datetime.datetime.now(datetime.timezone.utc))
        write_authority(made, Path(self.ours), self.directory / "ca.key", force=False)

    def node(self, port: int) -> dict[str, Any]:
        """The supernode believes the hub."""
        origin = OriginCert(host="localhost", port=port, certs=(str(self.hub.path),))
        return {"origin_certs": (origin,)}

    def daemon(self) -> dict[str, Any]:
        """So does dfdaemon, and is believed."""
        host = HijackHost(regx="^localhost:", certs=(str(self.hub.path),))
        key = str(self.directory / "ca.key")
        return {"hijack": Hijack(cert=self.ours, key=key, hosts=(host,))}

    def way(self, daemon: Daemon, hub: Hub) -> dict[str, str]:
        """dfdaemon is the proxy; the clients' two HTTP libraries are told whom to believe."""
        proxy = f"http://127.0.0.1:{daemon.port}"
        trust = {"SSL_CERT_FILE": self.ours, "REQUESTS_CA_BUNDLE": self.ours}
        return {"HF_ENDPOINT": hub.url(""), "HTTPS_PROXY": proxy, **trust}


@asynccontextmanager
async def running(
    directory: Path,
    *,
    token: str | None = None,
    rules: Sequence[ProxyRule] = (RULE,),
    opened: Opened | None = None,
) -> AsyncIterator[Hosts]:
    """Everything, and the end of it.

    :param token: for the hub's repository.
    """
    hub = await Hub.started(reactor, token=token, tls=opened and opened.hub.options())
    hub.commit(ONE, FILES)
    believing = opened.node(hub.api.port) if opened else {}
    node = await Supernode.started(directory / "node", **believing)
    config = opened.daemon() if opened else {}
    daemons = [
        await Daemon.started(
            directory / name, "http://registry.example", node, rules=rules, **config
        )
        for name in ("a", "b")
    ]
    try:
        yield Hosts(hub, daemons, directory)
    finally:
        for daemon in daemons:
            await daemon.stop()
        await node.stop()
        await hub.stop()


@pytest_twisted.async_yield_fixture
async def hosts(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Hosts]:
    """With the rule, and a hub that is open to everybody, unless a test says otherwise."""
    async with running(tmp_path, **getattr(request, "param", {})) as everything:
        yield everything


@ensureDeferred
@WAYS
async def test_the_second_host_has_it_from_the_swarm(hosts: Hosts, way: Endpoint) -> None:
    """The storage sends it once."""
    for host in (0, 1):
        hosts.hub.sign_anew()
        assert await hosts.read(host, way) == WEIGHTS
        assert await hosts.from_swarm(host) == len(WEIGHTS)
    assert hosts.stored == len(WEIGHTS)


@ensureDeferred
async def test_by_https(tmp_path: Path) -> None:
    """The same where dfdaemon is the proxy for HTTPS, and opens the connections to the hub."""
    opened = Opened(tmp_path, load_or_make_certificate(tmp_path))
    opened.make()
    async with running(tmp_path, opened=opened) as hosts:
        for host in (0, 1):
            assert await hosts.read(host, opened.way) == WEIGHTS
            assert await hosts.from_swarm(host) == len(WEIGHTS)
        assert hosts.stored == len(WEIGHTS)


@ensureDeferred
@pytest.mark.parametrize("hosts", [{"rules": ()}], indirect=True)
async def test_without_a_rule(hosts: Hosts) -> None:
    """The client goes to the storage itself; so what the tests above see is the rule's doing."""

    def way(daemon: Daemon, hub: Hub) -> dict[str, str]:
        return {**prefixed(daemon, hub), "HF_HUB_DISABLE_XET": "1"}

    for host in (0, 1):
        assert await hosts.read(host, way) == WEIGHTS
        assert await hosts.from_swarm(host) == 0
    assert hosts.stored == 2 * len(WEIGHTS)


@ensureDeferred
async def test_a_newer_commit(hosts: Hosts) -> None:
    """What ``main`` is now, by those who had the older one, too."""
    assert await hosts.read(0, prefixed) == WEIGHTS
    hosts.hub.commit(TWO, {**FILES, "model.safetensors": WEIGHTS[::-1]})
    assert await hosts.read(0, prefixed) == WEIGHTS[::-1]
    assert await hosts.read(1, prefixed) == WEIGHTS[::-1]


@ensureDeferred
async def test_a_whole_model(hosts: Hosts) -> None:
    """All files of a commit, as most programs get them."""
    directory = await hosts.run(0, prefixed, SNAPSHOT)
    assert directory.rpartition("/")[2] == ONE
    assert {name: _bytes_of(f"{directory}/{name}") for name in FILES} == FILES


@ensureDeferred
async def test_lists_and_what_is_not_there(hosts: Hosts) -> None:
    """The second page of a list is asked through dfdaemon; what is absent is known to be."""
    assert await hosts.run(0, prefixed, LIST) == " ".join(sorted(FILES))
    assert await hosts.run(0, prefixed, ABSENT) == "absent"
    remembered = list((hosts.directory / "host-0").rglob(f".no_exist/{ONE}/absent.bin"))
    assert len(remembered) == 1


@ensureDeferred
@pytest.mark.parametrize("hosts", [{"token": "hf_right"}], indirect=True)
async def test_a_gated_model(hosts: Hosts) -> None:
    """The token goes to the hub, not to the storage."""
    assert await hosts.read(0, prefixed, "hf_right") == WEIGHTS
    with pytest.raises(AssertionError, match="401"):
        await hosts.read(1, prefixed, "hf_wrong")
    assert hosts.hub.cdn.log
    assert not any("authorization" in entry.headers for entry in hosts.hub.cdn.log)
