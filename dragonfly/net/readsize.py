"""How much one read of the reactor brings."""

from __future__ import annotations

from typing import Any

__all__ = ["read_at_most"]


def read_at_most(transport: Any, count: int) -> None:
    """Let one read of the reactor bring no more bytes than that, where the transport is known.

    What HTTP clients and TLS give their protocols are wrappers of it.
    """
    own = getattr(transport, "__dict__", {})
    inner = own.get("_producer") or own.get("transport")
    if inner is not None:
        read_at_most(inner, count)
    elif getattr(transport, "bufferSize", count) != count:
        transport.bufferSize = count
