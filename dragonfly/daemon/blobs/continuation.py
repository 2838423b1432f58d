"""The rest of a body straight from the registry, into a response that has begun already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from zope.interface import implementer

from dragonfly.daemon.blobs.outlet import Outlet
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.vigil import Vigil
from dragonfly.errors import DigestMismatch, OriginChanged, OriginError, OriginTruncated
from dragonfly.net.holds import Holds
from dragonfly.net.originbody import OriginBody
from dragonfly.net.pacer import Pacer
from dragonfly.net.sink import BodySink
from dragonfly.net.throttle import Flow
from dragonfly.task.digest import Digest, Hasher

__all__ = ["ANSWER_S", "STALL_S", "TRIES", "Continuation"]

ANSWER_S = 20.0
"""The client has been waiting already when the registry is asked, and clients of registries
give up after a minute without a byte."""

STALL_S = 20.0
"""Silence of the registry in the middle of the body; then it is asked once more."""

TRIES = 2
"""A connection that was cut is no reason to fail, one that is cut again is: the client, who
can ask for the rest by itself, is to know."""


class Continuation:
    """Reads a blob from the registry from where ``outlet`` is, to the end of the body.

    Where the name holds a digest no validator goes along: another entity tag means nothing
    then, and the whole is compared with the digest before the last byte goes out. Hashing
    is done here in the reactor's thread: 35 us for 64 KiB, and only when all else failed.

    :param hasher: has taken everything before the outlet's position; ``None`` for a part of
        a blob, which cannot be compared.
    :param flows: its parts in rate limits.

    :ivar read: bytes that came and were used.
    """

    def __init__(
        self,
        source: Source,
        outlet: Outlet,
        vigil: Vigil,
        clock: IReactorTime,
        *,
        hasher: Hasher | None,
        flows: Sequence[Flow] = (),
    ) -> None:
        self.read = 0
        self._source = source
        self._outlet = outlet
        self._vigil = vigil
        self._clock = clock
        self._hasher = hasher
        self._flows = flows
        self._unsure = False
        self._newest = b""

    async def run(self) -> None:
        """Read to the end, compare, and let the last byte out.

        :raises OriginError: the registry does not give it, or something else.
        :raises DigestMismatch: all bytes came, and are not those of the digest.
        :raises HungUp: the client hung up.
        """
        for attempt in range(1, TRIES + 1):
            try:
                await self._attempt()
                break
            except OriginError as error:
                changed = isinstance(error, OriginChanged)
                cut = isinstance(error, OriginTruncated) or (error.retryable and not changed)
                if attempt == TRIES or not cut:
                    raise
        self._compare()
        self._outlet.release()

    # -- one attempt --------------------------------------------------------------------

    async def _attempt(self) -> None:
        outlet = self._outlet
        if outlet.end is not None and outlet.taken >= outlet.end:
            return
        source = self._source
        end = outlet.end if outlet.end != source.length else None
        asked = source.client.get(
            source.url, source.headers, start=outlet.taken, end=end, validator=source.validator
        )
        body = await self._vigil.wait(Deferred.fromCoroutine(asked), self._late(ANSWER_S))
        self._check(body)
        # What only the check told may be wrong, and then nobody else would notice.
        last = outlet.end is not None and outlet.end == source.length
        self._unsure = last and self._hasher is None and body.reply.length is None
        self._newest = b""
        await self._deliver(body)

    def _check(self, body: OriginBody) -> None:
        """Refuse a body that cannot be the rest of this one."""
        length, known = body.reply.length, self._source.length
        if None not in (length, known) and length != known:
            body.close()
            raise OriginChanged(
                f"{body.reply.shown_url}: {length} bytes now, {known} were announced"
            )

    async def _deliver(self, body: OriginBody) -> None:
        skip = self._outlet.taken - body.reply.start
        flow = _Inflow(self, self._clock, self._flows, skip)
        self._outlet.registerProducer(flow, True)
        flow.begin()
        try:
            await self._vigil.wait(body.deliver(flow.sink))
        except _Enough:
            pass
        finally:
            flow.stopProducing()
            self._outlet.unregisterProducer()
        self._ended(body)

    def _ended(self, body: OriginBody) -> None:
        """The body is over; if that is too early, the registry has less than it said."""
        outlet = self._outlet
        self._give(self._newest)
        if outlet.end is None:
            outlet.end = outlet.taken
        elif outlet.taken < outlet.end:
            if self._unsure:
                self._source.client.doubt(self._source.url)
            raise OriginTruncated(
                f"{body.reply.shown_url}: the body ended at byte {outlet.taken} of {outlet.end}"
            )

    def took(self, data: bytes) -> None:
        """The next bytes of the body.

        :raises _Enough: these were the last that are wanted.
        :raises OriginChanged: there are more than there should be.
        """
        end = self._outlet.end
        if end is not None:
            left = end - self._outlet.taken - len(self._newest)
            if self._unsure and len(data) > left:
                self._source.client.doubt(self._source.url)
                raise OriginChanged(f"the registry gives more than the {end} bytes it announced")
            data = data[:left]
        if self._unsure:  # that nothing follows shows at the end
            data, self._newest = self._newest, data
        self._give(data)
        if self._outlet.taken == end:  # one that goes on for ever must not keep the client
            raise _Enough

    def _give(self, data: bytes) -> None:
        if not data:
            return
        self.read += len(data)
        if self._hasher is not None:
            self._hasher.update(data)
        self._outlet.write(data)

    def _compare(self) -> None:
        digest = self._source.digest
        if self._hasher is None or digest is None:
            return
        found = Digest(digest.algorithm, self._hasher.digest())
        if found != digest:
            raise DigestMismatch(f"the registry gives {found} for {digest}")

    def _late(self, seconds: float) -> Callable[[], str]:
        began = self._clock.seconds()

        def late() -> str:
            if self._clock.seconds() - began < seconds:
                return ""
            return f"the registry did not answer in {seconds:g} s"

        return late


class _Enough(Exception):
    """The rest of the body is not wanted; ends the transfer from inside."""


@implementer(IPushProducer)
class _Inflow:
    """A body that waits for two: the client, and the rate limit.

    :param skip: bytes at its beginning that the client has already.
    """

    def __init__(
        self, rest: Continuation, clock: IReactorTime, flows: Sequence[Flow], skip: int
    ) -> None:
        self.sink = BodySink(self._took, clock=clock, stall_s=STALL_S)
        self._holds = Holds(self.sink.pause, self.sink.resume)
        self._pacer = Pacer.by_holds(flows, self._holds, self.sink.read_at_most)
        self._rest = rest
        self._skip = skip

    def begin(self) -> None:
        """The body is about to flow."""
        self._pacer.begin()

    def _took(self, data: bytes) -> None:
        self._pacer.took(len(data))
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if len(data) > skipped:
            self._rest.took(data[skipped:])

    def pauseProducing(self) -> None:
        """The client has enough for now."""
        self._holds.add("taker")

    def resumeProducing(self) -> None:
        """The client wants more."""
        self._holds.remove("taker")

    def stopProducing(self) -> None:
        """Nothing more is wanted; who waits for the sink cancels it."""
        self._holds.add("over")
        self._pacer.rest()
