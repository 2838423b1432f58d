"""What is said on the links of one task: who is asked for what, and who is answered how.

The picker decides, sessions speak, the content stores, the uploader serves; this is where
they meet. One round of asking follows each reactor turn in which something changed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from dragonfly.errors import BadRun, ErrorCode
from dragonfly.net.disk import DiskPool
from dragonfly.net.pacer import Pacer
from dragonfly.net.readgroup import ReadGroup
from dragonfly.net.throttle import Flow
from dragonfly.peer.content import Content
from dragonfly.peer.links import Link
from dragonfly.peer.protocol import PAUSE_LIMIT_S
from dragonfly.peer.runs import DigestAsks
from dragonfly.peer.uploader import Uploader
from dragonfly.peer.watcher import Supervisor
from dragonfly.sched.picker import Picker
from dragonfly.task.bitfield import Bitfield, mask_of
from dragonfly.task.layout import MAX_PIECES
from dragonfly.wire.constants import ANY_PIECE, MAX_REQUESTS, RUNS_PER_ANSWER
from dragonfly.wire.messages import (
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

__all__ = ["HAVE_MOST_S", "Exchange"]

HAVE_PIECES = 10
"""HAVEs ride on requests and slices; a timer serves pairs that say nothing else, once in the time
in which so many pieces come: 0.1 s where a link of 50 Mb/s brings 64 KiB each, and news that are
older cost 3 % of a download's time (simulated)."""

HAVE_LEAST_S = 0.1
"""However fast pieces come: each message costs both sides as much as a piece."""

