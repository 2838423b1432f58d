"""Connecting by any name that a resolver takes."""

from __future__ import annotations

import pytest
from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from dragonfly.errors import OriginUnreachable
from dragonfly.net.hostendpoint import HostEndpoint
from tests.doubles.names import Names, WithNames


def connect(host: str, names: Names) -> tuple[MemoryReactorClock, list[object]]:
    """Begin; where it connects to, and how it fails."""
    clock = MemoryReactorClock()
    failed: list[object] = []
    endpoint = HostEndpoint(WithNames(names, clock), host, 5000, 1.0)
    connecting = endpoint.connect(Factory.forProtocol(Protocol))
    connecting.addErrback(lambda failure: failed.append(failure.value))
    if not failed:
        connecting.cancel()
    return clock, failed


@pytest.mark.parametrize(
    "host", ["registry", "my_registry", "_a._b.", "xn--53h.example", "10.0.0.9", "::1", "fe80::1%2"]
)
def test_the_name_is_asked_for_as_it_is(host: str) -> None:
    """Also where IDNA would not have it."""
    names = Names(**{host: [["10.0.0.1"]]})
    clock, _ = connect(host, names)
    assert names.asked == [host]
    assert [client[:2] for client in clock.tcpClients] == [("10.0.0.1", 5000)]


@pytest.mark.parametrize("host", ["", "a..b", "a" * 64, "a b", "ä", "a%41.example"])
def test_no_name(host: str) -> None:
    """The resolver is not asked: in a thread of Python's it would never answer."""
    names = Names()
    _, failed = connect(host, names)
    assert names.asked == []
    (error,) = failed
    assert isinstance(error, OriginUnreachable)
    assert str(error) == "that is no name that a host can have"


def test_nobody_is_there() -> None:
    """A name without addresses."""
    _, failed = connect("my_registry", Names(my_registry=[[]]))
    assert isinstance(failed[0], DNSLookupError)
