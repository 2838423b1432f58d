"""Asks the neighbours of one task for pieces, and takes what they answer.

The picker decides whom to ask for what; here it is said, watched, taken back, and what comes is
handed to the content.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.errors import ErrorCode
from dragonfly.net.calloff import call_off
from dragonfly.peer.connections.links import Link
from dragonfly.peer.content.content import Content
from dragonfly.peer.content.watcher import Supervisor
from dragonfly.peer.exchange.flowcontrol import FlowControl
from dragonfly.sched.picker import Picker
from dragonfly.wire.constants import ANY_PIECE, MAX_REQUESTS
from dragonfly.wire.events import RejectReceived, SliceReceived

__all__ = ["Requester"]

_REARM_S = 0.05
"""A deadline that comes nearer by less leaves the timer as it is."""


class Requester:
    """The asking side of one task's conversations.

    :param ask_soon: has :meth:`ask` called at the end of the reactor's turn.
    :param ask_now: has it called at once: an answer is overdue.
    """

    def __init__(
        self,
        content: Content,
        picker: Picker,
        flow: FlowControl,
        supervisor: Supervisor,
        clock: IReactorTime,
        *,
        ask_soon: Callable[[], None],
        ask_now: Callable[[], None],
    ) -> None:
        self._content = content
        self._picker = picker
        self._flow = flow
        self._supervisor = supervisor
        self._clock = clock
        self._ask_soon = ask_soon
        self._ask_now = ask_now
        self._expiry: IDelayedCall | None = None

    # -- asking ------------------------------------------------------------------------------

    def look_for(self, pieces: int) -> None:
        """Ask for these from now on, and for no others; what was asked for by name may come."""
        for late in self._picker.look_for(pieces):
            link: Link = late.peer
            if link.peer.is_open:
                link.peer.session.cancel(ANY_PIECE, 0)
                link.peer.flush()
        self._ask_soon()

    def ask(self, now: float) -> set[Link]:
        """Queue the questions that are due now; who is asked, for the caller to flush."""
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
        return touched

    def got(self, pieces: list[int], now: float) -> None:
        """These are here: nobody need send them any more."""
        for piece in pieces:
            for cancel in self._picker.got(piece, now):
                self._cancel(cancel.peer, cancel.piece)

    def watch_deadline(self, now: float) -> None:
        """One timer, no later than the picker's next deadline; it arms itself again."""
        deadline = self._picker.next_deadline()
        if deadline is None:
            return
        wait = max(0.0, deadline - now)
        if self._expiry is None:
            self._expiry = self._clock.callLater(wait, self._expire)
        elif self._expiry.getTime() > now + wait + _REARM_S:
            self._expiry.reset(wait)

    def drop(self, link: Link) -> None:
        """It is closed: what it was asked for is to be asked of others."""
        self._picker.remove_peer(link)
        self._content.intake.forget(link)

    def stop(self) -> None:
        """Wait for nothing any more."""
        expiry, self._expiry = self._expiry, None
        call_off(expiry)

    def _expire(self) -> None:
        self._expiry = None
        now = self._clock.seconds()
        for link in self._flow.waiting():
            self._picker.excuse(link, now)
        for late in self._picker.expire(now):
            if late.piece is not None:
                self._cancel(late.peer, late.piece)
        self._ask_now()

    def _cancel(self, link: Link, piece: int) -> None:
        if piece in link.asked and link.peer.is_open:
            link.asked.discard(piece)
            link.peer.session.cancel(piece, 0)
            link.peer.flush()
        self._content.intake.forget(link, piece)

    # -- what comes --------------------------------------------------------------------------

    def received(self, link: Link, event: SliceReceived) -> None:
        """Bytes of a piece came."""
        length = len(event.data)
        self._flow.took(link, length)
        if not event.wanted:
            return
        piece, now = event.piece, self._clock.seconds()
        if event.any and (event.begin == 0 or piece not in link.asked):  # the seed chose it
            link.asked.add(piece)
            self._picker.any_started(link, piece)
            self._ask_soon()
        link.received_bytes += length
        self._picker.progress(link, piece, length, now)
        self._supervisor.fed(length, now)
        if not self._content.intake.closed:
            self._take(link, event, now)

    def rejected(self, link: Link, event: RejectReceived) -> None:
        """A question is refused."""
        piece = None if event.piece == ANY_PIECE else event.piece
        if piece is not None:
            link.asked.discard(piece)
            if event.code != ErrorCode.BUSY:  # that may mean: it is coming as the answer to ANY
                self._content.intake.forget(link, piece)
        self._picker.rejected(link, piece, event.code, self._clock.seconds())
        self._ask_soon()

    def wrong(self, link: Link, piece: int) -> None:
        """It sent wrong bytes: never again."""
        self._picker.failed(piece, link)
        self._supervisor.complain(link, piece, "wrong bytes")
        self._ask_soon()

    def again(self, link: Link, piece: int) -> None:
        """What it sent is of no use, through nobody's fault: ask once more, anybody."""
        self._picker.rejected(link, piece, ErrorCode.GONE, self._clock.seconds())
        self._ask_soon()

    def _take(self, link: Link, event: SliceReceived, now: float) -> None:
        piece = event.piece
        if self._misfits(event):
            link.asked.discard(piece)
            self._content.intake.forget(link, piece)
            self.wrong(link, piece)
            return
        try:
            whole = self._content.intake.add(link, piece, event.begin, event.data)
        except ValueError:  # what came before was forgotten here
            whole = False
        if whole or event.last:
            self._arrived(link, piece, now, whole=whole)
        self._flow.hold_back()

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
        self._ask_soon()
