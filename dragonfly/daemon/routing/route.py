"""Where one request goes: whom it is for, what is asked there, and whether through the swarm."""

from __future__ import annotations

from enum import Enum

import attrs

from dragonfly.daemon.http.messages import RequestHead
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.routing.wishes import Wishes

__all__ = ["Mode", "Route"]


class Mode(Enum):
    """How the client speaks to us."""

    MIRROR = "mirror"
    PREFIX = "prefix"
    PROXY = "proxy"
    INTERCEPT = "intercept"


@attrs.frozen(kw_only=True)
class Route:
    """One request on its way.

    :ivar head: as the registry is asked: the target in origin-form, without what was said to us.
    :ivar swarm: whether a rule sends it through the swarm.
    :ivar named: whom the client named, where a rule sends it elsewhere.
    :ivar prefix: in that mode, what stands before the absolute URL: ``/dragonfly/``; for the
        mirror, what stands for ``/v2/``: ``/v2/host_5000/`` where the path names the registry, the
        same where nothing does; empty: no path leads there.
    :ivar ns: what ``?ns=`` said, where that or a header named it, percent-encoded.
    """

    mode: Mode
    registry: Registry
    head: RequestHead
    swarm: bool = False
    wishes: Wishes = attrs.field(factory=Wishes)
    prefix: bytes = b""
    ns: bytes = b""
    named: Registry | None = None

    @property
    def url(self) -> str:
        """The absolute URL; it may hold a credential."""
        return self.registry.url(self.head.target)
