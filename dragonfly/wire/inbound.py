"""What a message of the open state means: events for the owner, answers that need no owner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dragonfly.errors import ErrorCode
from dragonfly.wire.events import (
    BitfieldReceived,
    CancelReceived,
    DigestsReceived,
    Event,
    GetDigestsReceived,
    HaveReceived,
    PongReceived,
    RejectReceived,
    RequestAnyReceived,
    RequestReceived,
    SliceReceived,
)
from dragonfly.wire.liveness import FloodGate, Pulse
from dragonfly.wire.messages import (
    KINDS,
    BitfieldFrame,
    Cancel,
    Data,
    Digests,
    GetDigests,
    Have,
    Message,
    Ping,
    Pong,
    Reject,
    Request,
    RequestAny,
)
from dragonfly.wire.requests import Asked, Owed, Question

__all__ = ["Inbound"]


class Inbound:
    """Turns the messages of an open session into events.

    :param asked: what we asked; answers and rejections end there.
    :param owed: what we were asked; questions begin there.
    :param say: queues an answer.
    """

    def __init__(
        self, asked: Asked, owed: Owed, pulse: Pulse, say: Callable[[Message], None]
    ) -> None:
        self._asked = asked
        self._owed = owed
        self._pulse = pulse
        self._say = say
        self._flood = FloodGate()
        self._slice: tuple[Question, Data]
        self._at = 0
        self._meanings: dict[type[Message], Callable[[Any], Sequence[Event]]] = {
            Digests: lambda message: (DigestsReceived(message.run),),
            GetDigests: lambda message: (GetDigestsReceived(message.first),),
            BitfieldFrame: lambda message: (BitfieldReceived(message.count, message.bits),),
            Have: lambda message: (HaveReceived(message.pieces),),
            Request: self._request,
            RequestAny: self._request_any,
            Data: self._data,
            Reject: self._reject,
            Cancel: self._cancel,
            Ping: self._ping,
        }

    def take(self, message: Message, now: float) -> Sequence[Event]:
        """Act on one message and give what it means.

        :raises RemoteProtocolError: it is not allowed now.
        """
        self._flood.check(KINDS[type(message)], now)
        if isinstance(message, Pong):
            return (PongReceived(self._pulse.pong(message.token, now)),)
        return self._meanings[type(message)](message)

    def take_slice(self, data: memoryview) -> SliceReceived:
        """Give the next bytes of the slice whose head was the last message."""
        question, head = self._slice
        begin, self._at = self._at, self._at + len(data)
        last = head.last and self._at == head.begin + head.length
        if last:
            self._asked.end(question)
        return SliceReceived(head.piece, begin, data, not question.cancelled, head.any, last)

    # -- one method for each message that is more than news ---------------------------

    def _request(self, message: Request) -> list[Event]:
        events = _riding(message.haves)
        if self._owed.request(message):
            events.append(RequestReceived(message.piece, message.begin, message.length))
        else:
            self._say(Reject(message.piece, message.begin, ErrorCode.BUSY))
        return events

    def _request_any(self, message: RequestAny) -> list[Event]:
        self._owed.request_any()
        return [*_riding(message.haves), RequestAnyReceived(message.in_flight)]

    def _data(self, message: Data) -> list[Event]:
        self._slice = self._asked.answered(message), message
        self._at = message.begin
        return _riding(message.haves)

    def _reject(self, message: Reject) -> list[Event]:
        question = self._asked.rejected(message.piece, message.begin)
        if question.cancelled:
            return []
        return [RejectReceived(question.piece, question.begin, message.code)]

    def _cancel(self, message: Cancel) -> list[Event]:
        question = self._owed.cancelled(message.piece, message.begin)
        if question is None:
            return []
        self._say(Reject(message.piece, message.begin, ErrorCode.NO_ERROR))
        return [CancelReceived(question.piece, question.begin)]

    def _ping(self, message: Ping) -> list[Event]:
        self._say(Pong(message.token))
        return []


def _riding(pieces: tuple[int, ...]) -> list[Event]:
    return [HaveReceived(pieces)] if pieces else []
