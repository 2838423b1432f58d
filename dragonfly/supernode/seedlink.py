"""One neighbour of the seed: what it is told, and what it says."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dragonfly.errors import ErrorCode
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.sched.seeding import Seeding
from dragonfly.supernode.content import Content
from dragonfly.supernode.seeddesk import Answer, Desk
from dragonfly.supernode.seeduptake import STALL_BUSY_S, STALL_S, Uptake
from dragonfly.task.bitfield import Bitfield, mask_of
from dragonfly.task.layout import MAX_PIECES
from dragonfly.wire.constants import RUNS_PER_ANSWER, SLICE_BYTES
from dragonfly.wire.events import (
    BitfieldReceived,
    CancelReceived,
    Event,
    GetDigestsReceived,
    HaveReceived,
    RequestAnyReceived,
    RequestReceived,
)

__all__ = ["OPENING_BYTES", "SHOWN_AT_ONCE", "SeedLink", "Swarm", "run_mask"]

OPENING_BYTES = SLICE_BYTES
"""Runs that are sent at once to a new neighbour: all of 8192 pieces, a slice of bytes."""

SHOWN_AT_ONCE = 16 * 1024
"""Pieces shown in one go to a neighbour that was late: 64 KiB of HAVEs."""

_SPAN = struct.Struct(">IH")
_SPAN_AT = 68


def run_mask(raw: bytes) -> int:
    """The pieces of a run of our own, from its first piece and count (``doc/protocol.rst``)."""
    first, count = _SPAN.unpack_from(raw, _SPAN_AT)
    return int(((1 << count) - 1) << first)


class Swarm(Protocol):
    """What a link belongs to."""

    content: Content
    seeding: Seeding
    desk: Desk

    def end(self, link: SeedLink, code: ErrorCode, text: str) -> None:
        """Say BYE, and have nothing to do with ``link`` any more."""

    def leave(self, link: SeedLink) -> None:
        """``link`` is gone; no error if it went before."""


class SeedLink:
    """One open connection and the conversation on it.

    :param until: when the neighbour's grant ends.
    :ivar named: questions for a certain piece that wait.
    :ivar answers: questions in slots, by piece and begin.
    """

    def __init__(
        self, peer: PeerProtocol, key: bytes, until: float, swarm: Swarm, now: float
    ) -> None:
        self.peer = peer
        self.key = key
        self.until = until
        self.swarm = swarm
        self.content = swarm.content
        self.receiver = swarm.seeding.add(self)
        self.uptake = Uptake(peer, now)
        self.named: deque[RequestReceived] = deque()
        self.answers: dict[tuple[int, int], Answer] = {}
        self._seeding = swarm.seeding
        self._desk = swarm.desk
        self._shown = 0
        self._late = False
        self._table: dict[type, Callable[[Any], None]] = {
            HaveReceived: self._haves,
            BitfieldReceived: self._bitfield,
            RequestReceived: self._request,
            RequestAnyReceived: self._request_any,
            CancelReceived: self._cancel,
            GetDigestsReceived: self._digests_wanted,
        }

    @property
    def sated(self) -> bool:
        """Whether the neighbour shows all pieces that there will ever be."""
        count = self.content.layout.piece_count
        return count is not None and self.receiver.shown == (1 << count) - 1

    # -- what the neighbour is told --------------------------------------------------------

    def introduce(self) -> None:
        """Tell what is known and held; digests before pieces."""
        left = OPENING_BYTES
        for raw in self.content.manifest.runs_from(0):
            left -= len(raw)
            if left < 0:
                break
            self._teach(raw)
        held = self._shown = self.content.held
        if held:
            count = self.content.layout.piece_count or held
            self.peer.session.send_bitfield(count, Bitfield.full(held).to_bytes(count))
        self.peer.flush()

    def grew(self, runs: Sequence[bytes]) -> None:
        """Tell of new runs and then of their pieces, unless too much waits to be read."""
        if not self.peer.is_open:
            return
        held = self.content.held
        size = sum(map(len, runs)) + 4 * (held - self._shown)
        if self._late or not self.uptake.has_room(size):
            self._late = True
            return
        for raw in runs:
            self._teach(raw)
        self._show(held)
        self.peer.flush()

    def catch_up(self) -> None:
        """Tell what could not be told when it was new, an answer's worth at a time."""
        if not self._late or not self.peer.is_open or not self.uptake.has_room(0):
            return
        for raw in self.content.manifest.runs_from(self._shown, RUNS_PER_ANSWER):
            self._teach(raw)
        held, unknown = self.content.held, ~self.receiver.known >> self._shown
        known = self._shown + (unknown & -unknown).bit_length() - 1
        self._show(min(held, known, self._shown + SHOWN_AT_ONCE))
        self._late = self._shown < held
        self.peer.flush()
        self._desk.useful(self)

    def reject(self, piece: int, begin: int, code: ErrorCode) -> None:
        """End a question without bytes."""
        self.peer.session.reject(piece, begin, code)
        self.peer.flush()

    def question(self, chosen: int | None) -> tuple[int, int, int] | None:
        """The question that is to be answered now, as (piece, begin, length).

        :param chosen: for its oldest question for any piece; ``None``: the oldest by name.
        :return: ``None`` if the connection cannot take it any more.
        """
        if not self.peer.is_open:
            return None
        if chosen is None:
            request = self.named.popleft()
            return request.piece, request.begin, request.length
        length = self.content.layout.piece_length(chosen)
        return (chosen, 0, length) if self.peer.session.answer_any(chosen, length) else None

    # -- what the neighbour says -----------------------------------------------------------

    def event(self, event: Event) -> None:
        """Do what the table says; anything else is nothing to a seed."""
        act = self._table.get(type(event))
        if act is not None:
            act(event)
        if self._late:
            self.catch_up()

    def _haves(self, event: HaveReceived) -> None:
        mask = mask_of(event.pieces)
        if self._exist(mask) and self._seeding.shows(self.receiver, mask):
            self._desk.serve_soon()  # others may be out of debt by that

    def _bitfield(self, event: BitfieldReceived) -> None:
        mask = Bitfield.from_bytes(event.bits, event.count).mask
        if self._exist(mask) and self._seeding.shows_only(self.receiver, mask):
            self._desk.useful(self)

    def _request(self, event: RequestReceived) -> None:
        if self._deaf():
            return
        length = self.content.layout.piece_length(event.piece)
        if event.piece < self.content.held and event.begin + event.length <= length:
            self._desk.ask_named(self, event)
        else:
            self.reject(event.piece, event.begin, ErrorCode.GONE)

    def _request_any(self, event: RequestAnyReceived) -> None:
        if self._deaf():
            return
        self._teach_more()
        self._desk.ask_any(self, event.in_flight)

    def _cancel(self, event: CancelReceived) -> None:
        if not self._deaf():
            self._desk.cancel(self, event.piece, event.begin)

    def _digests_wanted(self, event: GetDigestsReceived) -> None:
        first = min(event.first, MAX_PIECES)
        self.receiver.known |= ((1 << first) - 1) & self.content.manifest.known.mask
        if not self._deaf() and self.peer.writable:
            self._answer_digests(first)
            self._desk.useful(self)

    def _teach_more(self) -> None:
        """Have something that can be given: a piece is of no use without its digest."""
        unknown = ~self.receiver.known
        first = (unknown & -unknown).bit_length() - 1
        if first < self.content.held and self.uptake.has_room(0):
            self._answer_digests(first)

    def _answer_digests(self, first: int) -> None:
        for raw in self.content.manifest.runs_from(first, RUNS_PER_ANSWER):
            self.uptake.has_room(len(raw))
            self._teach(raw)
        self.peer.flush()

    def _exist(self, mask: int) -> bool:
        most = self.content.layout.piece_count
        if mask >> (MAX_PIECES if most is None else most):
            self.swarm.end(self, ErrorCode.BAD_MESSAGE, f"there are only {most} pieces")
            return False
        return True

    # -- back-pressure -----------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Once a second: does it take what it is sent, and is there something to make up for?"""
        stalled = self.uptake.stalled(now, answering=bool(self.answers))
        if stalled > (STALL_BUSY_S if self._desk.contended else STALL_S):
            self.swarm.end(self, ErrorCode.TIMED_OUT, f"no byte was taken for {stalled:.0f} s")
            return
        if self._seeding.lapse(self.receiver, now):
            self._desk.useful(self)
        self.catch_up()

    def _deaf(self) -> bool:
        """Count a question, and drop who asks and asks and does not read the answers."""
        deaf = self.uptake.deaf()
        if deaf:
            self.swarm.end(self, ErrorCode.UNEXPECTED_MESSAGE, "answers are not read")
        return deaf

    def _teach(self, raw: bytes) -> None:
        self.peer.session.send_digests(raw)
        self.receiver.known |= run_mask(raw)

    def _show(self, held: int) -> None:
        if held > self._shown:
            self.peer.session.queue_have(range(self._shown, held))
            self.peer.session.flush_have()
            self._shown = held
