"""How one answer stands on the wire: status line, headers, and where its body ends.

h11 could write answers too, but it closes every connection of HTTP/1.0, normalises
``Content-Length`` and moves lines.  What a registry says is passed on as it said it.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus

import attrs

from dragonfly.daemon.http.messages import Headers, RequestHead, find_all
from dragonfly.errors import OriginError

__all__ = ["Framing", "frame", "frame_text", "text_headers"]

# These speak of one connection, and that to the client is ours.
_OWN = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"trailer"))
_BODILESS = (204, 304)
_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# As long as h11 takes them: twenty digits are a hundred thousand PiB.
_LENGTH = re.compile(rb"[0-9]{1,20}")
_PHRASES = {int(status): status.phrase.encode("ascii") for status in HTTPStatus}


@attrs.frozen(kw_only=True)
class Framing:
    """The beginning of an answer, and what becomes of its body.

    :ivar head: all bytes up to the body.
    :ivar length: how many bytes the body must have; ``None``: nobody knows.
    :ivar bodiless: whether no body is sent, whatever was announced.
    :ivar chunked: whether the body goes in chunks.
    :ivar stays: whether the connection may be used for another request.
    """

    head: bytes = attrs.field(repr=False)
    length: int | None
    bodiless: bool
    chunked: bool
    stays: bool


def frame(
    request: RequestHead,
    status: int,
    headers: Headers,
    *,
    reason: bytes = b"",
    stays: bool,
    now: float,
) -> Framing:
    """Put an answer together.

    :param stays: whether the connection may stay open, if the framing allows it.
    :param now: seconds since 1970, for an answer that has no ``Date``.
    :raises OriginError: a line of it cannot be sent as HTTP.
    """
    if not 200 <= status <= 999:
        raise OriginError(f"an answer with the status {status} cannot be sent")
    _check(headers)
    length = _length(headers)
    bodiless = request.method == b"HEAD" or status in _BODILESS
    unknown = length is None and not bodiless
    chunked = unknown and request.version == b"1.1"
    stays = stays and (chunked or not unknown)
    lines = [*_kept(status, headers), *_own(request, headers, now, chunked, stays)]
    return Framing(
        head=_head(status, reason, lines),
        length=length,
        bodiless=bodiless,
        chunked=chunked,
        stays=stays,
    )


def text_headers(text: bytes) -> Headers:
    """The header lines of an answer that is a line of text."""
    return (
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", b"%d" % len(text)),
    )


def frame_text(status: int, text: str, *, now: float, more: Headers = ()) -> bytes:
    """Put a whole answer together that ends the connection of a request we cannot read.

    :param more: further header lines.
    """
    body = text.encode("utf-8", "replace") + b"\n"
    unread = RequestHead(method=b"", target=b"", version=b"1.1", headers=())
    lines = (*text_headers(body), *more)
    return frame(unread, status, lines, stays=False, now=now).head + body


def _check(headers: Headers) -> None:
    for place, (name, value) in enumerate(headers, 1):
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise OriginError(
                f"header line {place} of {len(headers)} of the answer is not valid in HTTP"
            )


def _length(headers: Headers) -> int | None:
    lengths = {value.strip() for value in find_all(headers, b"content-length")}
    if not lengths:
        return None
    value = lengths.pop()
    if lengths or not _LENGTH.fullmatch(value):
        raise OriginError("the answer's Content-Length is not one number")
    return int(value)


def _kept(status: int, headers: Headers) -> Headers:
    seen_length = status == 204  # which must not have one
    kept = []
    for line in headers:
        name = line[0].lower()
        if name in _OWN or (name == b"content-length" and seen_length):
            continue
        seen_length = seen_length or name == b"content-length"
        kept.append(line)
    return tuple(kept)


def _own(request: RequestHead, headers: Headers, now: float, chunked: bool, stays: bool) -> Headers:
    own: list[tuple[bytes, bytes]] = []
    if not find_all(headers, b"date"):
        own.append((b"Date", formatdate(now, usegmt=True).encode("ascii")))
    if chunked:
        own.append((b"Transfer-Encoding", b"chunked"))
    if not stays:
        own.append((b"Connection", b"close"))
    elif request.version == b"1.0":
        own.append((b"Connection", b"keep-alive"))
    return tuple(own)


def _head(status: int, reason: bytes, lines: list[tuple[bytes, bytes]]) -> bytes:
    if not reason or not _VALUE.fullmatch(reason):
        reason = _PHRASES.get(status, b"")
    parts = [b"HTTP/1.1 %d %s\r\n" % (status, reason)]
    parts += [b"%s: %s\r\n" % line for line in lines]
    parts.append(b"\r\n")
    return b"".join(parts)
