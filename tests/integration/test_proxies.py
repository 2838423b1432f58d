"""Origins and registries behind an upstream proxy, on real sockets.

What is on loopback is never asked through a proxy, so the origins here go by names, which only
the proxy knows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.protocols.portforward import ProxyFactory

from dragonfly.config import OriginCert, RegistryMirror
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import AddressRefused, ConfigError, OriginUnreachable, OriginUntrusted
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import WayTrusts
from dragonfly.net.proxies import Proxies
from dragonfly.net.sink import BodySink
from dragonfly.net.tls import ServerCertificate, load_or_make_certificate
from dragonfly.net.trust import Trust
from tests.doubles.daemons import Daemon
from tests.doubles.names import Names, WithNames
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Peer, Supernode, until
from tests.doubles.proxy import FakeProxy
from tests.doubles.upstream import Taker

CONTENT = bytes(range(256)) * 4000
BLOB = f"/v2/app/blobs/sha256:{hashlib.sha256(CONTENT).hexdigest()}"
NAME = "registry.test"
SECRET = "s3cret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    """Its own authority, for the registry's name."""
    return load_or_make_certificate(tmp_path_factory.mktemp("tls"), [NAME])


@pytest_twisted.async_yield_fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    """A proxy that wants a login."""
    running = FakeProxy(reactor, login=("user", SECRET))
    await running.start()
    yield running
    await running.stop()


def proxies(proxy: FakeProxy, **others: str) -> Proxies:
    """The rules of a process whose proxy for everything that is."""
    return Proxies.of({"ALL_PROXY": proxy.url(userinfo=f"user:{SECRET}"), **others})


def client(rules: Proxies, **options: Any) -> OriginClient:
    """One that may fetch for anybody: loopback is not for it."""
    return OriginClient(reactor, proxies=rules, **options)


async def read(client: OriginClient, url: str) -> bytes:
    """The content."""
    received: list[bytes] = []
    body = await client.get(url, ())
    await body.deliver(BodySink(received.append, clock=reactor))
    return b"".join(received)


# -- origins ----------------------------------------------------------------------------------


@ensureDeferred
async def test_http(origin: FakeOrigin, proxy: FakeProxy) -> None:
    """In absolute-form, with the login for the proxy alone."""
    origin.put("/f", CONTENT)
    asking = client(proxies(proxy))
    url = origin.url("/f?q=1", host=NAME)
    for _ in range(2):
        assert (await asking.probe(url, ())).length == len(CONTENT)
    assert await read(asking, url) == CONTENT
    assert proxy.targets == [b"HEAD " + url.encode()] * 2 + [b"GET " + url.encode()]
    assert proxy.connections == 2
    seen = origin.requests("/f", "GET")[0]
    assert seen.query == "q=1"
    assert seen.headers["host"] == f"{NAME}:{origin.port}"
    assert "proxy-authorization" not in seen.headers
    await asking.close()


@ensureDeferred
async def test_https(secure: FakeOrigin, proxy: FakeProxy, certificate: ServerCertificate) -> None:
    """Through a tunnel, with the origin's own certificate."""
    secure.put("/f", CONTENT)
    asking = client(proxies(proxy), trust=Trust(cacerts=str(certificate.path)))
    assert await read(asking, secure.url("/f", host=NAME)) == CONTENT
    assert proxy.targets == [b"CONNECT %b:%d" % (NAME.encode(), secure.port)]
    await asking.close()
    distrusting = client(proxies(proxy))
    with pytest.raises(OriginUntrusted, match=f"{NAME}:{secure.port}: certificate verify failed"):
        await read(distrusting, secure.url("/f", host=NAME))
    await distrusting.close()


