"""The target of a CONNECT request: ``host:port``; pure."""

from __future__ import annotations

from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.errors import ConfigError
from dragonfly.hostport import host_port, parse_host_port

__all__ = ["connect_target"]


def connect_target(target: bytes) -> Registry:
    """Read a request target in authority-form (RFC 9112, 3.2.3).

    :raises Misrouted: 400: it is not of that form.
    """
    try:
        host, port = parse_host_port("CONNECT", target.decode("ascii"), least=0)
    except (ConfigError, UnicodeError):
        port = None
    if port is None:
        raise Misrouted(400, "the target of CONNECT must be host:port")
    try:
        return parse_registry(f"https://{host_port(host, port)}")
    except ConfigError:
        raise Misrouted(400, "the target of CONNECT names no usable host") from None
