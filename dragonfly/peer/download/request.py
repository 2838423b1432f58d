"""What a client asks a peer for."""

from __future__ import annotations

import attrs

from dragonfly.config import Node
from dragonfly.net.trust import Trust
from dragonfly.task.digest import Digest

__all__ = ["FetchRequest"]


@attrs.frozen(kw_only=True)
class FetchRequest:
    """One download as its client wants it. Rates are bytes per second, times seconds.

    ``headers`` and ``url`` may hold credentials, so they are not shown by ``repr``.

    :ivar trust: how the origin is met.
    :ivar everywhere: whether that is a user's word about this download, wherever the origin
        redirects it to; if not, an operator's about the origin alone.
    :ivar admitted: the caller asks the origin himself, and gives nothing out before it said
        yes: what is in work here under the name of its digest is joined without asking the
        supernode, which may be slow, or down.
    :ivar loopback: whether the origin may be on this machine's loopback: not if who asks is
        not on this machine.
    :ivar whole: everything is to come, and be compared with ``digest``; what readers are at
        comes first. If not, only what readers ask for comes, and some of what is before them
        (:mod:`dragonfly.peer.swarm.demand`); where no swarm gives it the download fails, since its
        caller can read a part from the origin himself.
    """

    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    filters: tuple[str, ...] = ()
    identifier: str = ""
    digest: Digest | None = None
    pattern: str = "p2p"
    notbs: bool = False
    nodes: tuple[Node, ...] = ()
    local_limit: int | None = None
    total_limit: int | None = None
    min_rate: int | None = None
    timeout_s: float | None = None
    client_queue: int | None = None
    trust: Trust = attrs.field(factory=Trust)
    everywhere: bool = True
    loopback: bool = True
    callsystem: str = ""
    admitted: bool = False
    whole: bool = True

    @property
    def terms(self) -> str:
        """What tells apart callers who believe, or are to the origin, somebody else."""
        trust = self.trust
        believed = "anybody" if trust.insecure else "\0".join(trust.cacerts)
        if not self.everywhere:
            believed = f"{believed}\0there"
        return believed if trust.client_cert is None else f"{believed}\0as {trust.client_cert}"
