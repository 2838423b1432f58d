"""What the front itself says to a client that does not speak HTTP, or too much of it.

h11's own texts quote the line that was wrong, which may hold a token; only texts written
here are sent.
"""

from __future__ import annotations

import attrs
import h11

__all__ = [
    "CONNECT",
    "CONNECT_BODY",
    "FULL",
    "MALFORMED",
    "SLOW_HEAD",
    "TLS",
    "Refusal",
    "long_head",
    "long_target",
    "many_lines",
    "of_protocol_error",
]


@attrs.frozen
class Refusal:
    """An answer of the front's own; the connection ends with it."""

    status: int
    text: str


MALFORMED = Refusal(400, "this is not an HTTP request")
# To a TLS client this must look like plain HTTP from its first five bytes on: Go's then says
# "server gave HTTP response to HTTPS client", and tries again without TLS where it may.
TLS = Refusal(400, "this port speaks plain HTTP, and the client sent a TLS handshake")
CONNECT = Refusal(501, "CONNECT is not supported inside a connection that was opened by CONNECT")
CONNECT_BODY = Refusal(400, "a CONNECT request has no body")
SLOW_HEAD = Refusal(408, "the request's headers did not arrive in time")
FULL = Refusal(503, "too many connections")

# What h11 says (its beginning), and what we say for it.
_TEXTS = (
    ("Missing mandatory Host", "a request of HTTP/1.1 must have a Host header"),
    ("Found multiple Host", "the request has more than one Host header"),
    ("conflicting Content-Length", "the request's Content-Length headers contradict each other"),
    ("bad Content-Length", "the request's Content-Length is not a number"),
    ("multiple Transfer-Encoding", "the request has more than one Transfer-Encoding header"),
    ("Only Transfer-Encoding", "no transfer coding but chunked is supported"),
    ("illegal header line", "a header line of the request is malformed"),
    ("continuation line", "a header line of the request is malformed"),
    ("illegal chunk header", "a chunk of the request's body is malformed"),
    ("malformed chunk footer", "a chunk of the request's body is malformed"),
)


def of_protocol_error(error: h11.RemoteProtocolError, *, head_bytes: int) -> Refusal:
    """Translate what h11 found wrong."""
    if error.error_status_hint == 431:
        return Refusal(431, f"the request's headers are longer than {head_bytes} bytes")
    said = str(error)
    for beginning, text in _TEXTS:
        if said.startswith(beginning):
            return Refusal(error.error_status_hint, text)
    return MALFORMED


def long_head(size: int, most: int) -> Refusal:
    """The head came in one go, and is too long."""
    return Refusal(431, f"the request's headers have {size} bytes, more than {most}")


def many_lines(count: int, most: int) -> Refusal:
    """Each line is short, but there are too many."""
    return Refusal(431, f"the request has {count} header lines, more than {most}")


def long_target(most: int) -> Refusal:
    """The request line is too long."""
    return Refusal(414, f"the request's target is longer than {most} bytes")
