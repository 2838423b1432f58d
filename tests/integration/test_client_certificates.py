"""Origins and registries that give nothing without a client's certificate."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from OpenSSL import SSL
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from dragonfly.config import KnownRegistry, OriginCert
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import ConfigError, OriginUnreachable
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import OriginTrusts
from dragonfly.net.tls import ServerCertificate, load_or_make_certificate
from dragonfly.net.trust import Trust
from dragonfly.peer.download.download import Download
from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import Peer, Supernode, until
from tests.doubles.upstream import Taker

CONTENT = bytes(range(256)) * 4000
BLOB = f"/v2/app/blobs/sha256:{hashlib.sha256(CONTENT).hexdigest()}"
ALERT = r"TLS failed: .*certificate required"


class Demanding:
    """What a server is made with that asks for a certificate.

    :ivar shown: the serial numbers of those that came.
    """

    def __init__(self, ours: ServerCertificate, theirs: ServerCertificate, *, must: bool) -> None:
        self.shown: list[int] = []
        self.options = ours.options()
        context = self.options.getContext()
        context.load_verify_locations(str(theirs.path))
        how = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if must else 0)
        context.set_verify(how, self._verify)

    def _verify(self, _conn: Any, shown: Any, _error: int, _depth: int, ok: int) -> bool:
        self.shown.append(shown.get_serial_number())
        return bool(ok)


@attrs.define(eq=False)
class Place:
    """One server."""

    origin: FakeOrigin
    tls: Demanding

    def put(self, path: str, body: bytes = b"", **switches: Any) -> str:
        """Its URL."""
        self.origin.put(path, body, **switches)
        return self.origin.url(path)


class Places:
    """Servers, and two identities.

    :ivar server: what all servers show.
    :ivar client: what they want to see.
    """

    def __init__(self, root: Path) -> None:
        self.server, self.client = (self._made(root / name) for name in ("server", "client"))
        self.all: list[Place] = []

    def _made(self, directory: Path) -> ServerCertificate:
        directory.mkdir()
        return load_or_make_certificate(directory)

    @property
    def bare(self) -> Trust:
        """Believes the servers."""
        return Trust(cacerts=str(self.server.path))

    @property
    def trust(self) -> Trust:
        """The same, and has a certificate."""
        return attrs.evolve(self.bare, client_cert=str(self.client.path))

    async def place(self, *, must: bool = True) -> Place:
        """One more server; it asks for a certificate, and perhaps does without."""
        tls = Demanding(self.server, self.client, must=must)
        self.all.append(Place(FakeOrigin(reactor, tls=tls.options), tls))
        await self.all[-1].origin.start()
        return self.all[-1]


@pytest_twisted.async_yield_fixture
async def places(tmp_path: Path) -> AsyncIterator[Places]:
    """None yet."""
    made = Places(tmp_path)
    yield made
    for each in made.all:
        await each.origin.stop()


def client(trust: Trust | OriginTrusts) -> OriginClient:
    """One that may fetch here."""
    return OriginClient(reactor, policy=FetchPolicy(allow_loopback=True), trust=trust)


@pytest.mark.parametrize("insecure", [False, True])
@ensureDeferred
async def test_it_is_shown(places: Places, *, insecure: bool) -> None:
    """And without it the origin's refusal is told as that."""
    place = await places.place()
    url = place.put("/f", CONTENT)
    asking = client(attrs.evolve(places.trust, insecure=insecure))
    assert (await asking.probe(url, ())).length == len(CONTENT)
    assert place.tls.shown
    await asking.close()
    stranger = client(attrs.evolve(places.bare, insecure=insecure))
    with pytest.raises(OriginUnreachable, match=ALERT):
        await stranger.probe(url, ())
    await stranger.close()


@ensureDeferred
async def test_no_other_origin_sees_it(places: Places) -> None:
    """Not one that ours redirects to, nor on a connection that was kept; but ours, when it
    leads back."""
    ours, other = await places.place(), await places.place(must=False)
    there = other.put("/there", CONTENT)
    away = ours.put("/away", redirect=there)
    back = ours.put("/back", redirect=other.put("/again", redirect=ours.put("/here", CONTENT)))
    asking = client(places.trust)
    for url in (away, back, away):
        assert (await asking.probe(url, ())).length == len(CONTENT)
    assert ours.tls.shown
    assert other.tls.shown == []
    await asking.probe(there, ())  # asked itself, it is another matter
    assert other.tls.shown
    await asking.probe(away, ())
    assert other.origin.connections == 2
    await asking.close()


