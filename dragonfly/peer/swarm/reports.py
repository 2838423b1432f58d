"""What one task tells the supernode, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from dragonfly.control.messages import (
    AnnounceAnswer,
    AnnounceRequest,
    Complaint,
    Holding,
    Rates,
    RegisterAnswer,
    RegisterRequest,
    prefix_of,
    prefixed,
    prefixes,
)
from dragonfly.errors import BadRun, ErrorCode, NoSources, OriginChanged, OriginRefused
from dragonfly.peer.connections.links import Links
from dragonfly.peer.connections.membership import Membership
from dragonfly.peer.content.content import INSIDE, Content
from dragonfly.peer.origin.fallback import Fallback
from dragonfly.peer.origin.hunger import Hunger
from dragonfly.peer.tracker.supernodes import Supernode, pieces_of

__all__ = ["Reports", "Tally"]

FINAL = frozenset({401, 403, 404, 410, 451})
"""Statuses of the origin that it would give everybody: no use in asking it again."""

OUTDATED_S = 60.0
"""A version that the supernode has replaced is announced no more often than this."""


@attrs.define(eq=False)
class Tally:
    """Bytes of one task by source, and bytes served."""

    cdn: int = 0
    peers: int = 0
    origin: int = 0
    cache: int = 0
    served: int = 0

    def add(self, kind: str, length: int) -> None:
        """Count received bytes."""
        setattr(self, kind, getattr(self, kind) + length)


class Reports:
    """The subject of one task's announces."""

    _log = Logger()

    def __init__(  # noqa: PLR0917 - the parts of one transfer
        self,
        content: Content,
        links: Links,
        membership: Membership,
        fallback: Fallback,
        hunger: Hunger,
        tally: Tally,
        *,
        me: bytes,
        clock: IReactorTime,
        supernode: Supernode,
        request: RegisterRequest,
        on_outdated: Callable[[], None],
    ) -> None:
        self.complaints: list[Complaint] = []
        """What no answer has confirmed yet; at most one or two for each barred neighbour."""
        self.request = request
        self._content = content
        self._links = links
        self._membership = membership
        self._fallback = fallback
        self._hunger = hunger
        self._tally = tally
        self._me = me
        self._clock = clock
        self._supernode = supernode
        self._on_outdated = on_outdated
        self._reported_at = clock.seconds()
        self._reported_served = 0
        self._reported_complaints = 0
        self._reported: tuple[bool, bool] | None = None
        self._most_links = 0

    def report(self) -> AnnounceRequest:
        """How it goes now."""
        now, content = self._clock.seconds(), self._content
        self._reported, self._most_links = self._state(), len(self._links)
        self._reported_complaints = len(self.complaints)
        return AnnounceRequest(
            task=content.task,
            key=self._me,
            fetch=content.manifest.fetch,
            have_count=len(content.have),
            complete=content.complete,
            rates=self._rates(now),
            dead=self._links.take_dead(),
            complaints=list(self.complaints),
            starving=self._fallback.starving and not content.finished,
            neighbours=prefixed(link.key for link in self._links),
            expected_s=self._hunger.expected_s(content.remaining, now),
        )

    def news(self) -> bool:
        """Whether something has happened, since the last report, that the supernode acts on.

        That there are fewer neighbours than there were is news, for who has not everything;
        that some have come is none.
        """
        links = len(self._links)
        lost = links < self._most_links and not self._content.complete
        self._most_links = max(links, self._most_links)
        told = bool(self._links.dead or self.complaints)
        return told or lost or self._state() != self._reported

    def _state(self) -> tuple[bool, bool]:
        return self._content.complete, self._fallback.starving and not self._content.finished

    def answered(self, answer: AnnounceAnswer) -> None:
        """Do what the supernode says.

        :raises BadControlMessage: it names neighbours that can be none.
        """
        drop = set(prefixes(answer.drop))
        del self.complaints[: self._reported_complaints]
        self._reported_complaints = 0
        self._membership.renew(answer.grant, answer.now, self._clock.seconds())
        for link in self._links:
            if prefix_of(link.key) in drop:
                self._links.drop(link.key, ErrorCode.NO_ERROR, "the supernode says so")
                self._most_links -= 1
        if self._content.finished:  # a seed has nothing for us, and places for others
            self._links.connect([each for each in answer.neighbours if not each.seed])
            return
        self._links.connect(answer.neighbours)
        if answer.state == "failed":
            self._failed(answer)
        self._fallback.ticket(answer.ticket)

    async def register_again(self) -> float:
        """The supernode has forgotten us: say what is here, and go on."""
        request = attrs.evolve(self.request, have=self.holding(), inline=0)
        answer = await self._supernode.register(request)
        if isinstance(answer, RegisterAnswer) and self.same(answer):
            self.registered(answer, self.request)
            return answer.announce_after
        self._content.fail(OriginChanged("the supernode has another version by now"))
        self._on_outdated()
        return OUTDATED_S

    def same(self, answer: RegisterAnswer) -> bool:
        """Whether ``answer`` is about the version that is here."""
        manifest = self._content.manifest
        ours = (manifest.task, manifest.fetch, manifest.piece_size)
        return (answer.task, answer.fetch, answer.piece_size) == ours

    def registered(self, answer: RegisterAnswer, request: RegisterRequest) -> None:
        """One more registration for this version was answered."""
        self.request = request
        self._membership.renewed(answer, self._clock.seconds())
        self.take(answer)
        self._links.connect(answer.neighbours)

    def take(self, answer: RegisterAnswer) -> None:
        """Believe the runs that came inside an answer; they are signed like all others.

        If it is not here yet, take the content too that came instead of a place in the swarm.
        """
        for raw in answer.runs:
            try:
                self._content.add_run(raw)
            except BadRun as error:  # noqa: PERF203 - the others may be good
                self._log.warn("a run from the supernode is of no use: {error}", error=str(error))
        if not self._content.finished:
            for piece, data in enumerate(pieces_of(answer)):
                self._content.intake.add(INSIDE, piece, 0, data)

    def _failed(self, answer: AnnounceAnswer) -> None:
        """The CDN will not have it: if the origin said no, it is no; else try ourselves."""
        error = answer.error
        if error is not None and error.origin_status in FINAL and not error.retryable:
            self._content.fail(OriginRefused(error.message, error.origin_status))
        else:
            why = error.message if error is not None else "it does not say why"
            self._fallback.swarm_failed(NoSources(f"the supernode cannot get it: {why}"))

    def holding(self) -> Holding:
        """What is here, verified."""
        content = self._content
        count = content.layout.piece_count or content.have.mask.bit_length()
        return Holding(
            task=content.task,
            fetch=content.manifest.fetch,
            piece_size=content.manifest.piece_size,
            count=count,
            bits=content.have.to_bytes(count),
        )

    def _rates(self, now: float) -> Rates:
        span = max(now - self._reported_at, 1e-3)
        up = (self._tally.served - self._reported_served) / span
        self._reported_at, self._reported_served = now, self._tally.served
        return Rates(
            down=0.0 if self._content.finished else self._hunger.rate(now),
            up=up,
            from_cdn=self._tally.cdn,
            from_peers=self._tally.peers,
            from_origin=self._tally.origin,
        )
