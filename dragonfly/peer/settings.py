"""How one peer runs."""

from __future__ import annotations

from pathlib import Path

import attrs

__all__ = ["PeerSettings"]


@attrs.frozen(kw_only=True)
class PeerSettings:
    """How one peer runs. Times are seconds.

    :ivar port: for other peers; 0 lets the kernel choose.
    :ivar address: under which other peers reach this host; empty: the one that the
        supernode sees.
    :ivar alive_s: idle for so long, the service is ended; ``None``: never.
    :ivar expire_s: a finished content that nobody used for so long is deleted.
    :ivar share_s: after so long without use it leaves the swarm, if it is not deleted then.
    :ivar keep_free: whether finished contents leave earlier where the disk is short of
        space, see :mod:`dragonfly.peer.swarm.room`.
    :ivar store: where contents are kept, which nobody else uses; ``None``: in the home.
    :ivar total_limit: bytes for each second of all downloads together, and of all uploads.
    :ivar role: how this process calls itself to whoever asks on the home's socket.
    """

    home: Path
    port: int = 0
    address: str = ""
    alive_s: float | None = None
    expire_s: float = 180.0
    share_s: float = float("inf")
    keep_free: bool = False
    store: Path | None = None
    total_limit: int | None = None
    role: str = "peer"
