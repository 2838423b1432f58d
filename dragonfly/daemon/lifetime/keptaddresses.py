"""What a dfdaemon that takes over listens on, beside what its configuration says."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from dragonfly.config import DaemonConfig
from dragonfly.hostport import host_port

__all__ = ["kept_addresses"]


def kept_addresses(config: DaemonConfig, sockets: Mapping[str, socket.socket]) -> Iterator[str]:
    """Say, in a line for the log each, which sockets are not where ``config`` has them.

    :param sockets: those that were handed over, by name. A port of 0 in the configuration
        wants none in particular.
    """
    for name, (host, port) in _wanted(config).items():
        if name in sockets:
            address, number = sockets[name].getsockname()[:2]
            there = f"{name} is listening on {host_port(address, number)} as before; "
            if port not in (0, number):
                yield f"{there}port {port} of the configuration waits for a restart"
            if host is not None and ip_address(host) != ip_address(address):
                yield f"{there}address {host} of the configuration waits for a restart"


def _wanted(config: DaemonConfig) -> dict[str, tuple[str | None, int]]:
    """Address and port by name; ``None``: all addresses."""
    return {
        "dfdaemon": (config.host_ip, config.port),
        "dfdaemon-https": (config.host_ip, config.https_port),
        "dfdaemon-status": (config.status_address, config.status_port),
        "dfdaemon-peer": (None, config.peer_port),
    }
