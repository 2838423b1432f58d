"""One request for a content, from the check at its origin to the last byte."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.blobs.checks import Checks
from dragonfly.daemon.blobs.delivery import Delivery
from dragonfly.daemon.blobs.detours import Detours
from dragonfly.daemon.blobs.eligibility import Unfit
from dragonfly.daemon.blobs.headers import blob_answer, unsatisfiable, wanted_ranges
from dragonfly.daemon.blobs.heldhead import HEAD_S, HeldHead
from dragonfly.daemon.blobs.models import needs_xet
from dragonfly.daemon.blobs.parts import Parts, multipart, single, whole
from dragonfly.daemon.blobs.remarks import remarks
from dragonfly.daemon.blobs.sieve import grouped
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.swarmaccess import LEAVING, SwarmAccess
from dragonfly.daemon.blobs.transferring import Transferring, layout_of
from dragonfly.daemon.blobs.vigil import Vigil
from dragonfly.daemon.front.answering import answer_in_text
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import ConfigError, NoSources, OriginError, TaskError
from dragonfly.net.ranges import TooManyRanges, Unsatisfiable
from dragonfly.net.reply import OriginReply
from dragonfly.net.throttle import Throttle

__all__ = ["LENGTH_S", "READS_MAX", "BlobRequest", "BlobTools"]

LENGTH_S = 1.0
"""An origin that does not tell a length may be one of a few whose answer to HEAD lacks it; the
swarm may know it. With the time in which the origin is asked for it before
(:data:`~dragonfly.net.origin.SOON_S`) that makes 2 s: snapshotters give up after 3."""

READS_MAX = 16
"""Requests to the origin for one of a client, where no swarm has the parts; more are for the
origin to answer as they are, unless it redirects."""

_MANY_READS = f"more than {READS_MAX} parts that lie apart, and no swarm"
_PLAIN = frozenset({None, "", "identity"})


@attrs.frozen(kw_only=True)
class BlobTools:
    """What all requests of one dfdaemon work with; see :class:`~dragonfly.daemon.blobs.blob.Blobs`.

    :ivar boundary: makes what stands between the parts of an answer: new for each.
    """

    swarm: SwarmAccess
    checks: Checks
    detours: Detours
    clock: IReactorTime
    limit: Throttle | None
    boundary: Callable[[], bytes]


class BlobRequest:
    """One request; its download begins with it."""

    def __init__(
        self, tools: BlobTools, responder: Responder, route: Route, source: Source, note: Note
    ) -> None:
        self._tools = tools
        self._responder = responder
        self._route = route
        self._source = source
        self._note = note
        self._plan = tools.checks.plan(source, route, held=tools.swarm.holds(source.name))
        self._download = self._begun()
        self._vigil = Vigil(responder, tools.clock)
        self._delivery: Delivery | None = None
        self._checked_at = 0.0

    async def answer(self) -> bool:
        """Answer it; ``False``: the origin refused its content before anything went out.

        :raises Unfit: the origin's own answer is better than what could be given; nothing went out.
        :raises HungUp: the client hung up.
        """
        self._source.reply = reply = await self._check()
        head_only = self._route.head.method == b"HEAD"
        self._refuse(reply, head_only=head_only)
        if self._download is None:
            self._download = self._begun()
        await self._learn_length(reply)
        self._compare()
        if head_only:
            self._start(reply, whole(self._source.length))
            self._responder.finish()
            return True
        return await self._answer_with_bytes(reply)

    def leave_swarm(self) -> Deferred[None] | None:
        """Go on without the peer. The Deferred fires when nothing is read any more of what it
        keeps; cancelling it changes nothing. ``None``: nothing was."""
        if self._delivery is None:  # the origin was not heard yet: nothing was begun with it
            self._forget()
            return None
        if self._download is not None:
            self._download.give_up(TaskError(LEAVING))
        return self._delivery.parted.wait()

    def end(self) -> None:
        """It is over; the search for a content that nobody was heard of yet may go on."""
        download, delivery = self._download, self._delivery
        if download is None:
            return
        self._tools.swarm.heard(download)
        unheard = delivery is not None and delivery.unheard
        if not (unheard and self._tools.detours.search(self._source, download)):
            download.cancel()

    # -- the check, and what follows from it --------------------------------------------------

    async def _check(self) -> OriginReply:
        """Ask the origin whether this caller may have it, while the download begins."""
        asking = Deferred.fromCoroutine(
            self._tools.checks.ask(self._source, self._route, self._plan)
        )
        try:
            reply = await self._vigil.wait(asking)
        except (OriginError, ConfigError) as error:
            raise Unfit(f"the registry's check: {error}") from None
        self._checked_at = self._tools.clock.seconds()
        return reply

    def _refuse(self, reply: OriginReply, *, head_only: bool) -> None:
        """Refuse what cannot be shared, whoever has it."""
        source = self._source
        if source.digest is not None and reply.header("content-encoding") not in _PLAIN:
            raise Unfit("the registry encodes it on the way, its digest is of something else")
        if source.version is None:
            raise Unfit("not shared: nothing in the origin's answer tells one version from another")
        if head_only and needs_xet(reply):
            raise Unfit("the hub's client fetches files of that size by Xet only")

    async def _learn_length(self, reply: OriginReply) -> None:
        source = self._source
        source.length = reply.length
        if reply.length is not None or source.digest is None:
            return
        if reply.header("docker-content-digest") != str(source.digest):
            # It may be a page to log in at, made on the fly for those who may not have it.
            raise Unfit("the registry's check: it tells neither a length nor the digest")
        if self._download is not None:
            source.length = await self._length_in_swarm(self._download)

    async def _length_in_swarm(self, download: Transferring) -> int | None:
        """What the swarm says, where the origin does not; not for long."""
        until = self._tools.clock.seconds() + LENGTH_S
        waiting: Deferred[None] = Deferred()

        def enough() -> str:
            waited = self._tools.clock.seconds() >= until
            return "enough" if waited or download.ended or layout_of(download) else ""

        if not enough():
            with suppress(NoSources):
                await self._vigil.wait(waiting, enough)
        return _length_of(download)

    def _compare(self) -> None:
        """Whether what is known by now can become an answer: the origin's own is better than one
        that has to be cut off."""
        source, download = self._source, self._download
        if source.length == 0:
            raise Unfit("the registry announces no bytes")
        known = _length_of(download)
        if None not in (known, source.length) and known != source.length:
            why = f"{known} bytes are known here, the registry announces {source.length}"
            if source.digest is not None:  # perhaps it is a page to log in at
                raise Unfit(why)
            self._note.because(why)
            self._forget()
        if download is not None and download.error is not None:
            self._note.because(str(download.error))
            self._forget()

    # -- the answer ---------------------------------------------------------------------------

    async def _answer_with_bytes(self, reply: OriginReply) -> bool:
        try:
            parts = self._parts(reply)
        except Unsatisfiable:
            self._answer_that_there_is_none(reply)
            return True
        except TooManyRanges as error:
            answer_in_text(self._responder, 400, str(error))
            return True
        if self._reads(parts) > READS_MAX:
            raise Unfit(_MANY_READS)
        return await self._deliver(reply, parts)

    def _parts(self, reply: OriginReply) -> Parts:
        """What of the content the caller wants.

        :raises Unsatisfiable: nothing that there is.
        :raises TooManyRanges: more than makes sense.
        """
        length = self._source.length
        spans = wanted_ranges(self._route.head.headers, reply, length)
        if spans is None or length is None:
            return whole(length)
        if len(spans) == 1:
            return single(spans[0])
        if sum(span.end - span.begin for span in spans) == length:
            return whole(length)  # which can be compared with its digest, as its parts cannot
        media_type = (reply.content_type or "").encode("latin-1", "replace")
        boundary = self._tools.boundary()
        found = multipart(spans, length=length, media_type=media_type, boundary=boundary)
        if reply.passed and self._reads(found) > READS_MAX:
            # Snapshotters that are redirected once read all else there, past us.
            raise TooManyRanges(_MANY_READS)
        return found

    def _reads(self, parts: Parts) -> int:
        """How many requests to the origin it takes."""
        return 0 if self._download is not None else len(grouped(parts.parts))

    def _answer_that_there_is_none(self, reply: OriginReply) -> None:
        if not self._plan.certain and reply.status == 200:
            raise Unfit("the range is not in what the answer to a HEAD announces")
        answer = unsatisfiable(reply, self._source.length or 0)
        self._responder.start(answer.status, answer.headers)
        self._responder.finish()

    def _start(self, reply: OriginReply, parts: Parts) -> None:
        answer = blob_answer(reply, self._source.length, parts)
        said = remarks(self._source, self._download)
        self._responder.start(answer.status, (*answer.headers, *said))

    async def _deliver(self, reply: OriginReply, parts: Parts) -> bool:
        """Give the content out; ``False``: it was refused before anything of it came."""
        held: HeldHead | None = None
        if self._plan.certain:
            self._tools.checks.believe(self._source, self._route)
        else:
            self._responder = held = self._held(reply)
        await self._bring(reply, parts)
        if held is None or not held.unsaid:
            return True
        self._note.ending = "done"
        return False

    def _held(self, reply: OriginReply) -> HeldHead:
        tools = self._tools

        def said() -> None:
            tools.checks.given(self._source, self._route, reply)
            tools.checks.believe(self._source, self._route)

        hold_s = self._checked_at + HEAD_S - tools.clock.seconds()
        return HeldHead(self._responder, tools.clock, hold_s=hold_s, said=said)

    async def _bring(self, reply: OriginReply, parts: Parts) -> None:
        tools = self._tools
        self._note.route = "direct" if self._download is None else "swarm"
        if self._download is not None and parts.ranged:
            tools.swarm.prefetch(self._source, self._route)
        self._start(reply, parts)
        delivery = self._delivery = Delivery(
            self._download,
            self._source,
            parts,
            vigil=self._vigil,
            responder=self._responder,
            note=self._note,
            clock=tools.clock,
            detour=tools.detours.of(self._source.name),
            flows=(tools.limit.flow(self),) if tools.limit is not None else (),
        )
        try:
            await delivery.run()
        finally:
            self._learn_from(delivery)

    def _learn_from(self, delivery: Delivery) -> None:
        """What the next request had better know."""
        if delivery.unanswered:
            self._tools.swarm.silent(self._source)
        if delivery.refused and not self._plan.certain:
            self._tools.checks.refused(self._source, self._route)
        elif self._note.ending == "aborted":
            self._tools.checks.doubt(self._source, self._route)

    # -- the download -----------------------------------------------------------------------

    def _begun(self) -> Transferring | None:
        return self._tools.swarm.begin(
            self._source, self._route, self._note, admitted=self._plan.certain
        )

    def _forget(self) -> None:
        """The swarm is of no use for it."""
        download, self._download = self._download, None
        if download is not None:
            download.cancel()


def _length_of(download: Transferring | None) -> int | None:
    layout = layout_of(download) if download is not None else None
    return layout.length if layout is not None else None
