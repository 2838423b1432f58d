"""A whole dfdaemon: ports, home, status, and how it ends."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.threads import deferToThread

import dragonfly
from dragonfly.config import DaemonConfig, RegistryMirror
from dragonfly.daemon.composition import make_daemon
from dragonfly.daemon.routing.registry import parse_registry
from dragonfly.dfget.client import Conversation, connect
from dragonfly.errors import ConfigError, HomeBusy, ListenError, StoreError
from dragonfly.net.tls import load_or_make_certificate
from dragonfly.peer.home.home import Home
from dragonfly.peer.home.sockpath import socket_path
from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Supernode, until

BLOB = random.Random(17).randbytes(1_500_000)
Start = Callable[..., Awaitable[Daemon]]
PATH = f"/v2/app/blobs/sha256:{hashlib.sha256(BLOB).hexdigest()}"


@pytest_twisted.async_yield_fixture
async def start(tmp_path: Path, origin: FakeOrigin) -> AsyncIterator[Start]:
    """Starts a dfdaemon in front of ``origin``; all of them end with the test."""
    started: list[Daemon] = []

    async def begin(*nodes: Supernode, name: str = "home", **config: Any) -> Daemon:
        started.append(await Daemon.started(tmp_path / name, origin.url(""), *nodes, **config))
        return started[-1]

    yield begin
    for each in started:
        await each.stop()


@pytest_twisted.async_fixture
async def daemon(start: Start) -> Daemon:
    """One that knows no supernode."""
    return await start()


@ensureDeferred
async def test_it_passes_requests_on_and_counts_them(origin: FakeOrigin, daemon: Daemon) -> None:
    """The first slice: a request through the front, and a number at the status port."""
    origin.put("/v2/", b"{}", headers={"Docker-Distribution-Api-Version": "registry/2.0"})
    answer = await daemon.get("/v2/")
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"
    text = (await daemon.status("/metrics")).body.decode()
    assert 'dragonfly_dfdaemon_http_requests_total{code="2xx",route="direct"} 1.0' in text
    assert 'dragonfly_dfdaemon_bytes_total{source="registry"} 2.0' in text
    assert "dragonfly_dfdaemon_connections 0.0" in text


@ensureDeferred
async def test_it_serves_where_its_ports_cannot_be_written(
    tmp_path: Path, origin: FakeOrigin, start: Start
) -> None:
    """As on a full disk: pulls go on."""
    (tmp_path / "home" / "dfdaemon-ports.json").mkdir(parents=True)
    origin.put("/v2/", b"{}")
    assert (await (await start()).get("/v2/")).status == 200


@ensureDeferred
async def test_without_supernodes_blobs_come_from_the_registry(
    origin: FakeOrigin, daemon: Daemon
) -> None:
    """A mirror without a swarm is still a mirror."""
    origin.put(PATH, BLOB)
    answer = await daemon.get(PATH)
    assert (answer.status, answer.body) == (200, BLOB)
    text = (await daemon.status("/metrics")).body.decode()
    assert 'dragonfly_dfdaemon_fallbacks_total{reason="supernode"} 1.0' in text


@ensureDeferred
async def test_blobs_come_through_the_swarm(
    origin: FakeOrigin, node: Supernode, start: Start
) -> None:
    """All parts wired: two hosts, one copy from the registry."""
    origin.put(PATH, BLOB)
    daemons = [await start(node, name=name) for name in "ab"]
    for each in daemons:
        answer = await each.get(PATH)
        assert (answer.status, answer.body) == (200, BLOB)
        text = (await each.status("/metrics")).body.decode()
        assert 'http_requests_total{code="2xx",route="swarm"} 1.0' in text
        assert 'bytes_total{source="registry"} 0.0' in text
        assert (await each.status("/healthy")).json["tasks"] == 1


@ensureDeferred
@pytest.mark.parametrize("path", ["/v2/", PATH])
async def test_a_registry_that_is_itself_is_noticed(
    node: Supernode, start: Start, path: str
) -> None:
    """Behind a name that tells nobody; blobs, too, whose check is a request of its own."""
    daemon = await start(node)
    daemon.service.registries.mirror = parse_registry(f"http://127.0.0.1:{daemon.port}")
    answer = await daemon.get(path)
    assert answer.status == 508
    text = (await daemon.status("/metrics")).body.decode()
    counted = re.findall(r'http_requests_total{code="5xx",route="direct"} (\S+)', text)
    assert float(counted[0]) <= 10
    await daemon.stop()


@ensureDeferred
async def test_it_tells_how_it_is(origin: FakeOrigin, daemon: Daemon, tmp_path: Path) -> None:
    """For probes, and for people."""
    answer = await daemon.status("/healthy")
    assert answer.status == 200
    service = daemon.service
    ports = {
        "front": service.ports.front.port,
        "pieces": service.peer.pieces.port,
        "status": service.ports.status.port,
    }
    assert answer.json == {
        "ok": True,
        "version": dragonfly.__version__,
        "registry": origin.url(""),
        "supernodes": [],
        "ports": ports,
        "home": str(tmp_path / "home"),
        "tasks": 0,
    }
    told = json.loads((tmp_path / "home" / "dfdaemon-ports.json").read_text())
    assert told == {**ports, "pid": os.getpid()}


@ensureDeferred
async def test_dfgets_of_the_home_use_its_peer(daemon: Daemon, tmp_path: Path) -> None:
    """The socket answers; one that asks it to end, as another version's dfget may, is in vain."""

    def talk() -> dict[str, Any]:
        sock = connect(str(socket_path(tmp_path / "home")))
        assert sock is not None
        conversation = Conversation(sock)
        conversation.ask("stop", "stopping")
        status = conversation.ask("status", "status")
        conversation.close()
        return status

    status = await deferToThread(talk)
    assert (status["role"], status["pid"]) == ("dfdaemon", os.getpid())
    assert (await daemon.status("/healthy")).status == 200


