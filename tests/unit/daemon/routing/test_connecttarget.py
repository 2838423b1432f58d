"""What a CONNECT request may name."""

from __future__ import annotations

import pytest

from dragonfly.daemon.routing.connecttarget import connect_target
from dragonfly.daemon.routing.misrouted import Misrouted


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        (b"registry.example.com:443", "registry.example.com", 443),
        (b"Registry.Example:5000", "registry.example", 5000),
        (b"127.0.0.1:8443", "127.0.0.1", 8443),
        (b"[::1]:443", "::1", 443),
        (b"[2001:DB8::7]:5001", "2001:db8::7", 5001),
        (b"a:80", "a", 80),
    ],
)
def test_host_and_port(target: bytes, host: str, port: int) -> None:
    """Names in lower case, addresses without brackets."""
    found = connect_target(target)
    assert (found.scheme, found.host, found.port) == ("https", host, port)


@pytest.mark.parametrize(
    "target",
    [
        b"registry.example.com",
        b"registry.example.com:",
        b"registry.example.com:x",
        b":443",
        b"a:65536",
        b"a:999999",
        b"http://a:443",
        b"user:secret@a:443",
        b"user@a:443",
        b"a:443/path",
        b"a:443?query",
        b"::1:443",
        b"[::1:443",
        b"[zz::]:443",
        b"/v2/",
        b"a\xff:443",
        b"*",
    ],
)
def test_malformed(target: bytes) -> None:
    """400, and nothing of it is said: it may hold a secret."""
    with pytest.raises(Misrouted) as refused:
        connect_target(target)
    assert refused.value.status == 400
    assert "secret" not in str(refused.value)
