"""A configuration that names other addresses than those that are handed over."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from dragonfly.config import DaemonConfig
from dragonfly.daemon.lifetime.keptaddresses import kept_addresses
from dragonfly.net.listen import bind


@pytest.fixture
def sockets() -> Iterator[dict[str, socket.socket]]:
    """Of one that runs."""
    found = {
        "dfdaemon": bind(0, interface="127.0.0.1"),
        "dfdaemon-status": bind(0, interface="127.0.0.1"),
        "dfdaemon-peer": bind(0),
    }
    yield found
    for each in found.values():
        each.close()


def port(sock: socket.socket) -> int:
    """Its number."""
    return int(sock.getsockname()[1])


def test_the_same(sockets: dict[str, socket.socket]) -> None:
    """Nothing is said; what is not handed over is opened as configured."""
    config = DaemonConfig(
        port=port(sockets["dfdaemon"]),
        status_port=port(sockets["dfdaemon-status"]),
        peer_port=port(sockets["dfdaemon-peer"]),
    )
    assert list(kept_addresses(config, sockets)) == []
    assert list(kept_addresses(DaemonConfig(port=1), {})) == []


def test_any_port_will_do(sockets: dict[str, socket.socket]) -> None:
    """That is what a port of 0 says."""
    config = DaemonConfig(port=0, status_port=0, peer_port=0)
    assert list(kept_addresses(config, sockets)) == []


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("dfdaemon", {"port": 7001}, "on 127.0.0.1:{} as before; port 7001 of the conf"),
        ("dfdaemon", {"host_ip": "::1"}, "on 127.0.0.1:{} as before; address ::1 of the conf"),
        ("dfdaemon-status", {"status_ip": "0.0.0.0"}, "as before; address 0.0.0.0 of the conf"),
        ("dfdaemon-peer", {"peer_port": 7002}, "as before; port 7002 of the configuration waits"),
    ],
)
def test_another(
    sockets: dict[str, socket.socket], name: str, given: dict[str, Any], said: str
) -> None:
    """Both are named."""
    plain: dict[str, Any] = {"port": 0, "status_port": 0, "peer_port": 0}
    if name != "dfdaemon-status":
        plain["status_ip"] = "127.0.0.1"
    (line,) = kept_addresses(DaemonConfig(**{**plain, **given}), sockets)
    assert line.startswith(f"{name} is listening on ")
    assert said.format(port(sockets[name])) in line


def test_an_address_of_version_6() -> None:
    """It stands in brackets."""
    with bind(0, interface="::1") as sock:
        (line,) = kept_addresses(DaemonConfig(port=1, host_ip="::1"), {"dfdaemon": sock})
    assert "listening on [::1]:" in line
