"""What an origin's answer says, and what it must not say."""

from __future__ import annotations

from typing import Any, cast

import attrs
import pytest
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse

from dragonfly.errors import OriginChanged, OriginRefused
from dragonfly.net.reply import ContentRange, OriginReply, read_reply, strong

URL = "http://user:s3cret@host/f?s3cret"


@attrs.define
class Request:
    """What was asked."""

    method: bytes = b"GET"


@attrs.define
class Response:
    """What Twisted gives."""

    code: int = 200
    headers: Headers = attrs.field(factory=Headers)
    length: object = UNKNOWN_LENGTH
    request: Request = attrs.field(factory=Request)


@attrs.frozen
class Known:
    """A version that a transfer began with."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None


def read(code: int = 200, *headers: tuple[str, str], **more: Any) -> OriginReply:
    """The reply for a response with these headers."""
    made = Headers()
    for name, value in headers:
        made.addRawHeader(name, value)
    return read_reply(cast("IResponse", Response(code, made, **more)), URL)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes 0-9/10", ContentRange(0, 9, 10)),
        ("Bytes 5-9/*", ContentRange(5, 9, None)),
        (" bytes  0-0/1 ", ContentRange(0, 0, 1)),
        ("bytes */10", ContentRange(None, None, 10)),
        ("bytes */*", ContentRange(None, None, None)),
        (None, None),
        ("", None),
        ("bytes 0-9", None),
        ("bytes 9-0/10", None),
        ("bytes 0-10/10", None),
        ("bytes -5/10", None),
        ("items 0-9/10", None),
        ("bytes 0-9/10, 20-29/30", None),
        ("bytes 0-9999999999999999999/*", None),
    ],
)
def test_content_range(header: str | None, found: ContentRange | None) -> None:
    """Sense or nothing."""
    assert ContentRange.parse(header) == found


def test_headers() -> None:
    """Any case of letters; the last of several counts; the URL is shown without secrets."""
    reply = read(200, ("ETAG", '"a"'), ("Vary", "a"), ("vary", "b"), ("Content-Type", "x/y"))
    assert reply.headers_all("Vary") == ["a", "b"]
    assert reply.header("VARY") == "b"
    assert reply.header("absent") is None
    assert (reply.etag, reply.content_type, reply.last_modified) == ('"a"', "x/y", None)
    assert reply.shown_url == "http://host/f?..."
    assert "s3cret" not in repr(reply)


def test_bytes_that_are_no_text() -> None:
    """A header in some old encoding is no crash."""
    made = Headers()
    made.addRawHeader(b"etag", b'"\xff"')
    assert read_reply(cast("IResponse", Response(200, made)), URL).etag == '"\ufffd"'


def test_length_of_a_get() -> None:
    """Twisted's, which saw the framing."""
    assert read(200, length=10).length == 10
    assert read(200).length is None


def test_length_of_a_head() -> None:
    """The header's, and where there is none nobody knows: it is not 0."""
    head = Request(b"HEAD")
    assert read(200, ("Content-Length", "10"), length=0, request=head).length == 10
    assert read(200, length=0, request=head).length is None
    for said in ("1e3", "-1", "+1", "\u0663", "9" * 19, "9" * 5000):
        assert read(200, ("Content-Length", said), length=0, request=head).length is None


def test_a_range() -> None:
    """Where it begins, and the length of the whole."""
    reply = read(206, ("Content-Range", "bytes 5-9/10"), length=5)
    assert (reply.start, reply.length) == (5, 10)
    assert read(206, ("Content-Range", "bytes 5-9/*")).length is None
    assert read(416, ("Content-Range", "bytes */10")).length == 10
    assert read(416).length is None
    with pytest.raises(OriginRefused, match="without a usable Content-Range") as caught:
        read(206, ("Content-Range", "bytes 9-5/10"))
    assert caught.value.status == 206
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["gzip", "identity, br", "GZIP", "identity"])
@pytest.mark.parametrize("status", [200, 302, 404])
def test_encodings(encoding: str, status: int) -> None:
    """Identity is asked for; what is sent in another encoding all the same is the content."""
    reply = read(status, ("Content-Encoding", encoding), ("Content-Length", "7"))
    assert (reply.status, reply.length) == (status, 7)


@pytest.mark.parametrize(
    ("status", "header", "accepts"),
    [(206, None, True), (200, "bytes", True), (200, "Bytes", True), (200, "none", False)],
)
def test_ranges(status: int, header: str | None, accepts: bool) -> None:
    """Answered or announced."""
    headers = () if header is None else (("accept-ranges", header),)
    assert OriginReply(status=status, headers=headers, url=URL).accepts_ranges is accepts


def test_headers_of_redirects() -> None:
    """The last that has one; the answer's own are not theirs."""
    passed = (("x-linked-size", "1"), ("location", "/b"), ("x-linked-size", "2"))
    reply = OriginReply(status=200, headers=(("etag", '"a"'),), url=URL, passed=passed)
    assert reply.passed_header("X-Linked-Size") == "2"
    assert reply.passed_header("ETag") is None


@pytest.mark.parametrize(
    ("headers", "length", "known", "changed"),
    [
        ((), None, Known(), False),
        ((("etag", '"a"'),), 5, Known('"a"', "Mon", 5), False),
        ((("etag", '"a"'),), None, Known('"b"'), True),
        ((("etag", '"a"'), ("last-modified", "Tue")), None, Known('"a"', "Mon"), False),
        ((("etag", 'W/"a"'),), None, Known('W/"b"'), False),
        ((("etag", 'W/"a"'), ("last-modified", "Tue")), None, Known('W/"a"', "Mon"), True),
        ((("last-modified", "Tue"),), None, Known('"a"', "Mon"), True),
        ((("last-modified", "Mon"),), 5, Known(None, "Mon", 6), True),
        ((("etag", '"a"'),), 5, Known('"a"', None, 6), True),
        ((), 5, Known(None, "Mon", 5), False),
        ((), 5, Known(None, "Mon", None), False),
    ],
)
def test_versions(
    headers: tuple[tuple[str, str], ...], length: int | None, known: Known, changed: bool
) -> None:
    """Strong tags first, then dates, and always the length; unknown is no difference."""
    reply = OriginReply(status=200, headers=headers, url=URL, length=length)
    if not changed:
        reply.check_version(known)
        return
    with pytest.raises(OriginChanged, match="changed at the origin") as caught:
        reply.check_version(known)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("etag", "found"),
    [('"a"', '"a"'), ('""', '""'), ('W/"a"', None), ('"', None), ("a", None), (None, None)],
)
def test_strong_tags(etag: str | None, found: str | None) -> None:
    """Only these can be used to continue a transfer."""
    assert strong(etag) == found