@ensureDeferred
async def test_a_redirect_is_another_destination(
    origin: FakeOrigin, secure: FakeOrigin, proxy: FakeProxy
) -> None:
    """Each hop by its own rule."""
    origin.put("/f", redirect=secure.url("/g", host="direct.test"))
    secure.put("/g", CONTENT)
    names = Names(**{"direct.test": [["127.0.0.1"]]})
    asking = OriginClient(
        WithNames(names, reactor),
        proxies=proxies(proxy, NO_PROXY="direct.test"),
        policy=FetchPolicy(allow_loopback=True),
        trust=WayTrusts(Trust(insecure=True), None),
    )
    assert await read(asking, origin.url("/f", host=NAME)) == CONTENT
    assert len(proxy.heads) == 1
    assert NAME not in names.asked  # only the proxy can resolve it, perhaps
    await asking.close()


@pytest.mark.parametrize("secure_proxy", [False, True], ids=["http", "https"])
@ensureDeferred
async def test_an_https_proxy(
    secure: FakeOrigin,
    origin: FakeOrigin,
    certificate: ServerCertificate,
    monkeypatch: pytest.MonkeyPatch,
    *,
    secure_proxy: bool,
) -> None:
    """TLS with the proxy, whose certificate the system has to believe, and TLS inside of it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path) if secure_proxy else "/dev/null")
    running = FakeProxy(reactor, tls=certificate.options())
    await running.start()
    asking = client(
        Proxies.of({"ALL_PROXY": running.url(host="localhost")}),
        trust=Trust(cacerts=str(certificate.path)),
    )
    for server in (origin, secure):
        server.put("/f", CONTENT)
        url = server.url("/f", host=NAME)
        if secure_proxy:
            assert await read(asking, url) == CONTENT
        else:
            with pytest.raises(OriginUnreachable, match=r"proxy localhost:.*certificate verify"):
                await read(asking, url)
    assert len(running.heads) == (2 if secure_proxy else 0)
    await asking.close()
    await running.stop()


@pytest.mark.parametrize("status", [403, 407, 502])
@ensureDeferred
async def test_a_proxy_that_refuses(
    origin: FakeOrigin, secure: FakeOrigin, proxy: FakeProxy, status: int
) -> None:
    """Is named with what it said; the login is not."""
    proxy.refuses = status
    asking = client(proxies(proxy))
    with pytest.raises(OriginUnreachable) as caught:
        await read(asking, secure.url("/f", host=NAME))
    place = f"{NAME}:{secure.port}"
    said = f"proxy 127.0.0.1:{proxy.port} answered {status} to CONNECT {place}"
    assert str(caught.value) == f"{place}: {said}"
    if status == 407:
        with pytest.raises(OriginUnreachable, match=f"proxy 127.0.0.1:{proxy.port} answered 407"):
            await read(asking, origin.url("/f", host=NAME))
    await asking.close()


@pytest.mark.parametrize("says", [b"", b"\0" * 100000, b"HTTP/1.1 200 OK\r\n"])
@ensureDeferred
async def test_a_proxy_out_of_order(secure: FakeOrigin, proxy: FakeProxy, says: bytes) -> None:
    """Nothing, garbage, or half an answer: told in time."""
    proxy.says = says
    asking = client(proxies(proxy), answer_s=0.2)
    with pytest.raises(OriginUnreachable, match=r"no answer in 0.2 s|is not HTTP"):
        await read(asking, secure.url("/f", host=NAME))
    await until(lambda: not proxy.open)
    await asking.close()


@ensureDeferred
async def test_cancelling(secure: FakeOrigin, proxy: FakeProxy) -> None:
    """Closes the connection to a proxy that does not answer."""
    proxy.says = b""
    asking = client(proxies(proxy))
    reading = Deferred.fromCoroutine(read(asking, secure.url("/f", host=NAME)))
    await until(lambda: proxy.heads)
    reading.cancel()
    with pytest.raises(CancelledError):
        await reading
    await until(lambda: not proxy.open)
    await asking.close()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0xa9fea9fe", "100.100.100.200", "[fe80::1]", "224.0.0.1."]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
@ensureDeferred
async def test_addresses_are_checked(proxy: FakeProxy, scheme: str, host: str) -> None:
    """In URLs, since what becomes of them is the proxy's affair."""
    asking = client(proxies(proxy))
    with pytest.raises(AddressRefused, match="is not fetched from"):
        await read(asking, f"{scheme}://{host}/latest/meta-data/")
    assert proxy.connections == 0
    await asking.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:7f00:1]"])
