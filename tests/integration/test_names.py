"""Hosts whose names IDNA does not know, above all ``my_registry``: on real sockets, by all ways.

The names are in a resolver of the test's own.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from dragonfly.config import KnownRegistry, Node
from dragonfly.config.hijack import Hijack, HijackHost
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.errors import OriginUnreachable, OriginUntrusted
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import WayTrusts
from dragonfly.net.proxies import Proxies
from dragonfly.net.sink import BodySink
from dragonfly.net.tls import ServerCertificate, load_or_make_certificate
from dragonfly.net.trust import Trust
from tests.doubles.daemons import Daemon
from tests.doubles.names import Names
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Peer, Supernode
from tests.doubles.proxy import FakeProxy
from tests.integration.test_connect import fetch, trusting

CONTENT = bytes(range(256)) * 4000
BLOB = f"/v2/app/blobs/sha256:{hashlib.sha256(CONTENT).hexdigest()}"
NAME = "my_registry"
BELOW = "my_registry.lab_net.test"
DOTTED = "registry.test."
FOREIGN = "stra\N{LATIN SMALL LETTER SHARP S}e.test"
ASKED_FOR = "xn--strae-oqa.test"


@pytest.fixture(autouse=True)
def names() -> Iterator[Names]:
    """All of them are here."""
    hosts = (NAME, BELOW, DOTTED, "registry.test", ASKED_FOR, "my_node", "my_proxy")
    table = Names(**{host: [["127.0.0.1"]] for host in hosts})
    system: Any = reactor
    before = system.installNameResolver(table)
    yield table
    system.installNameResolver(before)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    """Its own authority."""
    made_out_to = [NAME, "*.lab_net.test", "registry.test", FOREIGN]
    return load_or_make_certificate(tmp_path_factory.mktemp("tls"), made_out_to)


@pytest_twisted.async_yield_fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    """An open one."""
    running = FakeProxy(reactor)
    await running.start()
    yield running
    await running.stop()


def client(certificate: ServerCertificate, proxies: Proxies | None = None) -> OriginClient:
    """One that believes the origin's authority."""
    trust = WayTrusts(Trust(cacerts=str(certificate.path)), None)
    policy = FetchPolicy(allow_loopback=True)
    return OriginClient(reactor, proxies=proxies, policy=policy, trust=trust)


async def read(client: OriginClient, url: str) -> bytes:
    """The content."""
    received: list[bytes] = []
    body = await client.get(url, ())
    await body.deliver(BodySink(received.append, clock=reactor))
    await client.close()
    return b"".join(received)


# -- origins ----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [NAME, BELOW, DOTTED, FOREIGN])
@ensureDeferred
async def test_origins(
    origin: FakeOrigin, secure: FakeOrigin, certificate: ServerCertificate, names: Names, host: str
) -> None:
    """Plain and over TLS, where the certificate must be made out to that name."""
    asked = ASKED_FOR if host == FOREIGN else host
    for server in (origin, secure):
        server.put("/f", CONTENT)
        assert await read(client(certificate), server.url("/f", host=host)) == CONTENT
        seen = server.requests("/f", "GET")[0].headers["host"]
        assert seen == f"{asked}:{server.port}"
    assert set(names.asked) == {asked}


@ensureDeferred
async def test_the_wrong_name(
    secure: FakeOrigin, certificate: ServerCertificate, names: Names
) -> None:
    """A name that the certificate does not have, and one that nothing has."""
    names.table["my_other"] = [["127.0.0.1"]]
    with pytest.raises(OriginUntrusted, match=r"my_other:.*made out to another name"):
        await read(client(certificate), secure.url("/f", host="my_other"))
    for url in (secure.url("/f", host="my..registry"), "http://my..registry/"):
        with pytest.raises(OriginUnreachable, match=r"my\.\.registry.* name"):
            await read(client(certificate), url)


@ensureDeferred
async def test_a_redirect(
    origin: FakeOrigin, secure: FakeOrigin, certificate: ServerCertificate
) -> None:
    """To such a name, as a registry sends to its store."""
    origin.put("/f", redirect=secure.url("/g", host=NAME))
    secure.put("/g", CONTENT)
    assert await read(client(certificate), origin.url("/f")) == CONTENT


