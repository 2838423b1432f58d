"""Addresses of supernodes."""

from __future__ import annotations

import attrs

from dragonfly.config import values
from dragonfly.errors import ConfigError

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
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_node(text: str) -> Node:
    """Read ``host[:port][=weight]``, the host a name, an IPv4 address or ``[IPv6]``.

    :raises ConfigError: it is not of that form, or a number is out of range.
    """
    address, marked, weight = text.strip().partition("=")
    host, port = _split_port(address.strip(), text)
    if not host or any(c.isspace() or c in "/?#@,[]" for c in host):
        raise ConfigError(f"supernode {text!r}: {host!r} is no host name or address")
    return Node(
        host,
        values.number(f"port of supernode {text!r}", port, 1, 65535) if port else DEFAULT_PORT,
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


def _split_port(address: str, text: str) -> tuple[str, str]:
    if not address.startswith("["):
        host, colon, port = address.partition(":")
        if ":" in port:
            raise ConfigError(f"supernode {text!r}: write an IPv6 address as [address]:port")
        if colon and not port:
            raise ConfigError(f"supernode {text!r}: the port is missing after ':'")
        return host, port
    host, closed, rest = address[1:].partition("]")
    if not closed or (rest and not (rest.startswith(":") and rest[1:])):
        raise ConfigError(f"supernode {text!r}: write an IPv6 address as [address]:port")
    return values.ip(f"supernode {text!r}", host), rest[1:]