@ensureDeferred
async def test_two_of_them_need_two_homes(daemon: Daemon, tmp_path: Path) -> None:
    """The second one says who is there; asking blocks, so it is done from another thread."""
    config = DaemonConfig(work_home=str(tmp_path / "home"), nodes=())
    with pytest.raises(HomeBusy, match=f"another dfdaemon, process {os.getpid()}"):
        await deferToThread(make_daemon, config, reactor)
    assert (await daemon.status("/healthy")).status == 200


@ensureDeferred
async def test_a_background_peer_of_dfget_makes_room(start: Start, tmp_path: Path) -> None:
    """It ends in order, and the home is the daemon's."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "dragonfly.dfget", "server", "--home", str(home)]
    peer = await deferToThread(subprocess.Popen, command, stderr=subprocess.DEVNULL)
    await until(lambda: _answers(home))
    daemon = await start()
    assert await deferToThread(peer.wait, 10) == 0
    assert (await daemon.status("/healthy")).json["ok"]
    await daemon.stop()


def _answers(home: Path) -> bool:
    sock = connect(str(socket_path(home)))
    if sock is not None:
        sock.close()
    return sock is not None


@ensureDeferred
async def test_layers_may_be_kept_elsewhere(
    origin: FakeOrigin, node: Supernode, start: Start, tmp_path: Path
) -> None:
    """On a larger disk."""
    repo = tmp_path / "repo"
    origin.put(PATH, BLOB)
    daemon = await start(node, local_repo=str(repo))
    assert (await daemon.get(PATH)).body == BLOB
    assert [path.stat().st_size for path in repo.rglob("data")] == [len(BLOB)]
    assert not (tmp_path / "home" / "store").exists()
    await daemon.stop()
    home = Home(repo)
    home.lock()  # it is free again
    home.unlock()


@ensureDeferred
async def test_a_port_that_is_taken_ends_it(origin: FakeOrigin, tmp_path: Path) -> None:
    """With the home free again afterwards."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = DaemonConfig(
            registry=RegistryMirror(remote=origin.url("")),
            work_home=str(tmp_path / "home"),
            port=port,
            peer_port=0,
            status_port=0,
        )
        service = make_daemon(config, reactor)
        with pytest.raises(ListenError, match=f"port {port} is taken"):
            service.privilegedStartService()
        await service.stopService()
    home = Home(tmp_path / "home")
    home.lock()
    home.unlock()


def test_what_cannot_be_used_leaves_the_home_alone(tmp_path: Path) -> None:
    """Errors of the configuration come before the lock."""
    home = str(tmp_path / "home")
    itself = RegistryMirror(remote="http://localhost:65001")
    with pytest.raises(ConfigError, match="this dfdaemon itself"):
        make_daemon(DaemonConfig(registry=itself, work_home=home), reactor)
    absent = RegistryMirror(certs=(str(tmp_path / "absent.pem"),))
    repo = str(tmp_path / "repo")
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        make_daemon(DaemonConfig(registry=absent, work_home=home, local_repo=repo), reactor)
    file = tmp_path / "file"
    file.write_text("")
    for kind in ({"work_home": str(file / "x")}, {"work_home": home, "local_repo": str(file)}):
        with pytest.raises(StoreError):
            make_daemon(DaemonConfig(local_repo=kind.pop("local_repo", repo), **kind), reactor)
    for root in (tmp_path / "home", tmp_path / "repo"):
        free = Home(root)
        free.lock()
        free.unlock()


def offering_h2(path: str) -> Any:
    """What makes a client believe the certificate in ``path``, as HTTP clients do today."""
    trusted = Certificate.loadPEM(Path(path).read_text())
    return optionsForClientTLS(
        "localhost", trustRoot=trusted, acceptableProtocols=[b"h2", b"http/1.1"]
    )


