"""The origin client against a real server: what it returns and what it refuses."""

from __future__ import annotations

import gzip
from typing import Any

import attrs
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from dragonfly.errors import (
    ConfigError,
    OriginChanged,
    OriginRefused,
    OriginTruncated,
    OriginUnreachable,
)
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.originrequests import MAX_WAITING
from dragonfly.net.sink import BodySink
from tests.doubles.origin import FakeOrigin, Page

CONTENT = bytes(range(256)) * 4000


@attrs.frozen
class Known:
    """A version as a caller remembers it."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None


async def read(client: OriginClient, url: str, *headers: tuple[str, str], **options: Any) -> bytes:
    """Return the bytes that a GET brings."""
    body = await client.get(url, headers, **options)
    chunks: list[bytes] = []
    await body.deliver(BodySink(chunks.append, clock=reactor, stall_s=5))
    return b"".join(chunks)


# -- probes ---------------------------------------------------------------------------


@ensureDeferred
async def test_probe_by_head(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A HEAD tells all that admission needs and costs no body."""
    origin.put("/f", CONTENT, last_modified="Mon, 02 Jan 2023 00:00:00 GMT")
    reply = await origin_client.probe(origin.url("/f"), ())
    assert (reply.status, reply.length, reply.etag) == (200, len(CONTENT), '"v1"')
    assert reply.last_modified == "Mon, 02 Jan 2023 00:00:00 GMT"
    assert reply.accepts_ranges
    assert origin.sent("/f") == 0


