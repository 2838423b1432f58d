"""The headers of a blob: what the caller's mean for the origin, what the origin's for him; pure."""

from __future__ import annotations

import attrs

from dragonfly.daemon.blobs.models import model_headers
from dragonfly.daemon.blobs.parts import Parts
from dragonfly.daemon.http.messages import Headers, find_all
from dragonfly.net.ranges import ByteRange, parse_ranges
from dragonfly.net.reply import OriginReply, strong

__all__ = [
    "BlobAnswer",
    "asked_headers",
    "blob_answer",
    "conditional",
    "unsatisfiable",
    "via_headers",
    "wanted_ranges",
]

_CONDITIONS = frozenset({b"if-match", b"if-none-match", b"if-modified-since"}) | {
    b"if-unmodified-since"
}
# What is ours to say to the origin, or concerns this one connection.
_OURS = _CONDITIONS | {
    b"accept-encoding",
    b"connection",
    b"content-length",
    b"expect",
    b"forwarded",
    b"host",
    b"if-range",
    b"keep-alive",
    b"proxy-authorization",
    b"proxy-connection",
    b"range",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"via",
}
# Another value in each request: two clients' registrations would never be one.
_TRACES = frozenset(
    {
        b"b3",
        b"baggage",
        b"npm-session",
        b"traceparent",
        b"tracestate",
        b"uber-trace-id",
        b"x-amzn-trace-id",
        b"x-correlation-id",
        b"x-request-id",
    }
)
_PASSED = (
    "Docker-Distribution-Api-Version",
    "Docker-Content-Digest",
    "Cache-Control",
    "Content-Type",
    "Content-Encoding",
    "Content-Disposition",
    "Content-Language",
    "ETag",
    "Expires",
    "Last-Modified",
)


def asked_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The caller's headers that may matter to the origin: who asks, and what he accepts.

    :raises ValueError: one of them is no text, and could not be passed on as it is.
    """
    named = b",".join(find_all(headers, b"connection")).lower().split(b",")
    left_out = _OURS | _TRACES | {name.strip() for name in named}
    kept = [line for line in headers if line[0].lower() not in left_out]
    return tuple(
        (name.decode(), value.decode())
        for name, value in kept
        if not name.lower().startswith((b"x-b3-", b"x-forwarded-"))
    )


def via_headers(headers: Headers, via: bytes) -> tuple[tuple[str, str], ...]:
    """Whom the request came through, and then *via*: a loop ends at whoever was there before."""
    lines = (*find_all(headers, b"via"), b"1.1 " + via)
    return tuple(("Via", line.decode("latin-1")) for line in lines)


def conditional(headers: Headers) -> bool:
    """Whether the answer may be 304 or 412, which is for the registry to say."""
    return any(name.lower() in _CONDITIONS for name, _ in headers)


def wanted_ranges(
    headers: Headers, reply: OriginReply, length: int | None
) -> list[ByteRange] | None:
    """Which bytes the caller wants; ``None``: all of them.

    :raises Unsatisfiable: none of those that there are.
    :raises TooManyRanges: it does not make sense to answer that.
    """
    ranges = find_all(headers, b"range")
    if len(ranges) != 1 or not _still_so(find_all(headers, b"if-range"), reply):
        return None
    return parse_ranges(ranges[0].decode("latin-1").strip(), length)


def _still_so(conditions: list[bytes], reply: OriginReply) -> bool:
    """Whether ``If-Range`` holds: the same strong entity tag, or exactly the same date."""
    if not conditions:
        return True
    said = conditions[-1].decode("latin-1").strip()
    tag = strong(said)
    if tag is not None:
        return tag == strong(reply.etag)
    return said == reply.last_modified


@attrs.frozen
class BlobAnswer:
    """How an answer begins."""

    status: int
    headers: Headers


def blob_answer(reply: OriginReply, length: int | None, parts: Parts) -> BlobAnswer:
    """200 or 206, with what the origin says of the content.

    :param length: of the whole; ``None``: nobody knows it yet, and the body goes in chunks.
    """
    headers, first = _said(reply), parts.parts[0]
    if parts.media_type:
        headers = tuple(line for line in headers if line[0] != b"Content-Type")
        headers += ((b"Content-Type", parts.media_type),)
    elif parts.ranged:
        span = f"bytes {first.begin}-{(first.end or 0) - 1}/{length}"
        headers += ((b"Content-Range", span.encode()),)
    if parts.length is not None:
        headers += ((b"Content-Length", str(parts.length).encode()),)
    return BlobAnswer(206 if parts.ranged else 200, headers)


def unsatisfiable(reply: OriginReply, length: int) -> BlobAnswer:
    """416: of ``length`` bytes none was asked for."""
    span = f"bytes */{length}".encode()
    type_of_nothing = (b"Content-Type", b"Content-Encoding")
    headers = tuple(line for line in _said(reply) if line[0] not in type_of_nothing)
    return BlobAnswer(416, (*headers, (b"Content-Range", span), (b"Content-Length", b"0")))


def _said(reply: OriginReply) -> Headers:
    said = [(name, value) for name in _PASSED for value in reply.headers_all(name)]
    said += model_headers(reply)
    lines = tuple((name.encode(), value.encode()) for name, value in said)
    return (*lines, (b"Accept-Ranges", b"bytes"))
