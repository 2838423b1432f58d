"""What the two sides say (messages), and what a session tells its owner (events)."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from dragonfly.wire.constants import Kind

__all__ = [
    "Auth",
    "BitfieldFrame",
    "BitfieldReceived",
    "Bye",
    "Cancel",
    "CancelReceived",
    "Closed",
    "Data",
    "Digests",
    "DigestsReceived",
    "Event",
    "GetDigests",
    "GetDigestsReceived",
    "Have",
    "HaveReceived",
    "Hello",
    "Message",
    "Offer",
    "Opened",
    "Ping",
    "Pong",
    "PongReceived",
    "Reject",
    "RejectReceived",
    "Request",
    "RequestAny",
    "RequestAnyReceived",
    "RequestReceived",
    "SliceReceived",
]


@attrs.frozen(kw_only=True)
class Offer:
    """What our side brings into a connection: the task, how it is cut, and our permission.

    :param port: where we accept connections, 0 if nowhere.
    """

    task: bytes
    fetch: int
    piece_size: int
    port: int
    grant: bytes


# -- messages -------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Hello:
    """Who speaks, about what, with whose permission."""

    version: int
    oldest: int
    features: int
    task: bytes
    key: bytes
    nonce: bytes
    fetch: int
    piece_size: int
    port: int
    grant: bytes


@attrs.frozen
class Auth:
    """The proof of the key."""

    signature: bytes


@attrs.frozen
class Digests:
    """One signed run, unread."""

    run: bytes


@attrs.frozen
class GetDigests:
    """Runs from this piece on are wanted."""

    first: int


@attrs.frozen
class BitfieldFrame:
    """All that the sender has."""

    count: int
    bits: bytes


@attrs.frozen
class Have:
    """What the sender has now, too."""

    pieces: tuple[int, ...]


@attrs.frozen
class Request:
    """These bytes are wanted."""

    piece: int
    begin: int
    length: int
    haves: tuple[int, ...] = ()


@attrs.frozen
class RequestAny:
    """Any piece is wanted but these."""

    in_flight: tuple[int, ...]
    haves: tuple[int, ...] = ()


@attrs.frozen
class Data:
    """The head of a slice of ``length`` bytes, which follow it."""

    piece: int
    begin: int
    length: int
    last: bool = False
    any: bool = False
    haves: tuple[int, ...] = ()


@attrs.frozen
class Reject:
    """A question ends without (more) bytes; named as on the wire."""

    piece: int
    begin: int
    code: int


@attrs.frozen
class Cancel:
    """A question is taken back; named as on the wire."""

    piece: int
    begin: int


@attrs.frozen
class Ping:
    """Are you there?"""

    token: int


@attrs.frozen
class Pong:
    """Yes."""

    token: int


@attrs.frozen
class Bye:
    """The last words; ``code`` is an :class:`~dragonfly.errors.ErrorCode` or unknown."""

    code: int
    text: str = ""


Message: TypeAlias = (
    Hello
    | Auth
    | Digests
    | GetDigests
    | BitfieldFrame
    | Have
    | Request
    | RequestAny
    | Data
    | Reject
    | Cancel
    | Ping
    | Pong
    | Bye
)

KINDS: dict[type[Message], Kind] = {
    Hello: Kind.HELLO,
    Auth: Kind.AUTH,
    Digests: Kind.DIGESTS,
    GetDigests: Kind.GET_DIGESTS,
    BitfieldFrame: Kind.BITFIELD,
    Have: Kind.HAVE,
    Request: Kind.REQUEST,
    RequestAny: Kind.REQUEST_ANY,
    Data: Kind.DATA,
    Reject: Kind.REJECT,
    Cancel: Kind.CANCEL,
    Ping: Kind.PING,
    Pong: Kind.PONG,
    Bye: Kind.BYE,
}
"""The type number of each message."""


# -- events ---------------------------------------------------------------------


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