@ensureDeferred
async def test_probe_where_head_is_refused(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """One byte by GET answers the same question where HEAD is not allowed."""
    for status in (400, 403, 404, 405, 501):
        path = f"/f{status}"
        origin.put(path, CONTENT, head=False, head_status=status)
        reply = await origin_client.probe(origin.url(path), ())
        assert (reply.length, reply.etag, reply.accepts_ranges) == (len(CONTENT), '"v1"', True)
        assert sum(each.sent for each in origin.requests(path)) == 1


@ensureDeferred
async def test_probe_without_head_and_ranges(
    origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """An origin that answers the one byte with everything is stopped, not read."""
    content = bytes(64 << 20)
    origin.put("/f", content, head=False, ranges=False)
    reply = await origin_client.probe(origin.url("/f"), ())
    assert (reply.length, reply.accepts_ranges) == (len(content), False)
    entry = origin.requests("/f", "GET")[0]
    await entry.gone
    assert entry.sent < 16 << 20


@ensureDeferred
async def test_probe_of_an_empty_file(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """An empty file has no first byte: 416 there is no refusal."""
    origin.put("/f", b"")
    origin.put("/g", b"", head=False)
    for path in ("/f", "/g"):
        reply = await origin_client.probe(origin.url(path), ())
        assert (reply.status, reply.length) == (200, 0)


@ensureDeferred
async def test_probe_where_head_tells_no_length(
    origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """Many programs answer every HEAD with a length of 0: the GET is believed."""
    origin.put("/f", CONTENT, head_length=0)
    assert (await origin_client.probe(origin.url("/f"), ())).length == len(CONTENT)


@ensureDeferred
async def test_head_that_told_something_else_is_asked_no_more(
    origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """The GET contradicts it: from then on one byte by GET is what tells."""
    origin.put("/f", CONTENT, head_length=5)
    told = await origin_client.probe(origin.url("/f"), ())
    assert told.length == 5
    with pytest.raises(OriginChanged):
        await origin_client.get(origin.url("/f"), (), validator=told)
    assert (await origin_client.probe(origin.url("/f"), ())).length == len(CONTENT)
    assert [entry.method for entry in origin.requests("/f")] == ["HEAD", "GET", "GET"]


@ensureDeferred
async def test_head_that_is_not_answered(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """The connection ends without a word: a GET is tried, and HEAD is tried no more."""
    origin.put("/f", CONTENT, head_hangs_up=True)
    for _ in range(2):
        assert (await origin_client.probe(origin.url("/f"), ())).length == len(CONTENT)
    assert [entry.method for entry in origin.requests("/f")][-2:] == ["GET", "GET"]
    assert len(origin.requests("/f", "HEAD")) == 1


@ensureDeferred
async def test_an_origin_that_leaves_a_head_unanswered(origin: FakeOrigin) -> None:
    """Whoever asks for another of its URLs does not wait for that again."""
    client = OriginClient(reactor, policy=FetchPolicy(allow_loopback=True), answer_s=0.1)
    for path in ("/f", "/g"):
        origin.put(path, CONTENT, head_hangs=True)
        assert (await client.probe(origin.url(path), ())).length == len(CONTENT)
    assert (origin.count("/f", "HEAD"), origin.count("/g", "HEAD")) == (1, 0)
    await client.close()


@ensureDeferred
async def test_a_crowd_at_an_origin_that_leaves_heads_unanswered(origin: FakeOrigin) -> None:
    """Who waits for his turn meanwhile does not wait for that, too."""
    client = OriginClient(reactor, policy=FetchPolicy(allow_loopback=True), answer_s=0.1)
    origin.put("/f", CONTENT, head_hangs=True)
    crowd = [
        Deferred.fromCoroutine(client.probe(origin.url("/f"), (), brief=True))
        for _ in range(2 * MAX_WAITING)
    ]
    for asking in crowd[:MAX_WAITING]:
        with pytest.raises(OriginUnreachable):
            await asking
    for asking in crowd[MAX_WAITING:]:
        assert (await asking).length == len(CONTENT)
    assert origin.count("/f", "HEAD") == MAX_WAITING
    await client.close()


@pytest.mark.parametrize("status", [401, 404])
@ensureDeferred
async def test_a_brief_probe_believes_a_refusal_of_head(
    origin: FakeOrigin, origin_client: OriginClient, status: int
) -> None:
    """Its caller asks for the content itself next; other refusals may be HEAD's alone."""
    origin.put("/f", CONTENT, head=False, head_status=status)
    with pytest.raises(OriginRefused, match=f"answered {status}"):
        await origin_client.probe(origin.url("/f"), (), brief=True)
    assert [entry.method for entry in origin.requests("/f")] == ["HEAD"]
    origin.pages["/f"].head_status = 403
    reply = await origin_client.probe(origin.url("/f"), (), brief=True)
    assert reply.length == len(CONTENT)


@ensureDeferred
async def test_a_brief_probe_does_not_wait_twice(
    origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """A HEAD without an answer is the end of it; the next caller is answered by GET."""
    origin.put("/f", CONTENT, head_hangs_up=True)
    with pytest.raises(OriginUnreachable):
        await origin_client.probe(origin.url("/f"), (), brief=True)
    assert origin.count("/f", "GET") == 0
    assert (await origin_client.probe(origin.url("/f"), (), brief=True)).length == len(CONTENT)


@ensureDeferred
async def test_a_probe_by_get(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """What a HEAD would be told counts for nothing, unless the GET tells no length."""
    page = origin.put("/f", CONTENT, token="right", open_head=True)
    with pytest.raises(OriginRefused) as caught:
        await origin_client.probe(origin.url("/f"), (), brief=True, by_get=True)
    assert caught.value.status == 401
    assert origin.count("/f", "HEAD") == 0
    page.token = None
    reply = await origin_client.probe(origin.url("/f"), (), brief=True, by_get=True)
    assert (reply.length, reply.etag) == (len(CONTENT), '"v1"')
    assert origin.count("/f", "HEAD") == 0
    page.range_total = False
    reply = await origin_client.probe(origin.url("/f"), (), brief=True, by_get=True)
    assert reply.length == len(CONTENT)
    page.head_etag = '"v2"'  # it is the length of something else, then
    reply = await origin_client.probe(origin.url("/f"), (), brief=True, by_get=True)
    assert (reply.length, reply.etag) == (None, '"v1"')
    page.head = False
    reply = await origin_client.probe(origin.url("/f"), (), brief=True, by_get=True)
    assert reply.length is None
    assert [entry.method for entry in origin.requests("/f")[2:]] == ["GET", "HEAD"] * 3


@ensureDeferred
async def test_probe_with_unknown_length(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """No Content-Length is no error."""
    origin.put("/f", CONTENT, chunked=True, ranges=False)
    assert (await origin_client.probe(origin.url("/f"), ())).length is None


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 503])
@ensureDeferred
async def test_refusals_keep_their_status(
    origin: FakeOrigin, origin_client: OriginClient, status: int
) -> None:
    """The caller passes the origin's own status on to the user."""
    origin.put("/f", CONTENT, status=status)
    for ask in (origin_client.probe, origin_client.get):
        with pytest.raises(OriginRefused, match=f"answered {status}") as caught:
            await ask(origin.url("/f"), ())
        assert caught.value.status == status


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@ensureDeferred
async def test_redirects(origin: FakeOrigin, origin_client: OriginClient, status: int) -> None:
    """Every status that comes with a place to go to leads there."""
    origin.put("/f", CONTENT)
    origin.put("/r", redirect="/f", status=status)
    assert await read(origin_client, origin.url("/r")) == CONTENT


@ensureDeferred
async def test_probe_need_not_follow(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """For an access check the redirect itself is the answer."""
    origin.put("/f", redirect="/elsewhere")
    reply = await origin_client.probe(origin.url("/f"), (), follow=False)
    assert (reply.status, reply.header("Location")) == (302, "/elsewhere")
    assert origin.count("/elsewhere") == 0


# -- bodies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switches",
    [{}, {"chunked": True}, {"close_delimited": True}, {"ranges": False}, {"etag": None}],
    ids=str,
)
@ensureDeferred
async def test_whole_body(
    origin: FakeOrigin, origin_client: OriginClient, switches: dict[str, Any]
) -> None:
    """However the body is framed, what is there arrives."""
    origin.put("/f", CONTENT, **switches)
    assert await read(origin_client, origin.url("/f")) == CONTENT


@ensureDeferred
async def test_empty_body(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Nothing, completely."""
    origin.put("/f", b"")
    origin.put("/g", b"", chunked=True)
    assert await read(origin_client, origin.url("/f")) == b""
    assert await read(origin_client, origin.url("/g")) == b""


@ensureDeferred
async def test_rest_of_the_same_version(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A cut transfer continues where it stopped, tied to the version it began with."""
    origin.put("/f", CONTENT)
    known = Known(etag='"v1"', length=len(CONTENT))
    body = await origin_client.get(origin.url("/f"), (), start=1000, validator=known)
    assert (body.reply.start, body.reply.length) == (1000, len(CONTENT))
    assert body.remaining == len(CONTENT) - 1000
    body.close()
    rest = await read(origin_client, origin.url("/f"), start=1000, validator=known)
    assert rest == CONTENT[1000:]
    headers = origin.requests("/f")[-1].headers
    assert (headers["range"], headers["if-range"]) == ("bytes=1000-", '"v1"')


@ensureDeferred
async def test_range_is_ignored(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """An origin without ranges sends everything, and the reply says from where."""
    origin.put("/f", CONTENT, ranges=False)
    known = Known(etag='"v1"', length=len(CONTENT))
    body = await origin_client.get(origin.url("/f"), (), start=1000, validator=known)
    assert (body.reply.start, body.remaining) == (0, len(CONTENT))
    body.close()


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
@ensureDeferred
async def test_no_range_without_strong_validator(
    origin: FakeOrigin, origin_client: OriginClient, etag: str | None
) -> None:
    """Without a strong entity tag a rest could be the rest of another version."""
    origin.put("/f", CONTENT, etag=etag)
    body = await origin_client.get(origin.url("/f"), (), start=9, validator=Known(etag=etag))
    assert body.reply.start == 0
    assert "range" not in origin.requests("/f")[0].headers
    body.close()


@ensureDeferred
async def test_range_on_trust(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Content whose digest is known needs no validator."""
    origin.put("/f", CONTENT, etag=None)
    assert await read(origin_client, origin.url("/f"), start=9) == CONTENT[9:]


@pytest.mark.parametrize(
    ("known", "now"),
    [
        (Known(etag='"v1"'), {"etag": '"v2"'}),
        (Known(length=5), {}),
        (Known(last_modified="x"), {"etag": None, "last_modified": "y"}),
    ],
    ids=["etag", "length", "date"],
)
@ensureDeferred
async def test_another_version(
    origin: FakeOrigin, origin_client: OriginClient, known: Known, now: dict[str, Any]
) -> None:
    """A transfer never goes on with another version, with ranges or without."""
    page = origin.put("/f", CONTENT, **now)
    for page.ranges in (True, False):
        with pytest.raises(OriginChanged):
            await origin_client.get(origin.url("/f"), (), start=3, validator=known)


@ensureDeferred
async def test_nothing_is_left(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Of unknown length and cut just behind the last byte: 416 says that all is here."""
    origin.put("/f", CONTENT)
    known = Known(etag='"v1"')
    size = len(CONTENT)
    body = await origin_client.get(origin.url("/f"), (), start=size, validator=known)
    assert (body.remaining, body.reply.length) == (0, size)
    assert await body.deliver(BodySink(pytest.fail, clock=reactor)) == 0
    with pytest.raises(OriginChanged, match=f"has {size} bytes now, {size + 5} had come"):
        await origin_client.get(origin.url("/f"), (), start=size + 5, validator=known)


@ensureDeferred
async def test_wrong_range(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Bytes from another place than asked are never taken."""
    origin.put("/f", CONTENT, range_shift=1)
    with pytest.raises(OriginRefused, match=r"byte 10 was asked for, byte 11 came"):
        await origin_client.get(origin.url("/f"), (), start=10)


@ensureDeferred
async def test_range_of_unknown_total(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """If nobody says where the content ends, it is read from the beginning."""
    origin.put("/f", CONTENT, range_total=False)
    assert await read(origin_client, origin.url("/f"), start=10) == CONTENT


@pytest.mark.parametrize("framing", [{}, {"chunked": True}], ids=str)
@ensureDeferred
async def test_cut_connection(
    origin: FakeOrigin, origin_client: OriginClient, framing: dict[str, Any]
) -> None:
    """A body cut short is an error that can be retried, and names the numbers."""
    origin.put("/f", CONTENT, cut_after=300_000, **framing)
    with pytest.raises(OriginTruncated, match="after 300000 ") as caught:
        await read(origin_client, origin.url("/f"))
    assert caught.value.retryable
    assert "/f" in str(caught.value)


@ensureDeferred
async def test_less_than_announced(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Content-Length was a lie: both numbers are named."""
    origin.put("/f", CONTENT, announce=len(CONTENT) + 7)
    size = len(CONTENT)
    with pytest.raises(OriginTruncated, match=f"after {size} of {size + 7} bytes"):
        await read(origin_client, origin.url("/f"))


@ensureDeferred
async def test_more_than_announced(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Bytes beyond Content-Length are no part of the answer, nor of the next one."""
    origin.put("/f", CONTENT, announce=1000)
    assert await read(origin_client, origin.url("/f")) == CONTENT[:1000]
    origin.put("/g", b"next")
    assert await read(origin_client, origin.url("/g")) == b"next"


@ensureDeferred
async def test_more_than_expected(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A body without announced length that outgrows what the caller knows is stopped."""
    origin.put("/f", CONTENT, chunked=True)
    body = await origin_client.get(origin.url("/f"), ())
    sink = BodySink(lambda data: None, clock=reactor, expected=1000)
    with pytest.raises(OriginTruncated, match="more than the announced 1000 bytes"):
        await body.deliver(sink)


@ensureDeferred
async def test_silence(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """An origin that stops sending does not hold a transfer for ever."""
    origin.put("/f", CONTENT, stall_after=5000)
    body = await origin_client.get(origin.url("/f"), ())
    sink = BodySink(lambda data: None, clock=reactor, stall_s=0.2)
    with pytest.raises(OriginTruncated, match=r"fell silent for 0.2 s after 5000 of"):
        await body.deliver(sink)
    await origin.requests("/f")[0].gone


@ensureDeferred
async def test_change_during_the_transfer(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """The file changed and the connection broke: the rest of the new one is not taken."""
    new = Page(body=CONTENT[::-1], etag='"v2"')
    origin.put("/f", CONTENT, change_after=200_000, change_to=new, cut_after=300_000)
    body = await origin_client.get(origin.url("/f"), ())
    known = Known(etag=body.reply.etag, length=body.reply.length)
    sink = BodySink(lambda data: None, clock=reactor)
    assert await body.deliver(sink) == len(CONTENT)  # HTTP itself does not notice
    with pytest.raises(OriginChanged):
        await origin_client.get(origin.url("/f"), (), start=200_000, validator=known)


@ensureDeferred
async def test_encoded_content(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Identity is asked for; an encoding that comes all the same is part of what is stored."""
    origin.put("/f", CONTENT, gzip=True)
    got = bytearray()
    body = await origin_client.get(origin.url("/f"), ())
    await body.deliver(BodySink(got.extend, clock=reactor))
    assert gzip.decompress(bytes(got)) == CONTENT
    assert (await origin_client.probe(origin.url("/f"), ())).length == len(got)
    assert origin.requests("/f")[0].headers["accept-encoding"] == "identity"


# -- reaching it ------------------------------------------------------------------------


@ensureDeferred
async def test_nobody_listens(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """The error names host, port and cause."""
    url = origin.url("/f")
    port = origin.port
    await origin.stop()
    with pytest.raises(OriginUnreachable, match=f"127.0.0.1:{port}: connection refused"):
        await origin_client.probe(url, ())


@ensureDeferred
async def test_unknown_host(origin_client: OriginClient) -> None:
    """A name that does not exist says so."""
    with pytest.raises(OriginUnreachable, match=r"nosuch\.invalid:80: the name cannot be resolved"):
        await origin_client.get("http://nosuch.invalid/f", ())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "ftp://host/f",
        "http://",
        "http://[::1/f",
        "http://host:99999/f",
        "http://ho st/f",
        "http:///f",
        "file:///etc/passwd",
    ],
)
@ensureDeferred
async def test_malformed_url(origin_client: OriginClient, url: str) -> None:
    """What is no URL is the user's error, told before anything is sent."""
    with pytest.raises(ConfigError, match="malformed URL"):
        await origin_client.get(url, ())


@ensureDeferred
async def test_no_answer_in_time(origin: FakeOrigin) -> None:
    """A server that accepts and says nothing is given up."""
    client = OriginClient(reactor, policy=FetchPolicy(allow_loopback=True), answer_s=0.2)
    origin.put("/f", hold=Deferred())
    with pytest.raises(OriginUnreachable, match=r"no answer in 0.2 s"):
        await client.get(origin.url("/f"), ())
    await origin.requests("/f")[0].gone
    await client.close()


@ensureDeferred
async def test_which_connections_are_used_again(origin_client: OriginClient) -> None:
    """Those of checked bodies for such bodies, those of probes for probes; none with logins."""
    counting = Counting()
    port = reactor.listenTCP(0, counting, interface="127.0.0.1")
    url = f"http://127.0.0.1:{port.getHost().port}/f"
    login = ("Authorization", "Bearer x")
    made = []
    for _ in range(2):
        assert await read(origin_client, url, checked=True) == b"ok"
        made.append(counting.made)
    await origin_client.probe(url, (("Via", "1.1 here"),))
    made.append(counting.made)
    await origin_client.probe(url, ())
    made.append(counting.made)
    await read(origin_client, url, checked=True)
    made.append(counting.made)
    await read(origin_client, url, login, checked=True)
    await read(origin_client, url, login, checked=True)
    made.append(counting.made)
    await read(origin_client, url)
    made.append(counting.made)
    assert made == [1, 1, 2, 2, 2, 4, 5]
    await origin_client.close()
    await port.stopListening()


class Two(Protocol):
    """Answers whatever is asked with two bytes, and keeps the connection."""

    def dataReceived(self, data: bytes) -> None:
        """One request; small as they are here they come in one read."""
        assert self.transport is not None
        body = b"" if data.startswith(b"HEAD") else b"ok"
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)


class Counting(Factory):
    """Counts connections."""

    noisy = False
    made = 0

    def buildProtocol(self, addr: object) -> Protocol:
        """One more."""
        self.made += 1
        return Two()


@ensureDeferred
async def test_no_http(origin_client: OriginClient) -> None:
    """Something else listens there."""
    greeting = Factory.forProtocol(Greeting)
    port = reactor.listenTCP(0, greeting, interface="127.0.0.1")
    with pytest.raises(OriginUnreachable, match="makes no sense"):
        await origin_client.get(f"http://127.0.0.1:{port.getHost().port}/f", ())
    await port.stopListening()


class Greeting(Protocol):
    """Says something that is not HTTP."""

    def connectionMade(self) -> None:
        """Greet and hang up."""
        assert self.transport is not None
        self.transport.write(b"220 mail.example ESMTP\r\n\r\n")
        self.transport.loseConnection()
