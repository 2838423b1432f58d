"""How much, and for how long, the front bears with a client."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["FrontLimits"]

_positive: Any = attrs.validators.gt(0)


@attrs.frozen(kw_only=True)
class FrontLimits:
    """Limits of each connection; sizes in bytes, times in seconds.

    :ivar head_bytes: request line and headers together.  A registry's tokens run to several
        KiB, and a client may send cookies besides; more is no registry's client.
    :ivar header_lines: in one head.
    :ivar target_bytes: of a request line; registries sign long URLs, but not that long.
    :ivar head_s: from the first byte of a head to its last, however they dribble in.
    :ivar idle_s: without a request; longer than the 30 s for which clients commonly keep one.
    :ivar body_silence_s: without a byte of a body that somebody waits for.
    :ivar write_stall_s: in which the client takes nothing of what waits for it.  An engine that
        unpacks a layer may not read for minutes; below ``net.sink.LONGEST_PAUSE_S``, so that
        it is the client that is found to have stopped and not the registry.
    :ivar held_bytes: sent ahead (pipelined requests, a body that nobody takes yet) before the
        socket is read no more.  One read of 64 KiB may come on top.  Reading is what shows
        that a client is gone, so it goes on as long as it can.
    :ivar drain_bytes: of a body that nobody took: so much is read to keep the connection.
    :ivar linger_bytes: read and dropped after the last answer of a connection, so that the
        client gets to read that answer instead of a reset.  One whose upload is refused sends on
        until it hears of that, and some (node.js) to the end of what they have in memory.
    :ivar linger_s: the same in seconds.
    :ivar connections: at the same time; one engine opens a dozen.
    :ivar first_byte_s: in which a client that was connected through us must begin to speak, if
        its connection is to be opened; after that it is one where the server speaks first.
    :ivar tunnel_idle_s: without a byte either way. Keepalive shows hosts that are gone; this is
        for what is alive and forgotten, and longer than any server thinks or keeps a
        connection idle.
    """

    head_bytes: int = attrs.field(default=64 * 1024, validator=_positive)
    header_lines: int = attrs.field(default=200, validator=_positive)
    target_bytes: int = attrs.field(default=16 * 1024, validator=_positive)
    head_s: float = attrs.field(default=20.0, validator=_positive)
    idle_s: float = attrs.field(default=75.0, validator=_positive)
    body_silence_s: float = attrs.field(default=60.0, validator=_positive)
    write_stall_s: float = attrs.field(default=540.0, validator=_positive)
    held_bytes: int = attrs.field(default=64 * 1024, validator=_positive)
    drain_bytes: int = attrs.field(default=64 * 1024, validator=_positive)
    linger_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=_positive)
    linger_s: float = attrs.field(default=5.0, validator=_positive)
    connections: int = attrs.field(default=4096, validator=_positive)
    first_byte_s: float = attrs.field(default=5.0, validator=_positive)
    tunnel_idle_s: float = attrs.field(default=3600.0, validator=_positive)
