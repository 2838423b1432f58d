"""What a session tells its owner."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from dragonfly.wire.messages import Hello

__all__ = [
    "BitfieldReceived",
    "CancelReceived",
    "Closed",
    "DigestsReceived",
    "Event",
    "GetDigestsReceived",
    "HaveReceived",
    "Opened",
    "PongReceived",
    "RejectReceived",
    "RequestAnyReceived",
    "RequestReceived",
    "SliceReceived",
]


@attrs.frozen
class Opened:
    """Both sides have proved their keys; messages about pieces may be sent."""

    hello: Hello


@attrs.frozen
class DigestsReceived:
    """A run came; nothing in it was checked."""

    run: bytes


@attrs.frozen
class GetDigestsReceived:
    """Answer with ``send_digests`` for the runs from piece ``first`` on."""

    first: int


@attrs.frozen
class BitfieldReceived:
    """What the neighbour has, instead of all it has shown before (size and spare bits checked)."""

    count: int
    bits: bytes


@attrs.frozen
class HaveReceived:
    """What the neighbour has, too."""

    pieces: tuple[int, ...]


@attrs.frozen
class RequestReceived:
    """Answer with ``send_data`` in order, or ``reject``; the piece may not exist."""

    piece: int
    begin: int
    length: int


@attrs.frozen
class RequestAnyReceived:
    """Answer, now or later, with ``answer_any`` and then ``send_data``.

    Or with ``reject(ANY_PIECE, 0, code)``.
    """

    in_flight: tuple[int, ...]


@attrs.frozen
class SliceReceived:
    """Bytes of a piece, as they arrive: ``begin`` is the offset of ``data`` in the piece.

    :param data: a view of the bytes that were fed; keeping it keeps those.
    :param wanted: False when the question was cancelled: drop them.
    :param any: they answer a REQUEST_ANY.
    :param last: the answer ends with them.
    """

    piece: int
    begin: int
    data: memoryview
    wanted: bool = True
    any: bool = False
    last: bool = False


@attrs.frozen
class RejectReceived:
    """A question of ours ended without (more) bytes.

    ``piece`` is ``ANY_PIECE`` for a REQUEST_ANY whose answer had not begun. Never told of
    questions that we cancelled, unless the answers have crossed.
    """

    piece: int
    begin: int
    code: int


@attrs.frozen
class CancelReceived:
    """The neighbour took its question back; it was answered already, send nothing more.

    ``piece`` is ``ANY_PIECE`` for a REQUEST_ANY that was not given a piece yet.
    """

    piece: int
    begin: int


@attrs.frozen
class PongReceived:
    """Our PING was answered after ``rtt`` seconds."""

    rtt: float


@attrs.frozen
class Closed:
    """The neighbour said BYE; ``code`` may be one that we do not know."""

    code: int
    text: str


Event: TypeAlias = (
    Opened
    | DigestsReceived
    | GetDigestsReceived
    | BitfieldReceived
    | HaveReceived
    | RequestReceived
    | RequestAnyReceived
    | SliceReceived
    | RejectReceived
    | CancelReceived
    | PongReceived
    | Closed
)
