"""Asking origins whether a caller may have a content, and for how long a yes counts.

Whoever reads a blob in parts asks for it by the hundred, 50 kB each: a round trip to the registry,
and one more to the storage that it redirects to, for each of them would take longer than the
part. The bytes of a blob that is named by its digest cannot change, only who may have it, so there
a yes counts for the next parts to the same caller. Everything else is asked for each time.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import attrs
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.source import Source
from dragonfly.net.reply import OriginReply

__all__ = ["KEPT", "YES_S", "Checks"]

YES_S = 60.0
"""A supernode's grant, which other hosts go by, lasts five minutes."""

KEPT = 1024
"""Blobs times callers; an image of one host has some dozens of layers."""

_Key = tuple[object, bytes]


@attrs.frozen
class _Yes:
    until: float
    reply: OriginReply


class Checks:
    """The checks of one dfdaemon."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._found: OrderedDict[_Key, _Yes] = OrderedDict()

    async def ask(
        self, source: Source, via: Sequence[tuple[str, str]], *, part: bool
    ) -> OriginReply:
        """The origin's yes to the caller of *source*.

        :param via: headers that tell whom the request came through.
        :param part: that a yes of a moment ago will do.
        :raises OriginError: it is a no, or none.
        """
        key = _key(source)
        yes = self._found.get(key)
        if part and yes is not None and self._clock.seconds() < yes.until:
            return yes.reply
        self._found.pop(key, None)
        # What is refused here is asked for once more, straight on: no need to ask twice.
        reply = await source.client.probe(source.url, (*source.headers, *via), brief=True)
        if source.digest is not None:
            self._keep(key, reply)
        return reply

    def _keep(self, key: _Key, reply: OriginReply) -> None:
        self._found[key] = _Yes(self._clock.seconds() + YES_S, reply)
        self._found.move_to_end(key)
        if len(self._found) > KEPT:
            self._found.popitem(last=False)


def _key(source: Source) -> _Key:
    """The same question by the same caller; credentials are not kept for it."""
    asked = repr((source.url, source.headers)).encode()
    return source.client, hashlib.sha256(asked).digest()
