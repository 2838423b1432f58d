"""The head of a request: what h11 lets pass and we do not, and what it says of the connection."""

from __future__ import annotations

import h11

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.front.refusals import Refusal, long_head, long_target, many_lines
from dragonfly.daemon.http.messages import Headers, RequestHead, find, find_all

__all__ = ["body_length", "read_head", "wants_to_stay"]

_VERSIONS = (b"1.0", b"1.1")
# Besides names and values: ": " and CR LF of a line, and what is around the request line's words.
_LINE_EXTRA = 4
_REQUEST_LINE_EXTRA = 14


def read_head(request: h11.Request, *, client: str, limits: FrontLimits) -> RequestHead | Refusal:
    """Turn what h11 read into our own, or say why it is not answered."""
    headers: Headers = tuple(request.headers.raw_items())
    refusal = _refusal(request, headers, limits)
    if refusal is not None:
        return refusal
    return RequestHead(
        method=request.method,
        target=request.target,
        version=request.http_version,
        headers=headers,
        client=client,
    )


def _refusal(request: h11.Request, headers: Headers, limits: FrontLimits) -> Refusal | None:
    if request.http_version not in _VERSIONS:
        return Refusal(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if len(request.target) > limits.target_bytes:
        return long_target(limits.target_bytes)
    if len(headers) > limits.header_lines:
        return many_lines(len(headers), limits.header_lines)
    size = _size(request, headers)
    if size > limits.head_bytes:
        return long_head(size, limits.head_bytes)
    return _ambiguous(request, headers)


def _size(request: h11.Request, headers: Headers) -> int:
    lines = sum(len(name) + len(value) + _LINE_EXTRA for name, value in headers)
    return len(request.method) + len(request.target) + _REQUEST_LINE_EXTRA + lines


def _ambiguous(request: h11.Request, headers: Headers) -> Refusal | None:
    # Whoever stands before or behind us may read the other of the two, and so see another
    # request begin where we see a body.
    if not find_all(headers, b"transfer-encoding"):
        return None
    if find_all(headers, b"content-length"):
        return Refusal(400, "the request has both Content-Length and Transfer-Encoding")
    if request.http_version == b"1.0":
        return Refusal(400, "HTTP/1.0 has no Transfer-Encoding")
    return None


def body_length(head: RequestHead) -> int | None:
    """How many bytes follow; ``None`` for a chunked body."""
    if find_all(head.headers, b"transfer-encoding"):
        return None
    return int(find(head.headers, b"content-length") or b"0")


def wants_to_stay(head: RequestHead) -> bool:
    """Whether the client would send another request on this connection."""
    words = {
        word.strip()
        for value in find_all(head.headers, b"connection")
        for word in value.lower().split(b",")
    }
    if b"close" in words:
        return False
    return head.version == b"1.1" or b"keep-alive" in words
