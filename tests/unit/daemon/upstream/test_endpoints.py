"""The way to a registry, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.upstream.endpoints import RegistryEndpoints
from dragonfly.errors import AddressRefused, ConfigError
from dragonfly.net.proxies import Proxies
from dragonfly.net.tls import FILE_NAME, load_or_make_certificate
from dragonfly.net.trust import Trust


def endpoints() -> RegistryEndpoints:
    """On no network."""
    return RegistryEndpoints(MemoryReactorClock(), connect_s=1.0)


def test_made_once_for_each() -> None:
    """Reading the authorities is dear; trust is part of what a registry is."""
    ways = endpoints()
    plain = Registry(scheme="https", host="r", port=443)
    daring = Registry(scheme="https", host="r", port=443, trust=Trust(insecure=True))
    same = Registry(scheme="https", host="r", port=443)
    assert ways.endpoint(plain) is ways.endpoint(same)
    assert ways.endpoint(plain) is not ways.endpoint(daring)


def test_authorities_are_read_once(tmp_path: Path) -> None:
    """However many registries are believed because of them: it blocks the reactor."""
    load_or_make_certificate(tmp_path)
    file = tmp_path / FILE_NAME
    ways, trust = endpoints(), Trust(cacerts=str(file))
    ways.endpoint(Registry(scheme="https", host="one", port=443, trust=trust))
    file.unlink()
    ways.endpoint(Registry(scheme="https", host="other", port=443, trust=trust))


def test_not_for_ever() -> None:
    """Those that were made first are forgotten when there are many."""
    ways = endpoints()
    first = Registry(scheme="http", host="r", port=1)
    made = ways.endpoint(first)
    for port in range(2, 66):
        ways.endpoint(Registry(scheme="http", host="r", port=port))
    assert ways.endpoint(first) is not made


def test_unusable_authorities(tmp_path: Path) -> None:
    """The file is named."""
    trust = Trust(cacerts=str(tmp_path / "absent.pem"))
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        endpoints().endpoint(Registry(scheme="https", host="r", port=443, trust=trust))


def test_the_way_for_any_bytes(tmp_path: Path) -> None:
    """Its trust does not count; a proxy is asked for a tunnel; loopback is for those here."""
    trust = Trust(cacerts=str(tmp_path / "absent.pem"))
    there = Registry(scheme="https", host="192.0.2.7", port=443, trust=trust)
    reactor = MemoryReactorClock()
    proxies = Proxies.of({"HTTPS_PROXY": "http://192.0.2.1:3128"})
    ways = RegistryEndpoints(reactor, connect_s=1.0, proxies=proxies)
    connecting = ways.plain(there).connect(Factory.forProtocol(Protocol))
    connecting.addErrback(lambda failure: None)
    assert [client[1] for client in reactor.tcpClients] == [3128]
    connecting.cancel()
    here = Registry(scheme="https", host="127.0.0.1", port=443, local=False)
    refused = endpoints().plain(here).connect(Factory.forProtocol(Protocol))
    found: list[object] = []
    refused.addErrback(lambda failure: found.append(failure.type))
    assert found == [AddressRefused]
