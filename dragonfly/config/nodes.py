"""Addresses of supernodes."""

from __future__ import annotations

import attrs

from dragonfly.config import values
from dragonfly.errors import ConfigError
from dragonfly.hostport import host_port, parse_host_port

__all__ = ["DEFAULT_PORT", "Node", "named_nodes", "parse_node", "parse_nodes"]

DEFAULT_PORT = 8002
"""The supernode's HTTP port where an address does not name one."""


@attrs.frozen
class Node:
    """One supernode: where it listens, and its weight among several."""

    host: str
    port: int = DEFAULT_PORT
    weight: int = 1

    def __str__(self) -> str:
        return host_port(self.host, self.port)


def parse_node(text: str) -> Node:
    """Read ``host[:port][=weight]``, the host a name, an IPv4 address or ``[IPv6]``.

    :raises ConfigError: it is not of that form, or a number is out of range.
    """
    address, marked, weight = text.strip().partition("=")
    host, port = parse_host_port("supernode", address.strip())
    return Node(
        values.ip("supernode", host) if ":" in host else host,
        port or DEFAULT_PORT,
        values.number(f"weight of supernode {text!r}", weight, 1, 1000) if marked else 1,
    )


def parse_nodes(text: str) -> tuple[Node, ...]:
    """Read a comma separated list of nodes; empty entries are skipped.

    :raises ConfigError: an entry is wrong.
    """
    return tuple(parse_node(part) for part in text.split(",") if part.strip())


def named_nodes(key: str, text: str) -> tuple[Node, ...]:
    """As :func:`parse_nodes`, with the key or place in the error."""
    try:
        return parse_nodes(text)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
