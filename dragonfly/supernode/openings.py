"""Questions to an origin that are the first transfer already.

Whoever asks for a content that nobody had yet is asked about by a GET, and then it is fetched by
another one. Of a small content that is half of all that its origin is asked for. So the question
may be the GET of all of it: its body waits, paused, for the fetch that follows at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.control.messages import Validator
from dragonfly.errors import OriginChanged
from dragonfly.net.calloff import call_off
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import OriginReply

__all__ = ["KEEP_S", "OPEN_MAX", "Client", "Openings"]

KEEP_S = 2.0
"""So long a body waits to be taken: between question and fetch are a few jobs of the disk."""

OPEN_MAX = 64
"""Bodies that wait at once, each with a connection and what its buffers hold."""

_Way = tuple[str, tuple[tuple[str, str], ...]]


class Client(Protocol):
    """What asks and reads origins: :class:`dragonfly.net.origin.OriginClient`."""

    async def probe(
        self, url: str, headers: Sequence[tuple[str, str]], *, by_get: bool = False
    ) -> OriginReply:
        """Ask without reading the content."""

    async def get(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        start: int = 0,
        validator: Validator | None = None,
        checked: bool = False,
    ) -> OriginBody:
        """Ask for the content from ``start`` on."""

    def close(self) -> Deferred[None]:
        """Close the idle connections."""


@attrs.frozen
class _Kept:
    body: OriginBody
    expiry: IDelayedCall


class Openings:
    """A client for origins that remembers the bodies which its questions opened.

    Who takes one asks for the very URL with the very headers of the question: it is the same
    caller's, or one that is as good.
    """

    def __init__(self, client: Client, clock: IReactorTime) -> None:
        self._client = client
        self._clock = clock
        self._kept: OrderedDict[_Way, _Kept] = OrderedDict()

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
        if not (by_get and opening):
            return await self._client.probe(url, headers, by_get=by_get)
        body = await self._client.get(url, headers)
        if body.reply.length is None:  # there are other ways to learn it
            body.close()
            return await self._client.probe(url, headers, by_get=True)
        self._keep((url, tuple(headers)), body)
        return body.reply

    async def get(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        start: int = 0,
        validator: Validator | None = None,
        checked: bool = False,
    ) -> OriginBody:
        """Give the body that a question opened, if it begins at ``start``, or ask the client."""
        body = self._take((url, tuple(headers))) if start == 0 else None
        if body is None:
            return await self._client.get(
                url, headers, start=start, validator=validator, checked=checked
            )
        try:
            if validator is not None:
                body.reply.check_version(validator)
        except OriginChanged:
            body.close()
            raise
        return body

    def close(self) -> Deferred[None]:
        """Close what waits, and the client; fires when it has ended."""
        while self._kept:
            self._drop(next(iter(self._kept)))
        return self._client.close()

    def _keep(self, way: _Way, body: OriginBody) -> None:
        self._drop(way)
        self._kept[way] = _Kept(body, self._clock.callLater(KEEP_S, self._drop, way))
        while len(self._kept) > OPEN_MAX:
            self._drop(next(iter(self._kept)))

    def _take(self, way: _Way) -> OriginBody | None:
        kept = self._kept.pop(way, None)
        if kept is None:
            return None
        call_off(kept.expiry)
        return kept.body

    def _drop(self, way: _Way) -> None:
        body = self._take(way)
        if body is not None:
            body.close()
