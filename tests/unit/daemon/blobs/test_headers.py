"""The headers of a blob, towards the origin and towards the client."""

from __future__ import annotations

import pytest

from dragonfly.daemon.blobs.headers import (
    asked_headers,
    blob_answer,
    conditional,
    unsatisfiable,
    wanted_ranges,
)
from dragonfly.daemon.blobs.parts import single, whole
from dragonfly.daemon.http.messages import Headers
from dragonfly.net.ranges import ByteRange, Unsatisfiable
from tests.doubles.reader import make_reply

DATE = "Sat, 01 Jan 2028 00:00:00 GMT"
REPLY = make_reply(
    length=100,
    etag='"v1"',
    last_modified=DATE,
    content_type="application/octet-stream",
    docker_content_digest="sha256:00",
    docker_distribution_api_version="registry/2.0",
    content_length="100",
    set_cookie="secret",
    connection="close",
)


def test_what_goes_along_to_the_origin() -> None:
    """Who asks and what he accepts, repeated lines too; nothing of this one transfer."""
    kept: Headers = (
        (b"Authorization", b"Bearer t"),
        (b"Accept", b"a/b"),
        (b"Accept", b"c/d"),
        (b"User-Agent", b"x/1"),
        (b"Cookie", b"a=b"),
        (b"Private-Token", b"p"),
    )
    dropped: Headers = (
        (b"Host", b"mirror"),
        (b"Range", b"bytes=0-1"),
        (b"If-Range", b'"v1"'),
        (b"If-None-Match", b'"v1"'),
        (b"Accept-Encoding", b"gzip"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Via", b"1.1 y"),
        (b"traceparent", b"00-1"),
        (b"npm-session", b"0a1b2c"),
        (b"X-B3-TraceId", b"1"),
        (b"X-Forwarded-For", b"10.0.0.1"),
    )
    asked = asked_headers((*dropped, *kept))
    assert asked == tuple((name.decode(), value.decode()) for name, value in kept)


def test_what_is_no_text() -> None:
    """It could not be passed on as it is."""
    with pytest.raises(ValueError, match="decode"):
        asked_headers(((b"X", b"\xff"),))


def test_conditions() -> None:
    """If-Range is none: it changes what is sent, not whether."""
    assert conditional(((b"If-None-Match", b"*"),))
    assert not conditional(((b"If-Range", b"*"), (b"Range", b"bytes=0-1")))


@pytest.mark.parametrize(
    ("lines", "begin", "end"),
    [
        ([(b"Range", b"bytes=10-19")], 10, 20),
        ([(b"Range", b"bytes=90-")], 90, 100),
        ([(b"range", b"bytes=-1")], 99, 100),
        ([(b"Range", b"bytes=10-19"), (b"If-Range", b'"v1"')], 10, 20),
        ([(b"Range", b"bytes=10-19"), (b"If-Range", DATE.encode())], 10, 20),
    ],
)
def test_ranges(lines: list[tuple[bytes, bytes]], begin: int, end: int) -> None:
    """One of bytes, if the condition holds."""
    assert wanted_ranges(tuple(lines), REPLY, 100) == [ByteRange(begin, end)]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(b"Range", b"bytes=0-1"), (b"Range", b"bytes=4-5")],
        [(b"Range", b"bytes=5-4")],
        [(b"Range", b"pages=1-2")],
        [(b"Range", b"bytes=0-1"), (b"If-Range", b'"v2"')],
        [(b"Range", b"bytes=0-1"), (b"If-Range", b'W/"v1"')],
        [(b"Range", b"bytes=0-1"), (b"If-Range", b"yesterday")],
        [(b"Range", b"bytes=\xff-1")],
    ],
)
def test_the_whole(lines: list[tuple[bytes, bytes]]) -> None:
    """Several ranges, malformed ones, other versions."""
    assert wanted_ranges(tuple(lines), REPLY, 100) is None


def test_weak_tags_hold_nothing() -> None:
    """RFC 9110, 13.1.5."""
    lines: Headers = ((b"Range", b"bytes=0-1"), (b"If-Range", b'W/"v1"'))
    assert wanted_ranges(lines, make_reply(length=100, etag='W/"v1"'), 100) is None


def test_outside() -> None:
    """416, with the length there is, and no type of what is not sent."""
    with pytest.raises(Unsatisfiable):
        wanted_ranges(((b"Range", b"bytes=100-"),), REPLY, 100)
    answer = unsatisfiable(REPLY, 100)
    headers = dict(answer.headers)
    assert answer.status == 416
    assert headers[b"Content-Range"] == b"bytes */100"
    assert headers[b"Content-Length"] == b"0"
    assert b"Content-Type" not in headers


def test_the_answer_says_what_the_registry_said() -> None:
    """And nothing that is about its own connection or session."""
    answer = blob_answer(REPLY, 100, whole(100))
    assert answer.status == 200
    assert dict(answer.headers) == {
        b"Docker-Distribution-Api-Version": b"registry/2.0",
        b"Docker-Content-Digest": b"sha256:00",
        b"Content-Type": b"application/octet-stream",
        b"ETag": b'"v1"',
        b"Last-Modified": DATE.encode(),
        b"Accept-Ranges": b"bytes",
        b"Content-Length": b"100",
    }


def test_a_part() -> None:
    """206 with its place in the whole."""
    answer = blob_answer(REPLY, 100, single(ByteRange(10, 20)))
    headers = dict(answer.headers)
    assert answer.status == 206
    assert headers[b"Content-Range"] == b"bytes 10-19/100"
    assert headers[b"Content-Length"] == b"10"


def test_no_length() -> None:
    """The body goes in chunks."""
    assert b"Content-Length" not in dict(blob_answer(REPLY, None, whole(None)).headers)
