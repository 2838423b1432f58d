"""A content that a rule sends through the swarm: asked for at its origin and in the swarm at once,
and streamed from there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.blobs.checks import Checks, Plan
from dragonfly.daemon.blobs.delivery import Delivery
from dragonfly.daemon.blobs.detours import Detours
from dragonfly.daemon.blobs.eligibility import Unfit, source_of
from dragonfly.daemon.blobs.headers import (
    blob_answer,
    unsatisfiable,
    wanted_ranges,
)
from dragonfly.daemon.blobs.heldhead import HEAD_S, HeldHead
from dragonfly.daemon.blobs.models import needs_xet
from dragonfly.daemon.blobs.parts import Parts, multipart, single, whole
from dragonfly.daemon.blobs.remarks import remarks
from dragonfly.daemon.blobs.sieve import grouped
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.swarmaccess import LEAVING, SwarmAccess
from dragonfly.daemon.blobs.transferring import Transferring, layout_of
from dragonfly.daemon.blobs.vigil import HungUp, Vigil
from dragonfly.daemon.front.answering import answer_in_text
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.straight.namecheck import StraightOn
from dragonfly.errors import ConfigError, DragonflyError, NoSources, OriginError, TaskError
from dragonfly.net.origin import OriginClient
from dragonfly.net.ranges import TooManyRanges, Unsatisfiable
from dragonfly.net.reply import OriginReply
from dragonfly.net.throttle import Throttle
from dragonfly.net.trust import Trust

__all__ = ["LENGTH_S", "READS_MAX", "Blobs"]

LENGTH_S = 1.0
"""An origin that does not tell a length may be one of a few whose answer to HEAD lacks it; the
swarm may know it. With the time in which the origin is asked for it before
(:data:`~dragonfly.net.origin.SOON_S`) that makes 2 s: snapshotters give up after 3."""

READS_MAX = 16
"""Requests to the origin for one of a client, where no swarm has the parts; more are for the
origin to answer as they are, unless it redirects."""

_MANY_READS = f"more than {READS_MAX} parts that lie apart, and no swarm"
_PLAIN = frozenset({None, "", "identity"})


class Blobs:
    """Answers GETs and HEADs of contents.

    Whether the swarm has a content or not, its answer is the same: the origin was asked
    whether this caller may have it, redirects were followed, ranges work.

    :param swarm: begins downloads there.
    :param client: gives the client that asks origins with that trust, on this machine's own
        loopback too or not.
    :param straight_on: answers what cannot be shared, as the origin does.
    :param limit: what is read from the origin behind the peer's back keeps to it.
    :param via: see :class:`~dragonfly.daemon.blobs.checks.Checks`.
    :param boundary: makes what stands between the parts of an answer: new for each.
    """

    def __init__(
        self,
        swarm: SwarmAccess,
        *,
        client: Callable[[Trust, bool], OriginClient],
        straight_on: StraightOn,
        clock: IReactorTime,
        limit: Throttle | None = None,
        via: bytes,
        boundary: Callable[[], bytes],
    ) -> None:
        self._swarm = swarm
        self._client = client
        self._straight_on = straight_on
        self._clock = clock
        self._limit = limit
        self._boundary = boundary
        self._checks = Checks(clock.seconds, via=via)
        self._detours = Detours(clock, heard=swarm.heard, silent=swarm.silent)
        self._asked: set[_Asked] = set()

    async def leave_swarm(self) -> None:
        """Do without the peer from now on; answers under way go on from the origin, each in
        its own response. Returns when none of them reads what the peer keeps.

        Cancelling stops the waiting only.
        """
        self._swarm.leave()
        deliveries = [each.delivery for each in self._asked if each.delivery is not None]
        for asked in list(self._asked):
            if asked.download is not None and asked.delivery is not None:
                asked.download.give_up(TaskError(LEAVING))
            else:  # the origin was not heard yet: nothing was begun with it
                asked.forget()
        for delivery in deliveries:
            await delivery.parted.wait()

    async def answer(self, responder: Responder, route: Route, note: Note) -> None:
        """Answer one request: with the content, or else straight on, with the reason noted.

        Cancelling it gives the download up.
        """
        try:
            answered = await self._answered(responder, route, note)
        except HungUp:
            note.ending = "gone"
            return
        if not answered:
            note.route = "direct"
            await self._straight_on(responder, route, note)

    async def _answered(self, responder: Responder, route: Route, note: Note) -> bool:
        """Answer, or say ``False`` before anything of an answer went out."""
        try:
            source = source_of(responder, route, self._client)
        except (DragonflyError, Unfit) as error:
            note.because(str(error))
            return False
        plan = self._checks.plan(source, route, held=self._swarm.holds(source.name))
        download = self._swarm.begin(source, route, note, admitted=plan.certain)
        vigil = Vigil(responder, self._clock)
        asked = _Asked(responder, route, source, plan, download, vigil, note)
        self._asked.add(asked)
        try:
            return await self._checked(asked)
        finally:
            self._asked.discard(asked)
            if asked.download is not None:
                self._swarm.heard(asked.download)
                unheard = asked.delivery is not None and asked.delivery.unheard
                if not (unheard and self._detours.search(source, asked.download)):
                    asked.download.cancel()

    # -- the check, and what follows from it --------------------------------------------------

    async def _checked(self, asked: _Asked) -> bool:
        """Ask the origin whether this caller may have it, while the download begins."""
        source, note = asked.source, asked.note
        try:
            source.reply = reply = await self._check(asked)
        except (OriginError, ConfigError) as error:
            note.because(f"the registry's check: {error}")
            return False
        if source.digest is not None and reply.header("content-encoding") not in _PLAIN:
            note.because("the registry encodes it on the way, its digest is of something else")
            return False
        if source.version is None:
            note.because(
                "not shared: nothing in the origin's answer tells one version from another"
            )
            return False
        head_only = asked.route.head.method == b"HEAD"
        if head_only and needs_xet(reply):
            note.because("the hub's client fetches files of that size by Xet only")
            return False
        if asked.download is None:
            asked.download = self._swarm.begin(
                source, asked.route, note, admitted=asked.plan.certain
            )
        if not await self._fits(asked, reply):
            return False
        if head_only:
            self._start(asked, reply, whole(source.length))
            asked.responder.finish()
            return True
        try:
            parts = self._parts(asked, reply)
        except Unsatisfiable:
            if not asked.plan.certain and reply.status == 200:
                note.because("the range is not in what the answer to a HEAD announces")
                return False
            answer = unsatisfiable(reply, source.length or 0)
            asked.responder.start(answer.status, answer.headers)
            asked.responder.finish()
            return True
        except TooManyRanges as error:
            answer_in_text(asked.responder, 400, str(error))
            return True
        if _reads(asked, parts) > READS_MAX:
            note.because(_MANY_READS)
            return False
        return await self._deliver(asked, reply, parts)

    async def _check(self, asked: _Asked) -> OriginReply:
        asking = self._checks.ask(asked.source, asked.route, asked.plan)
        reply = await asked.vigil.wait(Deferred.fromCoroutine(asking))
        asked.checked_at = self._clock.seconds()
        return reply

    async def _fits(self, asked: _Asked, reply: OriginReply) -> bool:
        """Whether what is known by now can become an answer; the origin's own is better than
        one that has to be cut off."""
        source, download, note = asked.source, asked.download, asked.note
        source.length = reply.length
        if reply.length is None and source.digest is not None:
            if reply.header("docker-content-digest") != str(source.digest):
                # It may be a page to log in at, made on the fly for those who may not have it.
                note.because("the registry's check: it tells neither a length nor the digest")
                return False
            if download is not None:
                source.length = await self._length(download, asked.vigil)
        if source.length == 0:
            note.because("the registry announces no bytes")
            return False
        layout = layout_of(download) if download is not None else None
        known = layout.length if layout is not None else None
        if None not in (known, source.length) and known != source.length:
            note.because(f"{known} bytes are known here, the registry announces {source.length}")
            if source.digest is not None:  # perhaps it is a page to log in at
                return False
            asked.forget()
        if download is not None and download.error is not None:
            note.because(str(download.error))
            asked.forget()
        return True

    async def _length(self, download: Transferring, vigil: Vigil) -> int | None:
        """What the swarm says, where the origin does not; not for long."""
        until = self._clock.seconds() + LENGTH_S
        waiting: Deferred[None] = Deferred()

        def enough() -> str:
            waited = self._clock.seconds() >= until
            return "enough" if waited or download.ended or layout_of(download) else ""

        if not enough():
            with suppress(NoSources):
                await vigil.wait(waiting, enough)
        layout = layout_of(download)
        return layout.length if layout is not None else None

    # -- the answer ---------------------------------------------------------------------------

    def _parts(self, asked: _Asked, reply: OriginReply) -> Parts:
        """What of the content the caller wants.

        :raises Unsatisfiable: nothing that there is.
        :raises TooManyRanges: more than makes sense.
        """
        length = asked.source.length
        spans = wanted_ranges(asked.route.head.headers, reply, length)
        if spans is None or length is None:
            return whole(length)
        if len(spans) == 1:
            return single(spans[0])
        if sum(span.end - span.begin for span in spans) == length:
            return whole(length)  # which can be compared with its digest, as its parts cannot
        media_type = (reply.content_type or "").encode("latin-1", "replace")
        found = multipart(spans, length=length, media_type=media_type, boundary=self._boundary())
        if reply.passed and _reads(asked, found) > READS_MAX:
            # Snapshotters that are redirected once read all else there, past us.
            raise TooManyRanges(_MANY_READS)
        return found

    def _start(self, asked: _Asked, reply: OriginReply, parts: Parts) -> None:
        answer = blob_answer(reply, asked.source.length, parts)
        said = remarks(asked.source, asked.download)
        asked.responder.start(answer.status, (*answer.headers, *said))

    async def _deliver(self, asked: _Asked, reply: OriginReply, parts: Parts) -> bool:
        """Give the content out; ``False``: it was refused before anything of it came."""
        held: HeldHead | None = None
        if asked.plan.certain:
            self._checks.believe(asked.source, asked.route)
        else:
            asked.responder = held = self._held(asked, reply)
        await self._bring(asked, reply, parts)
        if held is None or not held.unsaid:
            return True
        asked.note.ending = "done"
        return False

    def _held(self, asked: _Asked, reply: OriginReply) -> HeldHead:
        def said() -> None:
            self._checks.given(asked.source, asked.route, reply)
            self._checks.believe(asked.source, asked.route)

        hold_s = asked.checked_at + HEAD_S - self._clock.seconds()
        return HeldHead(asked.responder, self._clock, hold_s=hold_s, said=said)

    async def _bring(self, asked: _Asked, reply: OriginReply, parts: Parts) -> None:
        asked.note.route = "direct" if asked.download is None else "swarm"
        if asked.download is not None and parts.ranged:
            self._swarm.prefetch(asked.source, asked.route)
        self._start(asked, reply, parts)
        delivery = asked.delivery = Delivery(
            asked.download,
            asked.source,
            parts,
            vigil=asked.vigil,
            responder=asked.responder,
            note=asked.note,
            clock=self._clock,
            detour=self._detours.of(asked.source.name),
            flows=(self._limit.flow(asked),) if self._limit is not None else (),
        )
        try:
            await delivery.run()
        finally:
            if delivery.unanswered:
                self._swarm.silent(asked.source)
            if delivery.refused and not asked.plan.certain:
                self._checks.refused(asked.source, asked.route)
            elif asked.note.ending == "aborted":
                self._checks.doubt(asked.source, asked.route)


@attrs.define(eq=False)
class _Asked:
    """One request that is being answered."""

    responder: Responder
    route: Route
    source: Source
    plan: Plan
    download: Transferring | None
    vigil: Vigil
    note: Note
    delivery: Delivery | None = None
    checked_at: float = 0.0

    def forget(self) -> None:
        """The swarm is of no use for it."""
        download, self.download = self.download, None
        if download is not None:
            download.cancel()


def _reads(asked: _Asked, parts: Parts) -> int:
    """How many requests to the origin it takes."""
    return 0 if asked.download is not None else len(grouped(parts.parts))