HAVE_MOST_S = 0.6
"""A neighbour that was told and asked nothing for the time is told at once: when a swarm begins
nothing is said that HAVEs could ride on, and the timer would cost its time at every hop."""


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
        self._uploader = uploader
        self._supervisor = supervisor
        self._clock = clock
        self._disk = disk
        self._flows = flows
        self._readers = readers
        self._pacers: dict[Link, Pacer] = {}
        self._asks = DigestAsks(content.manifest, rng, self._ask_digests)
        self._turn: IDelayedCall | None = None
        self._have_timer: IDelayedCall | None = None
        self._expiry: IDelayedCall | None = None
        self._news: list[int] = []
        self._wanted: list[tuple[Link, RequestReceived]] = []
        self._draining = False
        self._over = False
        self._table: dict[type, Callable[[Link, Any], None]] = {
            SliceReceived: self._slice,
            RequestReceived: self._request,
            RequestAnyReceived: self._request_any,
            HaveReceived: self._haves,
            BitfieldReceived: self._bitfield,
            RejectReceived: self._rejected,
            CancelReceived: self._cancelled,
            DigestsReceived: self._digests,
            GetDigestsReceived: self._digests_wanted,
        }

    # -- facts and orders ----------------------------------------------------------------

    def useful(self) -> bool:
        """Whether some neighbour has shown a piece that is wanted and missing here."""
        missing = self._content.wanted & ~self._content.have.mask
        return any(link.seed or link.mask & missing for link in self.links)

    @property
    def limited(self) -> bool:
        """Whether the rate limits keep some neighbour from being read now."""
        return any(pacer.waiting for pacer in self._pacers.values())

    def look_for(self, pieces: int) -> None:
        """Ask for these from now on, and for no others; what was asked for by name may come."""
        for late in self._picker.look_for(pieces):
            link: Link = late.peer
            if link.peer.is_open:
                link.peer.session.cancel(ANY_PIECE, 0)
                link.peer.flush()
        self.ask_soon()

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
        self._wanted.clear()
        for timer in (self._turn, self._have_timer, self._expiry):
            if timer is not None and timer.active():
                timer.cancel()
        self._turn = self._have_timer = self._expiry = None
        for pacer in self._pacers.values():
            pacer.rest()

    # -- LinkListener ---------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """Introduce ourselves."""
        self.links.add(link)
        self._pacers[link] = Pacer(
            self._flows,
            pause=partial(link.peer.pause_for, "rate", PAUSE_LIMIT_S),
            resume=partial(self._listen_on, link),
            read_at_most=link.peer.read_at_most,
        )
        if self._readers is not None:
            link.peer.join(self._readers)
        self._picker.add_peer(link, seed=link.seed)
        have = self._content.have
        if have and link.peer.is_open:  # not if the same read brought its goodbye
            count = self._content.layout.piece_count or have.mask.bit_length()
            link.peer.session.send_bitfield(count, have.to_bytes(count))
            link.peer.flush()
        if self._draining:
            link.peer.pause("disk")
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
        self._wanted = [each for each in self._wanted if each[0] is not link]
        self._pacers.pop(link).rest()
        self._picker.remove_peer(link)
        self._content.intake.forget(link)
        self._uploader.drop(link.peer)
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
            self._picker.failed(piece, source)
            self._supervisor.complain(source, piece, "wrong bytes")
            self.ask_soon()

    def again(self, piece: int, source: Hashable) -> None:
        """Ask once more, anybody."""
        if isinstance(source, Link):
            self._picker.rejected(source, piece, ErrorCode.GONE, self._clock.seconds())
            self.ask_soon()

    # -- asking -----------------------------------------------------------------------------

    def _ask(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and turn.active():
            turn.cancel()  # a deadline was first
        if self._over:
            return
        now = self._clock.seconds()
        self._take_news(now)
        touched = set()
        for ask in self._picker.next_asks(now):
            link: Link = ask.peer
            if not link.peer.is_open:
                continue
            if link.peer.session.questions_asked >= MAX_REQUESTS:
                self._picker.rejected(link, ask.piece, ErrorCode.BUSY, now)
                continue
            if ask.piece is None:
                link.peer.session.request_any(self._picker.in_flight[:32])
            else:
                link.asked.add(ask.piece)
                length = self._content.length_of(ask.piece)
                link.peer.session.request(ask.piece, 0, length)
            touched.add(link)
        self._serve()
        for link in touched:
            link.told_at = now
            link.peer.flush()
            self._pacers[link].begin()
        self._tell_the_quiet(now)
        self._watch_deadline(now)

    def _take_news(self, now: float) -> None:
        """Take what is here off the list, and queue it for all who may want it."""
        news, self._news = self._news, []
        for piece in news:
            for cancel in self._picker.got(piece, now):
                self._cancel(cancel.peer, cancel.piece)
        if not news:
            return
        for link in self.links:
            self._offer(link, news)
        if self._have_timer is None and self.links and not self._over:
            self._have_timer = self._clock.callLater(self._have_every_s, self._flush_haves)

    def _tell_the_quiet(self, now: float) -> None:
        quiet_since = now - self._have_every_s
        for link in list(self.links):
            if link.told_at <= quiet_since:
                self._tell(link)

    @property
    def _have_every_s(self) -> float:
        piece_s = self._picker.piece_s or 0.0
        return min(HAVE_MOST_S, max(HAVE_LEAST_S, HAVE_PIECES * piece_s))

    def _watch_deadline(self, now: float) -> None:
        """One timer, no later than the picker's next deadline; it arms itself again."""
        deadline = self._picker.next_deadline()
        if deadline is None or self._over:
            return
        wait = max(0.0, deadline - now)
        if self._expiry is None:
            self._expiry = self._clock.callLater(wait, self._expire)
        elif self._expiry.getTime() > now + wait + 0.05:
            self._expiry.reset(wait)

    def _expire(self) -> None:
        self._expiry = None
        now = self._clock.seconds()
        for link, pacer in self._pacers.items():
            if pacer.waiting:
                self._picker.excuse(link, now)
        for late in self._picker.expire(now):
            link = late.peer
            if late.piece is not None:
                self._cancel(link, late.piece)
        self._ask()

    def _cancel(self, link: Link, piece: int) -> None:
        if piece in link.asked and link.peer.is_open:
            link.asked.discard(piece)
            link.peer.session.cancel(piece, 0)
            link.peer.flush()
        self._content.intake.forget(link, piece)

    def _ask_digests(self, link: Link, first: int) -> None:
        if link.peer.is_open:
            link.peer.session.send_get_digests(first)
            link.peer.flush()

    # -- what comes ---------------------------------------------------------------------------

    def _slice(self, link: Link, event: SliceReceived) -> None:
        self._pace(link, len(event.data))
        if not event.wanted:
            return
        piece, length, now = event.piece, len(event.data), self._clock.seconds()
        if event.any and (event.begin == 0 or piece not in link.asked):  # the seed chose it
            link.asked.add(piece)
            self._picker.any_started(link, piece)
            self.ask_soon()
        link.received_bytes += length
        self._picker.progress(link, piece, length, now)
        self._supervisor.fed(length, now)
        if self._content.intake.closed:
            return
        if self._misfits(event):
            link.asked.discard(piece)
            self._content.intake.forget(link, piece)
            self.wrong(piece, link)
            return
        try:
            whole = self._content.intake.add(link, piece, event.begin, event.data)
        except ValueError:  # what came before was forgotten here
            whole = False
        if whole or event.last:
            self._arrived(link, piece, now, whole=whole)
        self._hold_back()

    def _misfits(self, event: SliceReceived) -> bool:
        """Whether the answer has another length than the supernode signed, which only one to
        REQUEST_ANY can have: as good as wrong bytes. Without a signature nobody can tell."""
        content, end = self._content, event.begin + len(event.data)
        if content.layout.length is None and content.manifest.digest(event.piece) is None:
            return False
        length = content.length_of(event.piece)
        return end > length or (event.last and end < length)

    def _arrived(self, link: Link, piece: int, now: float, *, whole: bool) -> None:
        """The answer is at its end; if ``whole`` the disk pool will tell what it is worth."""
        link.asked.discard(piece)
        self._picker.arrived(link, piece, now)
        if not whole:
            self._content.intake.forget(link, piece)
            self._picker.rejected(link, piece, ErrorCode.GONE, now)
        self.ask_soon()

    def _pace(self, link: Link, length: int) -> None:
        """Count bytes that came, wanted or not, and pause ``link`` if the limits say so."""
        pacer = self._pacers[link]
        pacer.took(length)
        if not link.peer.session.questions_asked:
            pacer.rest()  # the others have more use for what it paid

    def _listen_on(self, link: Link) -> None:
        """The limits let ``link`` go on; its silence until now was ours."""
        self._picker.excuse(link, self._clock.seconds())
        link.peer.resume("rate")

    def _hold_back(self) -> None:
        """Pause all when the disk is behind."""
        if not self._draining and self._disk.full(self._content.task):
            self._draining = True
            for each in self.links:
                each.peer.pause("disk")
            self._disk.drained(self._content.task).addBoth(self._drained)

    def _drained(self, _: object) -> None:
        self._draining = False
        for link in list(self.links):
            link.peer.resume("disk")

    def _request(self, link: Link, event: RequestReceived) -> None:
        """To be answered when this turn's own questions are asked: they and the HAVEs go ahead
        of the slice, not behind it (2 to 10 % of a download's time, simulated)."""
        self._wanted.append((link, event))
        if self._over:
            self._serve()
        else:
            self.ask_soon()

    def _serve(self) -> None:
        """Answer what neighbours have asked for."""
        if self._uploader.slots.free < max(1, len(self._wanted)):
            self._uploader.collect()
        wanted, self._wanted = self._wanted, []
        content = self._content
        for link, asked in wanted:
            if not link.peer.is_open:
                continue
            fits = asked.begin + asked.length <= content.length_of(asked.piece)
            if asked.piece in content.have and fits:
                piece, begin, length = asked.piece, asked.begin, asked.length
                self._uploader.serve(link.peer, content.file, piece, begin, length)
            else:
                link.peer.session.reject(asked.piece, asked.begin, ErrorCode.GONE)
                link.peer.flush()

    def _request_any(self, link: Link, _: RequestAnyReceived) -> None:
        """Only a seed chooses for others."""
        if link.peer.is_open:  # not if the same read brought its goodbye
            link.peer.session.reject(ANY_PIECE, 0, ErrorCode.NOT_ALLOWED)
            link.peer.flush()

    def _cancelled(self, link: Link, event: CancelReceived) -> None:
        name = (link, event.piece, event.begin)
        self._wanted = [w for w in self._wanted if (w[0], w[1].piece, w[1].begin) != name]
        self._uploader.cancel(link.peer, event.piece, event.begin)

    def _rejected(self, link: Link, event: RejectReceived) -> None:
        piece = None if event.piece == ANY_PIECE else event.piece
        if piece is not None:
            link.asked.discard(piece)
            if event.code != ErrorCode.BUSY:  # that may mean: it is coming as the answer to ANY
                self._content.intake.forget(link, piece)
        self._picker.rejected(link, piece, event.code, self._clock.seconds())
        self.ask_soon()

    def _haves(self, link: Link, event: HaveReceived) -> None:
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

    def _digests(self, link: Link, event: DigestsReceived) -> None:
        try:
            self._content.add_run(event.run)
        except BadRun as error:
            self._supervisor.complain(link, 0, f"bad run: {error}")
            return
        now = self._clock.seconds()
        self._asks.answered(link, now)
        self._asks.shown(self.links, now)

    def _digests_wanted(self, link: Link, event: GetDigestsReceived) -> None:
        if not link.peer.writable or not link.peer.is_open:
            return  # it does not read what it has; it will ask again
        for raw in self._content.manifest.runs_from(event.first, RUNS_PER_ANSWER):
            link.peer.session.send_digests(raw)
        link.peer.flush()

    # -- haves ----------------------------------------------------------------------------------

    def _offer(self, link: Link, pieces: list[int]) -> None:
        """Queue HAVEs: not for pieces that the neighbour has; the seed counts copies."""
        wanted = pieces if link.seed else [p for p in pieces if not link.mask >> p & 1]
        if wanted:
            link.peer.session.queue_have(wanted)

    def _flush_haves(self) -> None:
        self._have_timer = None
        for link in list(self.links):
            self._tell(link)

    def _tell(self, link: Link) -> None:
        """Send the HAVEs that wait, if there are any."""
        if link.peer.session.pending_haves and link.peer.is_open:
            link.told_at = self._clock.seconds()
            link.peer.session.flush_have()
            link.peer.flush()