@ensureDeferred
async def test_loopback_stays_refused(origin: FakeOrigin, proxy: FakeProxy, host: str) -> None:
    """It is never asked through the proxy, so who may not reach it still may not."""
    asking = client(proxies(proxy))
    with pytest.raises(AddressRefused, match="loopback"):
        await read(asking, origin.url("/f", host=host))
    assert proxy.connections == 0
    await asking.close()


# -- registries -------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
@ensureDeferred
async def test_a_registry(
    origin: FakeOrigin,
    secure: FakeOrigin,
    proxy: FakeProxy,
    certificate: ServerCertificate,
    scheme: str,
) -> None:
    """Straight on: one connection through the proxy serves several requests."""
    server = origin if scheme == "http" else secure
    server.put("/v2/", CONTENT)
    trust = Trust(cacerts=str(certificate.path))
    registry = Registry(scheme=scheme, host=NAME, port=server.port, trust=trust)
    upstream = Upstream(reactor, proxies=proxies(proxy))
    for _ in range(2):
        headers = ((b"Host", registry.netloc.encode()),)
        exchange = await upstream.ask(registry, b"GET", b"/v2/", headers)
        taker = Taker()
        exchange.deliver(taker)
        await until(lambda taker=taker: taker.ended)
        assert (exchange.status, taker.taken) == (200, CONTENT)
    assert proxy.connections == 1
    assert server.connections == 1
    assert "proxy-authorization" not in server.requests("/v2/")[0].headers
    await upstream.close()


@ensureDeferred
async def test_a_registry_at_a_forbidden_address(proxy: FakeProxy) -> None:
    """Is none, through a proxy as well."""
    upstream = Upstream(reactor, proxies=proxies(proxy))
    registry = Registry(scheme="https", host="169.254.169.254", port=443)
    with pytest.raises(AddressRefused):
        await upstream.ask(registry, b"GET", b"/v2/", ((b"Host", b"x"),))
    await upstream.close()


# -- whole roles ------------------------------------------------------------------------------


@ensureDeferred
async def test_a_dfdaemon(
    secure: FakeOrigin,
    proxy: FakeProxy,
    certificate: ServerCertificate,
    roles: list[Any],
    tmp_path: Path,
) -> None:
    """Manifests straight on, and blobs through the swarm, whose supernode has the proxy, too."""
    secure.put("/v2/", b"{}")
    secure.put(BLOB, CONTENT)
    cert = OriginCert(host=NAME, port=secure.port, certs=(str(certificate.path),))
    rules = proxies(proxy)
    node = await Supernode.started(tmp_path / "node", proxies=rules, origin_certs=(cert,))
    roles.append(node)
    mirror = RegistryMirror(remote=secure.url("", host=NAME), certs=(str(certificate.path),))
    daemon = await Daemon.started(tmp_path / "home", "", node, proxies=rules, registry=mirror)
    roles.append(daemon)
    assert (await daemon.get("/v2/")).body == b"{}"
    assert (await daemon.get(BLOB)).body == CONTENT
    text = (await daemon.status("/metrics")).body.decode()
    assert 'bytes_total{source="registry"} 2.0' in text
    assert set(proxy.targets) == {b"CONNECT %b:%d" % (NAME.encode(), secure.port)}
    assert b"\r\nVia: 1.1 dfdaemon-" in proxy.heads[0] + b"\r\n"


