"""One blob at its registry: where, for whom, and what it must turn out to be."""

from __future__ import annotations

import attrs

from dragonfly.net.origin import OriginClient
from dragonfly.task.digest import Digest

__all__ = ["BlobSource"]


@attrs.define(kw_only=True)
class BlobSource:
    """How the registry is asked for one blob. URL and headers may hold credentials: no repr.

    :ivar client: believes what this registry is believed by.
    :ivar headers: the caller's, as far as they matter to the registry.
    :ivar length: of the whole, once the registry or the swarm said it.
    """

    client: OriginClient = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    digest: Digest
    length: int | None = None
