"""The seed's neighbours of one task."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from dragonfly.errors import ErrorCode
from dragonfly.sched.seeding import Seeding
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.seeddesk import Desk
from dragonfly.supernode.seedlink import SeedLink

__all__ = ["SeedSwarm"]


class Host(Protocol):
    """Who looks after the links."""

    def end(self, link: SeedLink, code: ErrorCode, text: str) -> None:
        """Say BYE, and have nothing to do with ``link`` any more."""


class SeedSwarm:
    """Tells the links of one content what becomes of it; there from the first to the last link.

    :param forget: called when the last link has gone.
    """

    def __init__(
        self,
        content: Content,
        desk: Desk,
        host: Host,
        rng: random.Random,
        forget: Callable[[SeedSwarm], None],
        *,
        echo_limit: int | None,
    ) -> None:
        self.content = content
        self.seeding = Seeding(rng, echo_limit=echo_limit)
        self.desk = desk
        self._host = host
        self._forget = forget
        self._links: dict[bytes, SeedLink] = {}
        self.seeding.hold(content.held)
        content.listen(self)

    def __iter__(self) -> Iterator[SeedLink]:
        return iter(list(self._links.values()))

    def join(self, link: SeedLink) -> None:
        """One more neighbour. A peer that connects again has lost its old connection."""
        old = self._links.get(link.key)
        self._links[link.key] = link
        self.desk.open(link)
        if old is not None:
            self.end(old, ErrorCode.DUPLICATE_CONNECTION, "there is a newer connection")
        link.introduce()

    def leave(self, link: SeedLink) -> None:
        """``link`` is gone; no error if it went before."""
        self.desk.close(link)
        self.seeding.remove(link.receiver)
        if self._links.get(link.key) is not link:
            return
        del self._links[link.key]
        if not self._links:
            self.content.unlisten(self)
            self._forget(self)

    def end(self, link: SeedLink, code: ErrorCode, text: str) -> None:
        """Say BYE, and have nothing to do with ``link`` any more."""
        self._host.end(link, code, text)

    # -- ContentListener ----------------------------------------------------------------

    def content_grew(self, content: Content, runs: Sequence[bytes]) -> None:
        """Digests first, then their pieces, at once."""
        self.seeding.hold(content.held)
        for link in self:
            link.grew(runs)
            self.desk.useful(link)

    def content_settled(self, content: Content) -> None:
        """What has failed is served no more; whoever registers again gets what there is then."""
        if content.state is not State.FAILED:
            return
        for link in self:
            self.end(link, ErrorCode.UNKNOWN_TASK, "the fetch of this task has failed")