@ensureDeferred
async def test_a_dfdaemon_without_a_swarm(
    origin: FakeOrigin, proxy: FakeProxy, roles: list[Any], tmp_path: Path
) -> None:
    """A proxy that wants another login is told as that, not asked of the client."""
    origin.put(BLOB, CONTENT)
    daemon = await Daemon.started(
        tmp_path / "home", origin.url("", host=NAME), proxies=proxies(proxy)
    )
    roles.append(daemon)
    assert (await daemon.get(BLOB)).body == CONTENT
    proxy.login = ("user", "another")
    answer = await daemon.get(BLOB)
    assert answer.status == 502
    assert f"proxy 127.0.0.1:{proxy.port} answered 407" in answer.body.decode()
    assert "proxy-authenticate" not in answer.headers


@ensureDeferred
async def test_a_peer(
    origin: FakeOrigin, proxy: FakeProxy, roles: list[Any], tmp_path: Path
) -> None:
    """What dfget runs reads origins through the proxy, and the supernode's node directly."""
    origin.put("/f", CONTENT)
    rules = proxies(proxy)
    node = await Supernode.started(tmp_path / "node", proxies=rules)
    roles.append(node)
    peer = await Peer.started(tmp_path / "peer", node, proxies=rules)
    roles.append(peer)
    for pattern in ("source", "p2p"):
        download = await peer.get(origin.url("/f", host=NAME), pattern=pattern)
        assert peer.bytes_of(download) == CONTENT
    assert all(f"//{NAME}:".encode() in target for target in proxy.targets)


@ensureDeferred
async def test_a_supernode_whose_proxy_is_a_dfdaemon(
    origin: FakeOrigin, proxy: FakeProxy, roles: list[Any], tmp_path: Path
) -> None:
    """What it reads for the swarm goes straight on there, and does not wait for the swarm."""
    origin.put(BLOB, CONTENT)
    detour = ProxyFactory("127.0.0.1", 0)
    port = reactor.listenTCP(0, detour, interface="127.0.0.1")
    rules = Proxies.of({"HTTP_PROXY": f"http://127.0.0.1:{port.getHost().port}"})
    node = await Supernode.started(tmp_path / "node", proxies=rules)
    roles.append(node)
    daemon = await Daemon.started(
        tmp_path / "home", origin.url("", host=NAME), node, proxies=proxies(proxy)
    )
    roles.append(daemon)
    detour.port = daemon.port
    assert (await daemon.get(BLOB)).body == CONTENT
    await port.stopListening()
    text = (await daemon.status("/metrics")).body.decode()
    assert 'bytes_total{source="cdn"} 1.024e+06' in text
    assert len(origin.reads(BLOB)) == 1
    assert b"dragonfly" in b"".join(re.findall(rb"\r\nVia: (.*?)\r\n", proxy.heads[-1]))


@pytest.mark.parametrize("scheme", ["http", "https"])
@ensureDeferred
async def test_a_proxy_that_is_itself(roles: list[Any], tmp_path: Path, scheme: str) -> None:
    """Behind an address that tells nobody: no request goes around twice."""
    detour = ProxyFactory("127.0.0.1", 0)
    port = reactor.listenTCP(0, detour, interface="127.0.0.1")
    rules = Proxies.of({"ALL_PROXY": f"http://127.0.0.1:{port.getHost().port}"})
    daemon = await Daemon.started(tmp_path / "home", f"{scheme}://{NAME}", proxies=rules)
    roles.append(daemon)
    detour.port = daemon.port
    answer = await daemon.get("/v2/")
    await port.stopListening()
    assert answer.status == (508 if scheme == "http" else 502)
    assert re.search(rb"loop|answered 50[18] to CONNECT", answer.body)
    text = (await daemon.status("/metrics")).body.decode()
    counted = re.findall(r'http_requests_total{code="5xx",route="direct"} (\S+)', text)
    assert float(counted[0]) <= 2


@ensureDeferred
async def test_a_proxy_that_is_plainly_itself(tmp_path: Path) -> None:
    """Is said before anything is begun."""
    with pytest.raises(ConfigError, match=r"proxy localhost:65001 is this dfdaemon itself"):
        await Daemon.started(
            tmp_path / "home",
            f"https://{NAME}",
            port=65001,
            proxies=Proxies.of({"HTTPS_PROXY": "http://localhost:65001"}),
        )
