"""The target of a CONNECT request: ``host:port``; pure."""

from __future__ import annotations

import re

from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.errors import ConfigError

__all__ = ["connect_target"]

_AUTHORITY = re.compile(rb"(\[[0-9a-f:.]+\]|[^\s\[\]:/?#@\x80-\xff]+):([0-9]{1,5})", re.IGNORECASE)


def connect_target(target: bytes) -> Registry:
    """Read a request target in authority-form (RFC 9112, 3.2.3).

    :raises Misrouted: 400: it is not of that form.
    """
    found = _AUTHORITY.fullmatch(target)
    if found is None or int(found[2]) > 65535:
        raise Misrouted(400, "the target of CONNECT must be host:port")
    try:
        return parse_registry(f"https://{target.decode('latin-1')}")
    except ConfigError:
        raise Misrouted(400, "the target of CONNECT names no usable host") from None
