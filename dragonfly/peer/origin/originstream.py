"""Reads the origin into a content, in order: the last resort, and the way without a swarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import attrs
from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import OriginChanged
from dragonfly.net.disk import DiskPool
from dragonfly.net.holds import Holds
from dragonfly.net.origin import OriginClient
from dragonfly.net.originbody import OriginBody
from dragonfly.net.pacer import Pacer
from dragonfly.net.reply import Validating
from dragonfly.net.sink import BodySink
from dragonfly.net.throttle import Flow
from dragonfly.peer.content.content import ORIGIN, Content
from dragonfly.sched.picker import ALL

__all__ = ["OriginSource", "OriginStream"]

GAP_BYTES = 1024 * 1024
"""So much between two parts is read with them, whether anybody wants it or not: another request
costs a connection and a round trip or two."""

STALL_S = 30.0
"""Silence of the origin after which a transfer has failed."""


@attrs.frozen
class OriginSource:
    """Where and how this caller reads the origin. Headers may hold credentials: no repr."""

    client: OriginClient = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)


class OriginStream:
    """One reader of the origin for one content.

    :param flows: its parts in rate limits.
    :ivar source: the caller's way to it.
    """

    def __init__(
        self,
        content: Content,
        source: OriginSource,
        disk: DiskPool,
        clock: IReactorTime,
        *,
        flows: Sequence[Flow] = (),
    ) -> None:
        self.source = source
        self._content = content
        self._disk = disk
        self._clock = clock
        self._flows = flows

    async def known(
        self, first: int, validator: Validating | None, enough: Callable[[], bool]
    ) -> None:
        """Fetch missing pieces whose digests are known, from ``first`` on, until ``enough``.

        Stops at the first piece boundary at which ``enough`` says so or nothing is missing
        further on; where only parts are wanted, at the end of the part. What comes is verified
        like a neighbour's bytes.

        :raises OriginChanged: the origin has other bytes than the manifest says.
        :raises OriginError: it does not give them.
        """
        content = self._content

        def wanted(piece: int) -> bool:
            return piece not in content.have and content.manifest.digest(piece) is not None

        def stop(piece: int) -> bool:
            left = (content.manifest.known.mask & ~content.have.mask) >> piece
            over = enough() or content.wrong_from_origin or left == 0
            return over or self._part_ends(piece)

        body = await self._get(first, validator)
        await self._run(_Feed(content, body.reply.start, wanted, stop), body)
        if content.wrong_from_origin:
            raise OriginChanged("the origin has other bytes than those being distributed")

    async def rest(self, first: int, validator: Validating | None) -> None:
        """Fetch everything from ``first`` on that is missing, with digests or without, to the end
        of the part where only parts are wanted.

        ``first`` > 0 only together with the ``validator`` of the version that is here.
        When the length was unknown, it is known afterwards.

        :raises OriginChanged: it is another version now, or not of the known length.
        :raises OriginError: the origin does not give it.
        """
        await self.take(await self._get(first, validator))

    async def take(self, body: OriginBody) -> None:
        """Like :meth:`rest`, with a body that was asked for already."""
        content = self._content
        feed = _Feed(
            content, body.reply.start, lambda piece: not content.holds(piece), self._part_ends
        )
        await self._run(feed, body)
        if content.wrong_from_origin:
            raise OriginChanged("the origin has other bytes than those being distributed")
        if content.layout.length is None and content.error is None and not feed.stopped:
            content.set_length(feed.position)

    def _part_ends(self, piece: int) -> bool:
        """Whether only parts are wanted, and ``piece`` is behind one of them."""
        content = self._content
        if content.wanted == ALL:
            return False
        near = (1 << max(1, GAP_BYTES // content.file.piece_size)) - 1
        return not content.lacking >> piece & near

    async def _get(self, first: int, validator: Validating | None) -> OriginBody:
        source = self.source
        start = first * self._content.file.piece_size
        return await source.client.get(source.url, source.headers, start=start, validator=validator)

    async def _run(self, feed: _Feed, body: OriginBody) -> None:
        """Let ``body`` flow through ``feed`` to its end, or until the feed has enough."""

        def took(data: bytes) -> None:
            feed.took(data)
            brake.took(len(data))

        sink = BodySink(took, clock=self._clock, stall_s=STALL_S)
        brake = _Brake(sink, self._disk, self._flows, self._content.task)
        try:
            brake.pacer.begin()
            with suppress(_Enough):
                await body.deliver(sink)
                self._ended(feed)
        finally:
            brake.pacer.rest()
            self._content.intake.forget(ORIGIN)

    def _ended(self, feed: _Feed) -> None:
        """The body is over: where the length was not known, its last piece ends here.

        :raises OriginChanged: the known length was not reached.
        """
        content, length = self._content, self._content.layout.length
        if length is None:
            content.intake.end_short(ORIGIN, feed.position // content.file.piece_size)
        elif feed.position < length:
            raise OriginChanged(f"the origin sends {feed.position} of the known {length} bytes")


class _Enough(Exception):
    """The feed wants no more; ends the transfer from inside."""


class _Feed:
    """Cuts a body into the pieces of a content, and passes on those that are wanted.

    A piece whose beginning was not seen is skipped; one that was begun is finished.

    :ivar stopped: nothing further on was wanted.
    """

    def __init__(
        self,
        content: Content,
        start: int,
        wanted: Callable[[int], bool],
        stop: Callable[[int], bool],
    ) -> None:
        self.position = start
        self.stopped = False
        self._content = content
        self._wanted = wanted
        self._stop = stop
        self._taking = False

    def took(self, data: bytes) -> None:
        """The next bytes of the body.

        :raises OriginChanged: they go past the length that is known.
        :raises _Enough: nothing further on is wanted.
        """
        content = self._content
        if content.error is not None:
            raise _Enough
        length = content.layout.length
        if length is not None and self.position + len(data) > length:
            raise OriginChanged(f"the origin sends more than the known {length} bytes")
        view = memoryview(data)
        while view and content.error is None:
            piece, inside = divmod(self.position, content.file.piece_size)
            room = content.length_of(piece) - inside
            part, view = view[:room], view[room:]
            self.position += len(part)
            if inside == 0:
                self._taking = self._wanted(piece)
            if self._taking:
                content.intake.add(ORIGIN, piece, inside, part)
            if len(part) == room and self._stop(piece + 1):
                self.stopped = True
                raise _Enough


class _Brake:
    """Pauses a body while the disk is behind, or a rate limit says so."""

    def __init__(self, sink: BodySink, disk: DiskPool, flows: Sequence[Flow], key: bytes) -> None:
        self._holds = Holds(sink.pause, sink.resume)
        self.pacer = Pacer.by_holds(flows, self._holds, sink.read_at_most)
        self._disk = disk
        self._key = key

    def took(self, length: int) -> None:
        """So many bytes were taken: pause if that was too fast."""
        if "disk" not in self._holds and self._disk.full(self._key):
            self._holds.add("disk")
            self._disk.drained(self._key).addBoth(lambda _: self._holds.remove("disk"))
        self.pacer.took(length)