class Client(Protocol):
    """Sends, and keeps what comes."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        """It is gone."""
        self.lost.callback(None)


async def connected(daemon: Daemon, tls: Any = None, *, port: int = 0) -> Client:
    """A client of the mirror."""
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port or daemon.port)
    if tls is not None:
        endpoint = wrapClientTLS(tls, endpoint)
    client: Client = await connectProtocol(endpoint, Client())
    return client


@ensureDeferred
async def test_an_answer_under_way_may_end_when_it_stops(
    origin: FakeOrigin, daemon: Daemon
) -> None:
    """No new ones begin; /healthy says so meanwhile."""
    held: Deferred[None] = Deferred()
    origin.put("/v2/slow", b"late", hold=held)
    busy, idle = await connected(daemon), await connected(daemon)
    busy.transport.write(b"GET /v2/slow HTTP/1.1\r\nHost: a\r\n\r\n")  # type: ignore[union-attr]
    await until(lambda: origin.count("/v2/slow"))
    stopping = Deferred.fromCoroutine(daemon.stop())
    await idle.lost
    answer = await daemon.status("/healthy")
    assert (answer.status, answer.json["ok"]) == (503, False)
    held.callback(None)
    await stopping
    await busy.lost
    assert busy.received.endswith(b"\r\n\r\nlate")


@ensureDeferred
async def test_an_answer_outlives_the_peer(
    origin: FakeOrigin, node: Supernode, start: Start, tmp_path: Path
) -> None:
    """The home is free while the rest comes from the registry, in the same response."""
    origin.put(PATH, BLOB)
    daemon = await start(node, rate_limit=200_000)
    service = daemon.service
    client = await connected(daemon)
    client.transport.write(  # type: ignore[union-attr]
        f"GET {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )
    await until(lambda: len(client.received) > 100_000)
    await service._turnover.leaving.part()
    home = Home(tmp_path / "home")
    home.lock()
    assert len(client.received) < len(BLOB)
    service.reconfigure(attrs.evolve(service.config, rate_limit=None))
    assert (await daemon.get(PATH)).body == BLOB
    await client.lost
    assert client.received.endswith(BLOB)
    text = (await daemon.status("/metrics")).body.decode()
    assert 'fallbacks_total{reason="stopping"} 2.0' in text
    await daemon.stop()
    home.unlock()


@ensureDeferred
async def test_over_tls(origin: FakeOrigin, start: Start, tmp_path: Path) -> None:
    """With a certificate the mirror's port speaks TLS as well, also to clients that offer h2;
    a second port speaks nothing else."""
    path = str(load_or_make_certificate(tmp_path).path)
    origin.put("/v2/", b"{}")
    daemon = await start(certpem=path, keypem=path, https_port=0)
    told = json.loads((tmp_path / "home" / "dfdaemon-ports.json").read_text())
    https = daemon.service.ports.https
    assert https is not None
    assert told["https"] == https.port
    tls = offering_h2(path)
    for port, how in ((daemon.port, tls), (daemon.port, None), (https.port, tls)):
        client = await connected(daemon, how, port=port)
        client.transport.write(  # type: ignore[union-attr]
            b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        await client.lost
        assert client.received.endswith(b"\r\n\r\n{}")
    without = await connected(daemon, port=https.port)
    without.transport.write(b"GET /v2/ HTTP/1.1\r\n\r\n")  # type: ignore[union-attr]
    await without.lost
    assert b"HTTP/" not in without.received
    silent = await connected(daemon, port=https.port)
    await daemon.stop()
    await silent.lost


@ensureDeferred
async def test_another_rate_while_it_runs(origin: FakeOrigin, tmp_path: Path) -> None:
    """For what it receives and what it sends; the blob that is pulled next names it, too."""
    config = DaemonConfig(
        registry=RegistryMirror(remote=origin.url("")),
        work_home=str(tmp_path / "home"),
        rate_limit=1000,
        port=0,
        peer_port=0,
        status_port=0,
    )
    service = make_daemon(config, reactor)
    assert service.peer.total.rate == 1000
    service.reconfigure(attrs.evolve(config, rate_limit=2000, verbose=True))
    assert service.peer.total.rate == 2000
    assert service.peer._peer.uploader._limit.rate == 2000
    assert service._reception.swarm._settings.total_limit == 2000
    service.reconfigure(attrs.evolve(config, rate_limit=None))
    assert service.peer.total.rate is None
    await service.stopService()


@ensureDeferred
async def test_who_is_elsewhere_cannot_reach_what_is_only_here(
    origin: FakeOrigin, start: Start, node: Supernode
) -> None:
    """A client of another host, to which this host's loopback is closed; the mirror is open."""
    origin.put(PATH, BLOB)
    daemon = await start(node)
    elsewhere = "10.1.2.3"
    build = daemon.service._clients.buildProtocol

    def from_elsewhere(addr: Any) -> Any:
        made: Any = build(addr)
        made_connection = made.makeConnection

        def connect(transport: Any) -> None:
            transport.getPeer = lambda: IPv4Address("TCP", elsewhere, 1)
            made_connection(transport)

        made.makeConnection = connect
        return made

    daemon.service._clients.buildProtocol = from_elsewhere
    for path in (PATH, "/v2/"):
        refused = await daemon.get(f"/x/http://localhost:{origin.port}{path}")
        assert refused.status == 403
        assert b"loopback" in refused.body
    assert (await daemon.get(PATH)).body == BLOB
