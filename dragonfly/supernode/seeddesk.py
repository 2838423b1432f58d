"""Where questions to the seed wait, and slots are handed out: one for all of its tasks."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.errors import ErrorCode
from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.calloff import call_off
from dragonfly.net.disk import DiskPool
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.seeding import Receiver
from dragonfly.sched.seedturns import Turn, Turns
from dragonfly.sched.slots import UploadSlots
from dragonfly.store.piecestore import TaskFile
from dragonfly.supernode.content import Content
from dragonfly.supernode.seeduptake import Uptake
from dragonfly.task.bitfield import mask_of
from dragonfly.wire.constants import ANY_PIECE
from dragonfly.wire.events import RequestReceived

__all__ = ["Answer", "Asker", "Desk"]


@attrs.define(eq=False)
class Answer:
    """One question in a slot.

    :ivar whole: all of the piece is sent, so it counts as a copy.
    :ivar void: it is not for the disk's fault that it ends early, if it does.
    """

    turn: Turn
    since: float
    whole: bool
    void: bool = False


class Asker(Protocol):
    """The part of a link that is needed here; the desk keeps its books in it."""

    peer: PeerProtocol
    receiver: Receiver
    content: Content
    uptake: Uptake
    named: deque[RequestReceived]
    answers: dict[tuple[int, int], Answer]

    def question(self, chosen: int | None) -> tuple[int, int, int] | None:
        """The question to be answered now, as (piece, begin, length); ``None``: it is gone.

        :param chosen: the piece for its oldest question for any; ``None``: its oldest by name.
        """

    def reject(self, piece: int, begin: int, code: ErrorCode) -> None:
        """End a question without bytes."""


class Desk:
    """Serves the links' questions within the slots.

    Pieces are chosen at the end of the reactor turn in which something changed, when the
    events of every read have been told: only then do our books and the session's agree.
    """

    def __init__(
        self, slots: int, clock: IReactorTime, disk: DiskPool, metrics: SupernodeMetrics
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._slots = UploadSlots(slots)
        self._uploader = Uploader(
            self._slots, clock, disk, on_served=self._sent, on_end=self._answer_ended
        )
        self._uploader.expect(True)  # how soon an answer arrives tells how fast its asker is
        self._turns = Turns()
        self._links: dict[PeerProtocol, Asker] = {}
        self._soon: IDelayedCall | None = None
        self._wake: IDelayedCall | None = None

    @property
    def contended(self) -> bool:
        """Whether somebody waits while all slots are taken."""
        return bool(self._turns) and not self._slots.free

    # -- links -------------------------------------------------------------------------

    def open(self, link: Asker) -> None:
        """A link that may ask."""
        self._links[link.peer] = link

    def close(self, link: Asker) -> None:
        """All that ``link`` asked is void."""
        if self._links.pop(link.peer, None) is None:
            return
        self._turns.leave(link.receiver)
        now = self._clock.seconds()
        for answer in link.answers.values():
            self._turns.ended(answer.turn, now - answer.since, now)
        link.answers.clear()
        link.named.clear()
        self._uploader.drop(link.peer)
        self.serve_soon()

    def stop(self) -> None:
        """Send nothing any more."""
        for link in list(self._links.values()):
            self.close(link)
        self._uploader.stop()
        for timer in (self._soon, self._wake):
            call_off(timer)
        self._soon = self._wake = None

    # -- questions ------------------------------------------------------------------------

    def ask_any(self, link: Asker, in_flight: tuple[int, ...]) -> None:
        """``link`` wants a piece of our choice; the question stands until there is one."""
        self._turns.ask_any(link.receiver, mask_of(in_flight))
        self.serve_soon()

    def ask_named(self, link: Asker, request: RequestReceived) -> None:
        """``link`` wants this; ``BUSY`` if it waits for one already and no slot is free."""
        key = (request.piece, request.begin)
        if key in link.answers or len(link.named) > self._slots.free:
            # What free slots will take before this reactor turn ends does not count as waiting.
            link.reject(*key, ErrorCode.BUSY)
            return
        link.named.append(request)
        self._mark_busy(link)
        self._turns.ask_named(link.receiver)
        self.serve_soon()

    def cancel(self, link: Asker, piece: int, begin: int) -> None:
        """``link`` took a question back; the session has answered that."""
        if piece == ANY_PIECE:
            self._turns.drop_any(link.receiver)
            return
        answer = link.answers.get((piece, begin))
        if answer is not None:
            answer.void = True
            self._uploader.cancel(link.peer, piece, begin)
            return
        for request in link.named:
            if (request.piece, request.begin) == (piece, begin):
                link.named.remove(request)
                self._turns.drop_named(link.receiver)
                self._mark_busy(link)
                return

    def useful(self, link: Asker) -> None:
        """Something changed for ``link``: there may be a piece for it now."""
        self._turns.enter(link.receiver)
        self.serve_soon()

    def serve_soon(self) -> None:
        """Hand out free slots at the end of this reactor turn."""
        if self._soon is None and self._turns:
            self._soon = self._clock.callLater(0, self._serve)

    # -- slots ------------------------------------------------------------------------------

    def _serve(self) -> None:
        if not self._slots.free:
            self._uploader.collect()
        self._soon = None
        now = self._clock.seconds()
        while self._slots.free:
            turn = self._turns.next(now)
            if turn is None:
                break
            self._begin(turn, now)
        self._sleep(now)

    def _begin(self, turn: Turn, now: float) -> None:
        link: Asker = turn.receiver.owner
        question = link.question(turn.piece)
        if question is None:
            self._turns.ended(turn, 0.0, now)
            return
        piece, begin, length = question
        whole = length == link.content.layout.piece_length(piece)
        answer = link.answers[piece, begin] = Answer(turn, now, whole)
        self._mark_busy(link)
        if whole:
            link.receiver.seeding.give(link.receiver, piece)
        file = link.content.file
        if file is None or not self._uploader.serve(link.peer, file, piece, begin, length):
            answer.void = True
            self._answer_ended(link.peer, piece, begin, False)

    def _sleep(self, now: float) -> None:
        """Be back when somebody has rested."""
        wake, self._wake = self._wake, None
        call_off(wake)
        if self._turns.wake is not None and self._slots.free:
            self._wake = self._clock.callLater(max(0.0, self._turns.wake - now), self.serve_soon)

    # -- Uploader ------------------------------------------------------------------------------

    def _sent(self, peer: PeerProtocol, _: TaskFile, length: int) -> None:
        self._metrics.pieces_uploaded.inc(length)
        link = self._links.get(peer)
        if link is not None:
            link.uptake.sent_bytes += length

    def _answer_ended(self, peer: PeerProtocol, piece: int, begin: int, sent: bool) -> None:
        link = self._links.get(peer)
        answer = link.answers.pop((piece, begin), None) if link is not None else None
        if link is None or answer is None:
            return
        now = self._clock.seconds()
        self._turns.ended(answer.turn, now - answer.since, now)
        seeding = link.receiver.seeding
        if sent:
            seeding.given(link.receiver, piece, now)
        else:
            if answer.whole:
                seeding.take_back(link.receiver, piece)
            if not answer.void:
                seeding.broke(piece)
        self._mark_busy(link)
        self.useful(link)

    def _mark_busy(self, link: Asker) -> None:
        """What must not be chosen for ``link``, since it is asked for by name or being sent."""
        named = {request.piece for request in link.named}
        named.update(piece for piece, _ in link.answers)
        link.receiver.busy = mask_of(named)
