"""Numbers of the piece protocol; ``doc/protocol.rst`` gives the reason for each limit."""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "ANY_PIECE",
    "AUTH_CONTEXT",
    "BITFIELDS_PER_WINDOW",
    "BYE_TEXT_BYTES",
    "DATA_PREFIX_BYTES",
    "FEATURES",
    "FLOOD_WINDOW_S",
    "FRAME_LIMITS",
    "GET_DIGESTS_PER_WINDOW",
    "GRANT_LIMIT_BYTES",
    "HANDSHAKE_LIMIT_S",
    "HAVES_PER_FRAME",
    "HAVES_PER_WINDOW",
    "HEADER_BYTES",
    "HELLO_FIXED_BYTES",
    "KEY_BYTES",
    "MAGIC",
    "MAX_IN_FLIGHT",
    "MAX_PIECES",
    "MAX_REQUESTS",
    "MAX_RIDING_HAVES",
    "NONCE_BYTES",
    "OLDEST_VERSION",
    "PINGS_PER_WINDOW",
    "PING_AFTER_S",
    "PONG_LIMIT_S",
    "RUNS_PER_ANSWER",
    "RUN_MAX_BYTES",
    "RUN_MIN_BYTES",
    "SIGNATURE_BYTES",
    "SLICE_BYTES",
    "TASK_BYTES",
    "VERSION",
    "Kind",
]

MAGIC = b"DFLY"
VERSION = 1
OLDEST_VERSION = 1
FEATURES = 0
AUTH_CONTEXT = b"dragonfly auth\0"

HEADER_BYTES = 5
TASK_BYTES = 32
KEY_BYTES = 32
NONCE_BYTES = 32
SIGNATURE_BYTES = 64

ANY_PIECE = 0xFFFFFFFF
"""No piece: names a REQUEST_ANY in REJECT and CANCEL."""

SLICE_BYTES = 256 * 1024
"""The most payload of one DATA frame; larger writes gain nothing on a socket."""

MAX_PIECES = 2**21
"""The bitfield of that many is one slice; 16 MiB pieces make it 32 TiB."""

MAX_REQUESTS = 64
"""Questions of one side that may be outstanding, cancelled ones included."""

MAX_RIDING_HAVES = 255
HAVES_PER_FRAME = 1024
MAX_IN_FLIGHT = 32
RUNS_PER_ANSWER = 32
"""Runs in one answer to GET_DIGESTS: 266 560 bytes at most, about one slice."""

BYE_TEXT_BYTES = 256

HELLO_FIXED_BYTES = 124
GRANT_LIMIT_BYTES = 900
"""A grant of form 1 has 159 bytes; with the fixed part a HELLO stays within 1 KiB."""

RUN_MIN_BYTES = 74 + 64
RUN_MAX_BYTES = RUN_MIN_BYTES + 256 * 32

DATA_PREFIX_BYTES = 10

HANDSHAKE_LIMIT_S = 10.0
PING_AFTER_S = 30.0
PONG_LIMIT_S = 60.0
"""Not shorter than a peer may pause reading, since it sees no byte meanwhile."""

FLOOD_WINDOW_S = 10.0
PINGS_PER_WINDOW = 8
BITFIELDS_PER_WINDOW = 8
GET_DIGESTS_PER_WINDOW = 1024
HAVES_PER_WINDOW = 1024
"""A million pieces; four times as often as a timer of 100 ms and the seed's catching up need."""


class Kind(IntEnum):
    """Message types."""

    HELLO = 1
    AUTH = 2
    DIGESTS = 3
    BITFIELD = 4
    HAVE = 5
    REQUEST = 6
    DATA = 7
    REJECT = 8
    CANCEL = 9
    PING = 10
    PONG = 11
    BYE = 12
    GET_DIGESTS = 13
    REQUEST_ANY = 14


_RIDING = 4 * MAX_RIDING_HAVES

FRAME_LIMITS: dict[Kind, tuple[int, int]] = {
    Kind.HELLO: (HELLO_FIXED_BYTES, HELLO_FIXED_BYTES + GRANT_LIMIT_BYTES),
    Kind.AUTH: (SIGNATURE_BYTES, SIGNATURE_BYTES),
    Kind.DIGESTS: (RUN_MIN_BYTES, RUN_MAX_BYTES),
    Kind.BITFIELD: (4, 4 + MAX_PIECES // 8),
    Kind.HAVE: (4, 4 * HAVES_PER_FRAME),
    Kind.REQUEST: (13, 13 + _RIDING),
    Kind.DATA: (DATA_PREFIX_BYTES + 1, DATA_PREFIX_BYTES + _RIDING + SLICE_BYTES),
    Kind.REJECT: (9, 9),
    Kind.CANCEL: (8, 8),
    Kind.PING: (8, 8),
    Kind.PONG: (8, 8),
    Kind.BYE: (2, 2 + BYE_TEXT_BYTES),
    Kind.GET_DIGESTS: (4, 4),
    Kind.REQUEST_ANY: (2, 2 + 4 * MAX_IN_FLIGHT + _RIDING),
}
"""Least and most bytes of a payload."""