@ensureDeferred
async def test_certificates_by_origin(places: Places) -> None:
    """Each origin has its own, and no other one, whoever leads to it."""
    ours, other = await places.place(), await places.place(must=False)
    trusts = {
        ("127.0.0.1", ours.origin.port): places.trust,
        ("127.0.0.1", other.origin.port): places.bare,
    }
    asking = client(OriginTrusts(trusts))
    other.put("/f", redirect=ours.put("/f", CONTENT))
    assert (await asking.probe(other.origin.url("/f"), ())).length == len(CONTENT)
    assert ours.tls.shown
    assert other.tls.shown == []
    await asking.close()


@ensureDeferred
async def test_straight_on(places: Places, tmp_path: Path) -> None:
    """A registry's own, over connections that are kept; a file that is gone is named."""
    place = await places.place()
    place.put("/v2/", CONTENT)
    registry = Registry(
        scheme="https", host="127.0.0.1", port=place.origin.port, trust=places.trust
    )
    headers = ((b"Host", registry.netloc.encode()),)
    upstream = Upstream(reactor)
    for _ in range(2):
        exchange = await upstream.ask(registry, b"GET", b"/v2/", headers)
        taker = Taker()
        exchange.deliver(taker)
        await until(lambda taker=taker: taker.ended)
        assert taker.taken == CONTENT
    assert place.origin.connections == 1
    with pytest.raises(OriginUnreachable, match=ALERT):
        await upstream.ask(attrs.evolve(registry, trust=places.bare), b"GET", b"/v2/", headers)
    gone = attrs.evolve(places.trust, client_cert=str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigError, match=r"client_cert .*gone\.pem: No such file"):
        await upstream.ask(attrs.evolve(registry, trust=gone), b"GET", b"/v2/", headers)
    await upstream.close()


# -- with a supernode -----------------------------------------------------------------------


async def fetched(peer: Peer, places: Places, place: Place) -> Download:
    """A blob, as dfdaemon asks its peer for one."""
    download = await peer.get(place.put(BLOB, CONTENT), trust=places.trust)
    assert peer.bytes_of(download) == CONTENT
    return download


@ensureDeferred
async def test_a_supernode_without_it(places: Places, roles: list[Any], tmp_path: Path) -> None:
    """Cannot ask the registry: the blob comes from there, to this host alone."""
    place = await places.place()
    node = await Supernode.started(tmp_path / "node")
    roles.append(node)
    peer = await Peer.started(tmp_path / "peer", node)
    roles.append(peer)
    download = await fetched(peer, places, place)
    assert download.sources["origin"] == len(CONTENT)
    assert len(place.origin.reads(BLOB)) == 1
    with pytest.raises(OriginUnreachable):  # nor may who has none have what was read with it
        await peer.get(place.origin.url(BLOB), trust=places.bare)


@ensureDeferred
async def test_a_supernode_with_its_own(places: Places, roles: list[Any], tmp_path: Path) -> None:
    """Reads the blob once for all."""
    place = await places.place()
    cert = OriginCert(
        host="127.0.0.1",
        port=place.origin.port,
        certs=(str(places.server.path),),
        client_cert=str(places.client.path),
    )
    node = await Supernode.started(tmp_path / "node", origin_certs=(cert,))
    roles.append(node)
    for name in "ab":
        peer = await Peer.started(tmp_path / name, node)
        roles.append(peer)
        download = await fetched(peer, places, place)
        assert download.sources.get("origin", 0) == 0
    assert len(place.origin.reads(BLOB)) == 1


@ensureDeferred
async def test_a_supernode_whose_file_is_gone(tmp_path: Path) -> None:
    """Does not start, and says which."""
    cert = OriginCert(host="registry", client_cert=str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigError, match=r"client_cert .*gone\.pem"):
        await Supernode.started(tmp_path / "node", origin_certs=(cert,))


@ensureDeferred
async def test_through_dfdaemon(places: Places, roles: list[Any], tmp_path: Path) -> None:
    """It has the certificate for one registry: for what is shared and for everything else, and
    for no other host."""
    place, other = await places.place(), await places.place(must=False)
    place.put(BLOB, CONTENT)
    place.put("/v2/app/manifests/1", b"manifest")
    other.put(BLOB, CONTENT)
    known = KnownRegistry(
        host=f"127.0.0.1:{place.origin.port}",
        certs=(str(places.server.path),),
        client_cert=str(places.client.path),
    )
    elsewhere = KnownRegistry(
        host=f"127.0.0.1:{other.origin.port}", certs=(str(places.server.path),)
    )
    node = await Supernode.started(tmp_path / "node")
    roles.append(node)
    daemon = await Daemon.started(
        tmp_path / "daemon", "http://127.0.0.1:1", node, registries=(known, elsewhere)
    )
    roles.append(daemon)
    for host in (known.host, elsewhere.host):
        answer = await daemon.get(f"{BLOB}?ns={host}")
        assert (answer.status, answer.body) == (200, CONTENT)
    assert (await daemon.get(f"/v2/app/manifests/1?ns={known.host}")).body == b"manifest"
    assert place.tls.shown
    assert other.tls.shown == []
