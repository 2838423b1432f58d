"""Whose certificate is believed where a registry redirects to a storage."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from dragonfly.config import KnownRegistry
from dragonfly.daemon.tls.authority import load_authority
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.daemon.tls.serving import server_options
from dragonfly.errors import OriginUntrusted
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.origintrusts import WayTrusts, nothing_known
from dragonfly.net.trust import Trust
from dragonfly.peer.download.request import FetchRequest
from tests.doubles.daemons import Daemon
from tests.doubles.origin import FakeOrigin

CONTENT = bytes(range(256)) * 40
BLOB = f"/v2/app/blobs/sha256:{hashlib.sha256(CONTENT).hexdigest()}"
ANYBODY = Trust(insecure=True)


@attrs.define(eq=False)
class Place:
    """A server, and what it takes to believe it."""

    origin: FakeOrigin
    trust: Trust


@attrs.define(eq=False)
class Lab:
    """A registry that redirects to a storage of another authority, by several names."""

    registry: Place
    storage: Place

    @property
    def at_storage(self) -> dict[tuple[str, int], Trust]:
        """The storage is known."""
        return {("localhost", self.storage.origin.port): self.storage.trust}

    async def length(self, trusts: WayTrusts | Trust, *, host: str = "localhost") -> int | None:
        """What a client with that trust gets of what is kept at that host."""
        self.storage.origin.put("/f", CONTENT)
        there = self.storage.origin.url("/f", host=host)
        self.registry.origin.put("/f", redirect=there)
        policy = FetchPolicy(allow_loopback=True)
        client = OriginClient(reactor, policy=policy, trust=trusts)
        try:
            return (await client.probe(self.registry.origin.url("/f"), ())).length
        finally:
            await client.close()


async def place(tmp_path: Path, name: str, host: str) -> Place:
    """One with an authority of its own, at that host."""
    now = datetime.datetime.now(datetime.timezone.utc)
    cert, key = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
    write_authority(make_authority(name, days=2, now=now), cert, key, force=True)
    leaf = load_authority(str(cert), str(key), now=now.timestamp()).mint(host, now.timestamp())
    origin = FakeOrigin(reactor, tls=server_options(leaf))
    await origin.start()
    return Place(origin, Trust(cacerts=str(cert)))


@pytest_twisted.async_yield_fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Both."""
    registry = await place(tmp_path, "registry", "127.0.0.1")
    found = Lab(registry, await place(tmp_path, "storage", "localhost"))
    yield found
    await found.registry.origin.stop()
    await found.storage.origin.stop()


@ensureDeferred
async def test_insecure_is_said_of_one_host(lab: Lab) -> None:
    """The registry's may be anybody's; where it leads to another host, that one is checked."""
    with pytest.raises(OriginUntrusted, match=f"localhost:{lab.storage.origin.port}"):
        await lab.length(ANYBODY)
    assert lab.storage.origin.log == []
    assert await lab.length(ANYBODY, host="127.0.0.1") == len(CONTENT)


@ensureDeferred
async def test_a_place_that_is_known(lab: Lab) -> None:
    """Its own authorities count there, whoever leads to it, and whatever is said of him."""
    known = lab.at_storage
    for first in (lab.registry.trust, ANYBODY):
        way = WayTrusts(first, lambda host, port: known.get((host, port)))
        assert await lab.length(way) == len(CONTENT)


@ensureDeferred
async def test_insecure_may_be_said_of_the_storage(lab: Lab) -> None:
    """Of it alone: the registry is checked all the same."""
    port = lab.storage.origin.port
    way = attrs.evolve(
        WayTrusts(lab.registry.trust), known=lambda _, there: ANYBODY if there == port else None
    )
    assert await lab.length(way) == len(CONTENT)
    with pytest.raises(OriginUntrusted, match=f"127.0.0.1:{lab.registry.origin.port}"):
        await lab.length(attrs.evolve(way, first=Trust()))


@ensureDeferred
async def test_one_authority_for_both(lab: Lab) -> None:
    """A registry's authorities count for the storage, besides those of the system."""
    with pytest.raises(OriginUntrusted):
        await lab.length(WayTrusts(lab.registry.trust, nothing_known))
    files = (*lab.registry.trust.cacerts, *lab.storage.trust.cacerts)
    assert await lab.length(Trust(cacerts=files)) == len(CONTENT)


@ensureDeferred
async def test_the_systems_authorities_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry with an authority of its own, whose layers are at a public storage."""
    # OpenSSL reads the system's authorities from where this says.
    monkeypatch.setenv("SSL_CERT_FILE", *lab.storage.trust.cacerts)
    assert await lab.length(lab.registry.trust) == len(CONTENT)
    with pytest.raises(OriginUntrusted, match=f"localhost:{lab.storage.origin.port}"):
        await lab.length(WayTrusts(lab.registry.trust, None))  # said of the whole way, alone


@ensureDeferred
async def test_a_users_word_is_for_the_whole_way(lab: Lab) -> None:
    """As with curl."""
    assert await lab.length(WayTrusts(ANYBODY, None)) == len(CONTENT)


# -- dfdaemon, and the peer in it ----------------------------------------------------------


def known(place: Place, *, host: str = "127.0.0.1", insecure: bool = False) -> KnownRegistry:
    """What an operator says of it."""
    certs = () if insecure else place.trust.cacerts
    return KnownRegistry(host=f"{host}:{place.origin.port}", certs=certs, insecure=insecure)


@ensureDeferred
async def test_dfdaemon_asks_the_storage(lab: Lab, tmp_path: Path) -> None:
    """As the operator says of it; who is not believed is not asked for the client, who may
    follow the redirect himself."""
    lab.storage.origin.put("/f", CONTENT)
    lab.registry.origin.put(BLOB, redirect=lab.storage.origin.url("/f", host="localhost"))
    anybody = known(lab.registry, insecure=True)
    for told, status in (((), 302), ((known(lab.storage, host="localhost"),), 200)):
        daemon = await Daemon.started(
            tmp_path / str(status), "http://127.0.0.1:1", registries=(anybody, *told)
        )
        answer = await daemon.get(f"{BLOB}?ns={anybody.host}")
        assert (answer.status, answer.body == CONTENT) == (status, status == 200)
        assert bool(lab.storage.origin.log) == (status == 200)
        await daemon.stop()


@ensureDeferred
async def test_the_peer_believes_the_same(lab: Lab, tmp_path: Path) -> None:
    """What it reads from the origin itself, for dfdaemon; for a dfget its user's word counts."""
    lab.storage.origin.put("/f", CONTENT)
    url = lab.registry.origin.url(BLOB)
    lab.registry.origin.put(BLOB, redirect=lab.storage.origin.url("/f", host="localhost"))
    request = FetchRequest(url=url, trust=ANYBODY, pattern="source")
    daemon = await Daemon.started(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(OriginUntrusted):
        await daemon.service.peer.fetch(attrs.evolve(request, everywhere=False)).done.wait()
    await daemon.service.peer.fetch(request).done.wait()
    await daemon.stop()
    told = await Daemon.started(
        tmp_path, "http://127.0.0.1:1", registries=(known(lab.storage, host="localhost"),)
    )
    await told.service.peer.fetch(attrs.evolve(request, everywhere=False)).done.wait()
    await told.stop()
