"""Questions to an origin that are the first transfer already.

Whoever asks for a content that nobody had yet is asked about by a GET, and then it is fetched by
another one. Of a small content that is half of all that its origin is asked for. So the question
may be the GET of all of it: its body waits, paused, for the fetch that its answer leads to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import OriginReply

__all__ = ["KEEP_S", "OPEN_MAX", "Client", "OpeningProber", "Openings"]

KEEP_S = 2.0
"""So long a body waits to be taken: between question and fetch are a few jobs of the disk."""

OPEN_MAX = 64
"""Bodies that wait at once, each with a connection and what its buffers hold."""


class Client(Protocol):
    """What asks and reads origins: :class:`dragonfly.net.origin.OriginClient`."""

    async def probe(
        self, url: str, headers: Sequence[tuple[str, str]], *, by_get: bool = False
    ) -> OriginReply:
        """Ask without reading the content."""

    async def get(self, url: str, headers: Sequence[tuple[str, str]]) -> OriginBody:
        """Ask for the content."""


@attrs.frozen
class _Kept:
    body: OriginBody
    expiry: IDelayedCall


class Openings:
    """The bodies that questions opened, by the very answer that each of them began with.

    Not by URL: an answer to a later question may be about a newer version.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._kept: dict[int, _Kept] = {}

    @property
    def full(self) -> bool:
        """Whether none may be added."""
        return len(self._kept) >= OPEN_MAX

    def keep(self, body: OriginBody) -> None:
        """Let it wait to be taken; for :data:`KEEP_S`, then it is closed."""
        key = id(body.reply)  # which lives as long as the body is here
        self._kept[key] = _Kept(body, self._clock.callLater(KEEP_S, self._drop, key))

    def take(self, reply: OriginReply) -> OriginBody | None:
        """The body that this answer began with, once; ``None``: there is none, or no more."""
        return self._take(id(reply))

    def close(self) -> None:
        """Close all that wait."""
        for key in list(self._kept):
            self._drop(key)

    def _take(self, key: int) -> OriginBody | None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        call_off(kept.expiry)
        return kept.body

    def _drop(self, key: int) -> None:
        body = self._take(key)
        if body is not None:
            body.close()


class OpeningProber:
    """Asks an origin, with questions that may open a body."""

    def __init__(self, client: Client, openings: Openings) -> None:
        self._client = client
        self._openings = openings

    async def probe(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        by_get: bool = False,
        opening: bool = False,
    ) -> OriginReply:
        """Ask, as the client does.

        :param opening: the content is going to be fetched if the answer is a yes: with ``by_get``
            it is asked for all of it.
        """
        if not (by_get and opening) or self._openings.full:
            return await self._client.probe(url, headers, by_get=by_get)
        body = await self._client.get(url, headers)
        self._openings.keep(body)
        return body.reply
