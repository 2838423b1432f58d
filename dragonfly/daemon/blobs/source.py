"""One content at its origin: where, for whom, and what it must turn out to be."""

from __future__ import annotations

import attrs

from dragonfly.net.origin import OriginClient
from dragonfly.net.reply import OriginReply
from dragonfly.task.digest import Digest
from dragonfly.task.identity import Name, Version, content_version, task_id

__all__ = ["Source"]

# Who asks: the answer may be for him alone.
_WHO = frozenset({"authorization", "cookie"})


@attrs.define(kw_only=True)
class Source:
    """How an origin is asked for one content. URL and headers may hold credentials: no repr.

    :ivar client: believes what this origin is believed by.
    :ivar headers: the caller's, as far as they matter to the origin.
    :ivar filters: query parameters that are no part of the name.
    :ivar identifier: makes another name of the same URL.
    :ivar reply: what the origin said when it was asked whether this caller may have it.
    :ivar length: of the whole, once the origin or the swarm said it.
    """

    client: OriginClient = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    name: Name
    filters: tuple[str, ...] = ()
    identifier: str = ""
    reply: OriginReply | None = None
    length: int | None = None

    @property
    def digest(self) -> Digest | None:
        """What the whole must have, if its name says so."""
        return self.name.digest

    @property
    def version(self) -> Version | None:
        """Which version was announced; ``None``: nothing tells it from another.

        Date and length are only believed of what everybody gets, by its own URL: origins give
        the same to different contents, where an entity tag is made for one.
        """
        if self.reply is None:
            return None
        found = content_version(self.reply, digest=self.digest, fetch=0)
        if found is None or found.kind == "fetch":
            return None
        return None if found.kind == "modified" and self._varies(self.reply) else found

    def _varies(self, reply: OriginReply) -> bool:
        names = {name.lower() for name, _ in self.headers}
        return bool(names & _WHO or self.filters or self.identifier or reply.header("vary"))

    @property
    def task(self) -> bytes:
        """The id of the task of that version; empty where there is none."""
        version = self.version
        return b"" if version is None else task_id(self.name, version)

    @property
    def validator(self) -> OriginReply | None:
        """What a continuation is compared with: nothing where the digest decides."""
        return None if self.digest is not None else self.reply
