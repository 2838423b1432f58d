"""What the two sides say: one class for each frame."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from dragonfly.wire.constants import Kind

__all__ = [
    "Auth",
    "BitfieldFrame",
    "Bye",
    "Cancel",
    "Data",
    "Digests",
    "GetDigests",
    "Have",
    "Hello",
    "Message",
    "Offer",
    "Ping",
    "Pong",
    "Reject",
    "Request",
    "RequestAny",
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
