"""What is said on the links of one task: who is asked for what, and who is answered how.

The :class:`~dragonfly.peer.exchange.requester.Requester` asks, the
:class:`~dragonfly.peer.exchange.responder.Responder` answers, and
:class:`~dragonfly.peer.exchange.haves.Haves` tells what is here; this is where they meet. One
round of asking follows each reactor turn in which something changed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from dragonfly.errors import BadRun, ErrorCode
from dragonfly.net.calloff import call_off
from dragonfly.net.disk import DiskPool
from dragonfly.net.readgroup import ReadGroup
from dragonfly.net.throttle import Flow
from dragonfly.peer.connections.links import Link
from dragonfly.peer.content.content import Content
from dragonfly.peer.content.watcher import Supervisor
from dragonfly.peer.exchange.flowcontrol import FlowControl
from dragonfly.peer.exchange.haves import Haves
from dragonfly.peer.exchange.requester import Requester
from dragonfly.peer.exchange.responder import Responder
from dragonfly.peer.exchange.runs import DigestAsks
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.picker import Picker
from dragonfly.task.bitfield import Bitfield, mask_of
from dragonfly.task.layout import MAX_PIECES
from dragonfly.wire.events import (
    BitfieldReceived,
    CancelReceived,
    DigestsReceived,
    Event,
    GetDigestsReceived,
    HaveReceived,
    RejectReceived,
    RequestAnyReceived,
    RequestReceived,
    SliceReceived,
)

__all__ = ["Exchange"]


class Exchange:
    """The conversation of one task with all its neighbours.

    :param flows: its parts in rate limits.
    :param readers: neighbours are read from together with others.
    """

    _log = Logger()

    def __init__(
        self,
        content: Content,
        picker: Picker,
        uploader: Uploader,
        supervisor: Supervisor,
        *,
        clock: IReactorTime,
        disk: DiskPool,
        rng: random.Random,
        flows: Sequence[Flow] = (),
        readers: ReadGroup | None = None,
    ) -> None:
        self.links: set[Link] = set()
        self._content = content
        self._picker = picker
        self._supervisor = supervisor
        self._clock = clock
        self._readers = readers
        self._flow = FlowControl(content.task, disk, flows, self._excuse)
        self._requester = Requester(
            content,
            picker,
            self._flow,
            supervisor,
            clock,
            ask_soon=self.ask_soon,
            ask_now=self._ask,
        )
        self._responder = Responder(content, uploader)
        self._haves = Haves(self.links, clock, lambda: picker.piece_s)
        self._asks = DigestAsks(content.manifest, rng, self._ask_digests)
        self._turn: IDelayedCall | None = None
        self._news: list[int] = []
        self._over = False
        self._table: dict[type, Callable[[Link, Any], None]] = {
            SliceReceived: self._requester.received,
            RejectReceived: self._requester.rejected,
            RequestReceived: self._request,
            RequestAnyReceived: self._responder.requested_any,
            CancelReceived: self._responder.cancelled,
            GetDigestsReceived: self._responder.digests_requested,
            DigestsReceived: self._digests,
            HaveReceived: self._have,
            BitfieldReceived: self._bitfield,
        }

    # -- facts and orders ----------------------------------------------------------------

    def useful(self) -> bool:
        """Whether some neighbour has shown a piece that is wanted and missing here."""
        missing = self._content.wanted & ~self._content.have.mask
        return any(link.seed or link.mask & missing for link in self.links)

    @property
    def limited(self) -> bool:
        """Whether the rate limits keep some neighbour from being read now."""
        return self._flow.limited

    def look_for(self, pieces: int) -> None:
        """Ask for these from now on, and for no others; what was asked for by name may come."""
        self._requester.look_for(pieces)

    def ask_soon(self) -> None:
        """Ask for pieces at the end of this reactor turn."""
        if self._turn is None and not self._over:
            self._turn = self._clock.callLater(0, self._ask)

    def tick(self) -> None:
        """Time has passed: ask for digests that nobody has sent."""
        self._asks.shown(self.links, self._clock.seconds())

    def stop(self) -> None:
        """Ask nobody any more; the links are the owner's to close."""
        self._over = True
        self._end_turn()
        for part in (self._responder, self._haves, self._requester, self._flow):
            part.stop()

    # -- LinkListener ---------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """Introduce ourselves."""
        self.links.add(link)
        if self._readers is not None:
            link.peer.join(self._readers)  # while it is not paused
        self._flow.add(link)
        self._picker.add_peer(link, seed=link.seed)
        have = self._content.have
        if have and link.peer.is_open:  # not if the same read brought its goodbye
            count = self._content.layout.piece_count or have.mask.bit_length()
            link.peer.session.send_bitfield(count, have.to_bytes(count))
            link.peer.flush()
        self._supervisor.neighbours_changed()
        self.ask_soon()

    def link_event(self, link: Link, event: Event) -> None:
        """Do what the table says."""
        handler = self._table.get(type(event))
        if handler is not None:
            handler(link, event)

    def link_closed(self, link: Link, reason: Exception | None) -> None:
        """Free what was asked of it, and drop what it asked."""
        self.links.discard(link)
        self._flow.remove(link)
        self._requester.drop(link)
        self._responder.drop(link)
        self._asks.gone(link)
        self._log.debug("link {link} closed: {reason}", link=link.name, reason=str(reason))
        self._supervisor.neighbours_changed()
        self.ask_soon()

    # -- Observer of the content -------------------------------------------------------------

    def askable(self, pieces: list[int]) -> None:
        """These can be verified when they come."""
        self._picker.learn(pieces)
        self.ask_soon()

    def have(self, pieces: list[int], source: Hashable) -> None:  # noqa: ARG002 - Observer
        """These are here: the next turn takes them off the list, and tells those who may want
        them. Not before: it may be the last slice of a piece that is being handled."""
        if not self._over:
            self._news += pieces
            self.ask_soon()

    def wrong(self, piece: int, source: Hashable) -> None:
        """A neighbour sent wrong bytes: never again."""
        if isinstance(source, Link):
            self._requester.wrong(source, piece)

    def again(self, piece: int, source: Hashable) -> None:
        """Ask once more, anybody."""
        if isinstance(source, Link):
            self._requester.again(source, piece)

    # -- one turn -----------------------------------------------------------------------------

    def _ask(self) -> None:
        """Our own questions and HAVEs go ahead of the slices that others asked for, not behind
        them (2 to 10 % of a download's time, simulated)."""
        self._end_turn()
        if self._over:
            return
        now = self._clock.seconds()
        self._take_news(now)
        touched = self._requester.ask(now)
        self._responder.serve()
        for link in touched:
            link.told_at = now
            link.peer.flush()
            self._flow.begin(link)
        self._haves.tell_the_quiet(now)
        if not self._over:
            self._requester.watch_deadline(now)

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        call_off(turn)  # a deadline was first

    def _take_news(self, now: float) -> None:
        """Take what is here off the list, and queue it for all who may want it."""
        news, self._news = self._news, []
        if news:
            self._requester.got(news, now)
            if not self._over:
                self._haves.offer(news)

    def _request(self, link: Link, event: RequestReceived) -> None:
        """To be answered at the end of this turn."""
        self._responder.requested(link, event)
        if self._over:
            self._responder.serve()
        else:
            self.ask_soon()

    def _excuse(self, link: Link) -> None:
        """The limits let ``link`` go on; its silence until now was ours."""
        self._picker.excuse(link, self._clock.seconds())

    # -- what neighbours show -------------------------------------------------------------------

    def _have(self, link: Link, event: HaveReceived) -> None:
        self._shown(link, mask_of(event.pieces))

    def _bitfield(self, link: Link, event: BitfieldReceived) -> None:
        try:
            shown = Bitfield.from_bytes(event.bits, event.count)
        except ValueError as error:
            link.peer.close(ErrorCode.BAD_MESSAGE, str(error))
            return
        self._shown(link, shown.mask)

    def _shown(self, link: Link, mask: int) -> None:
        most = self._content.layout.piece_count or MAX_PIECES
        if mask >> most:
            link.peer.close(ErrorCode.BAD_MESSAGE, f"there are only {most} pieces")
            return
        new = mask & ~link.mask
        if not new:
            return
        self._supervisor.shown(link, new, self._clock.seconds())
        link.mask |= new
        self._picker.peer_has(link, new)
        if new & ~self._content.manifest.known.mask:
            self._asks.shown(self.links, self._clock.seconds())
        if new & self._content.wanted & ~self._content.have.mask:
            self.ask_soon()

    # -- digests --------------------------------------------------------------------------------

    def _ask_digests(self, link: Link, first: int) -> None:
        if link.peer.is_open:
            link.peer.session.send_get_digests(first)
            link.peer.flush()

    def _digests(self, link: Link, event: DigestsReceived) -> None:
        try:
            self._content.add_run(event.run)
        except BadRun as error:
            self._supervisor.complain(link, 0, f"bad run: {error}")
            return
        now = self._clock.seconds()
        self._asks.answered(link, now)
        self._asks.shown(self.links, now)
