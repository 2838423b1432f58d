"""Which header lines go all the way, and which do not."""

from __future__ import annotations

import pytest

from dragonfly.daemon.http.hops import (
    binds_connection,
    body_length,
    came_through,
    client_headers,
    expects_continue,
    upstream_headers,
)
from dragonfly.daemon.http.messages import Headers
from tests.doubles.responding import request

VIA = b"dragonfly-0123abcd"


def upstream(
    *lines: tuple[bytes, bytes], length: int | None = 0, version: bytes = b"1.1"
) -> Headers:
    """What the registry is asked with."""
    head = request(b"GET", b"/v2/", *lines, version=version)
    return upstream_headers(head, netloc=b"registry.example", length=length, via=VIA)


def test_lines_go_on_as_they_are() -> None:
    """Order, case and repetitions: registries choose a manifest by several Accept lines."""
    lines = (
        (b"accept", b"application/vnd.oci.image.index.v1+json"),
        (b"User-Agent", b"docker/28"),
        (b"ACCEPT", b"application/json"),
        (b"Authorization", b"Bearer x"),
        (b"Accept", b"application/json"),
    )
    host, via = (b"Host", b"registry.example"), (b"Via", b"1.1 " + VIA)
    assert upstream(*lines) == (host, *lines, via)


def test_a_client_of_the_old_protocol_is_named_as_one() -> None:
    """Via tells the version in which the request came."""
    assert upstream(version=b"1.0")[-1] == (b"Via", b"1.0 " + VIA)


def test_earlier_hops_stay_named() -> None:
    """Ours comes after theirs."""
    theirs = (b"Via", b"1.1 other")
    assert upstream(theirs)[1:] == (theirs, (b"Via", b"1.1 " + VIA))


@pytest.mark.parametrize(
    "name",
    [
        b"Connection",
        b"Keep-Alive",
        b"Proxy-Authenticate",
        b"Proxy-Authorization",
        b"Proxy-Connection",
        b"TE",
        b"Trailer",
        b"Transfer-Encoding",
        b"Upgrade",
    ],
)
def test_what_concerns_one_connection_stays_on_it(name: bytes) -> None:
    """Both ways, whatever the case."""
    for spelling in (name, name.lower(), name.upper()):
        assert spelling not in dict(upstream((spelling, b"x")))
        assert client_headers(((spelling, b"x"), (b"ETag", b'"1"'))) == ((b"ETag", b'"1"'),)


def test_what_connection_names_stays_on_it() -> None:
    """Several lines, several names in one, spaces around them."""
    lines = (
        (b"Connection", b"close,  X-One"),
        (b"x-one", b"1"),
        (b"connection", b"x-TWO,"),
        (b"X-Two", b"2"),
        (b"X-Three", b"3"),
    )
    assert client_headers(lines) == ((b"X-Three", b"3"),)


def test_a_length_cannot_be_named_away() -> None:
    """Without it the body that follows would pass for the next request."""
    lines = ((b"Connection", b"Content-Length"), (b"content-length", b"5"))
    assert (b"content-length", b"5") in upstream(*lines, length=5)
    assert client_headers(lines) == ((b"content-length", b"5"),)


@pytest.mark.parametrize(
    ("lines", "length", "framing"),
    [
        ((), 0, []),
        (((b"content-length", b"0"),), 0, [(b"content-length", b"0")]),
        (((b"CONTENT-LENGTH", b"7"),), 7, [(b"CONTENT-LENGTH", b"7")]),
        (((b"Content-Length", b"7"), (b"content-length", b"7")), 7, [(b"Content-Length", b"7")]),
        ((), 7, [(b"Content-Length", b"7")]),
        (((b"Transfer-Encoding", b"chunked"),), None, [(b"Transfer-Encoding", b"chunked")]),
        (
            ((b"transfer-encoding", b"chunked"), (b"Content-Length", b"7")),
            None,
            [(b"Transfer-Encoding", b"chunked")],
        ),
    ],
)
def test_one_statement_about_the_body(lines: Headers, length: int | None, framing: Headers) -> None:
    """Two that differ are how requests are smuggled."""
    framers = (b"content-length", b"transfer-encoding")
    assert [
        line for line in upstream(*lines, length=length) if line[0].lower() in framers
    ] == framing


def test_chunks_beat_a_length_in_answers() -> None:
    """What was received in chunks is as long as it is."""
    lines = ((b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked"), (b"Date", b"now"))
    assert client_headers(lines) == ((b"Date", b"now"),)


def test_the_answer_is_the_registrys() -> None:
    """Challenge, cookies, digest and place: line by line."""
    lines = (
        (b"WWW-Authenticate", b'Bearer realm="https://auth/token"'),
        (b"Location", b"https://registry.example/v2/a/blobs/uploads/1?_state=x"),
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"Docker-Content-Digest", b"sha256:0"),
        (b"Content-Length", b"4"),
    )
    assert client_headers(lines) == lines


@pytest.mark.parametrize(
    ("values", "came"),
    [
        ((), False),
        ((b"1.1 " + VIA,), True),
        ((b"1.1 other, HTTP/1.1   " + VIA + b" (twice)",), True),
        ((b"1.0 other", b"1.1 " + VIA), True),
        ((b"1.1 " + VIA + b"0",), False),
        ((VIA,), False),
        ((b"1.1 other (" + VIA + b")",), False),
    ],
)
def test_loops(values: tuple[bytes, ...], came: bool) -> None:
    """Our own name, and no other, tells that a request was here before."""
    assert came_through(tuple((b"via", value) for value in values), VIA) is came


def test_expectations() -> None:
    """Only clients of HTTP/1.1 may wait, and only for this."""
    waits = (b"Expect", b"100-Continue ")
    assert expects_continue(request(b"PUT", b"/", waits))
    assert not expects_continue(request(b"PUT", b"/", waits, version=b"1.0"))
    assert not expects_continue(request(b"PUT", b"/", (b"Expect", b"the-worst")))
    assert not expects_continue(request(b"PUT", b"/"))


def test_logins_of_a_connection() -> None:
    """NTLM and Negotiate log a connection in; the others a request."""
    assert binds_connection(((b"authorization", b"NTLM x"),))
    assert binds_connection(((b"Authorization", b"negotiate x"),))
    assert not binds_connection(((b"Authorization", b"Bearer negotiate"),))
    assert not binds_connection(((b"Authorization", b""),))


def test_lengths_of_answers() -> None:
    """Some have no body whatever they say; chunks beat a length."""
    five, chunked = (b"content-length", b"5"), (b"Transfer-Encoding", b"chunked")
    assert body_length(b"GET", 200, (five,)) == 5
    assert body_length(b"GET", 200, (five, chunked)) is None
    assert body_length(b"GET", 200, ()) is None
    assert body_length(b"HEAD", 200, (five,)) == 0
    assert body_length(b"GET", 304, (five,)) == 0
    assert body_length(b"GET", 204, (chunked,)) == 0