@ensureDeferred
async def test_through_a_proxy(
    origin: FakeOrigin, secure: FakeOrigin, proxy: FakeProxy, certificate: ServerCertificate
) -> None:
    """Which has such a name, too; and around it."""
    rules = Proxies.of({"ALL_PROXY": proxy.url(host="my_proxy"), "NO_PROXY": ".lab_net.test"})
    for server, target in ((origin, b"GET http://my_registry:%d/f"), (secure, b"CONNECT %b:%d")):
        server.put("/f", CONTENT)
        assert await read(client(certificate, rules), server.url("/f", host=NAME)) == CONTENT
        assert await read(client(certificate, rules), server.url("/f", host=BELOW)) == CONTENT
        port = server.port
        expected = target % ((NAME.encode(), port) if server is secure else port)
        assert proxy.targets[-1] == expected
    assert len(proxy.targets) == 2


@ensureDeferred
async def test_a_supernode(
    origin: FakeOrigin, node: Supernode, tmp_path: Path, roles: list[Any]
) -> None:
    """A peer registers there, and gets the content."""
    url = origin.url("/f", host=NAME)
    origin.put("/f", CONTENT)
    peer = await Peer.started(tmp_path / "peer", node)
    roles.append(peer)
    peer.nodes = (Node(host="my_node", port=node.port),)
    download = await peer.get(url)
    assert peer.bytes_of(download) == CONTENT
    assert download.sources["cdn"] == len(CONTENT)


# -- dfdaemon ---------------------------------------------------------------------------------


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@ensureDeferred
async def test_the_mirror(
    origin: FakeOrigin,
    secure: FakeOrigin,
    certificate: ServerCertificate,
    tmp_path: Path,
    roles: list[Any],
    https: bool,
) -> None:
    """The registry is named by the configuration and in all ways in which a request can."""
    server, scheme = (secure, "https") if https else (origin, "http")
    server.put(BLOB, CONTENT)
    server.put("/v2/", b"{}")
    place = f"{NAME}:{server.port}"
    trusted = KnownRegistry(host=place, scheme=scheme, certs=(str(certificate.path),))
    daemon = await Daemon.started(tmp_path / "home", "http://127.0.0.1:9", registries=(trusted,))
    roles.append(daemon)
    in_path = BLOB.replace("/v2/", f"/v2/{NAME}_{server.port}/")
    forms: list[tuple[str, dict[str, str]]] = [
        (f"{BLOB}?ns={NAME}%3A{server.port}", {}),
        (BLOB, {"X-Dragonfly-Registry": f"{scheme}://{place}"}),
        (BLOB.replace("/v2/", f"/v2/{place}/"), {}),
        (in_path, {}),
        (f"/x/{scheme}://{place}{BLOB}", {}),
    ]
    for path, headers in forms:
        answer = await daemon.get(path, headers)
        assert (answer.status, answer.body == CONTENT) == (200, True), path


@ensureDeferred
async def test_connect(
    secure: FakeOrigin,
    certificate: ServerCertificate,
    origin: FakeOrigin,
    tmp_path: Path,
    roles: list[Any],
) -> None:
    """A blind tunnel, and an opened one, with certificates for such a name."""
    secure.put(BLOB, CONTENT)
    ours, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    now = datetime.datetime.now(datetime.timezone.utc)
    write_authority(make_authority("test", days=3, now=now), ours, key, force=False)
    host = HijackHost(regx="^my_registry:", certs=(str(certificate.path),))
    hijack = Hijack(cert=str(ours), key=str(key), hosts=(host,))
    daemon = await Daemon.started(tmp_path / "home", origin.url(""), hijack=hijack)
    roles.append(daemon)

    async def get(name: str, authority: object) -> bytes:
        target, context = f"{name}:{secure.port}", trusting(str(authority))
        return await deferToThread(fetch, daemon.port, target, BLOB, context)

    assert (await get(NAME, ours)).endswith(CONTENT)
    assert (await get("registry.test", certificate.path)).endswith(CONTENT)
    with pytest.raises(ssl.SSLError):  # that one was opened
        await get(NAME, certificate.path)
