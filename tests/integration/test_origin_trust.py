"""The origin client and what must not leak: credentials, addresses, connections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol

from dragonfly.errors import (
    AddressRefused,
    OriginError,
    OriginRefused,
    OriginUnreachable,
    OriginUntrusted,
)
from dragonfly.net.addresses import FetchPolicy
from dragonfly.net.origin import OriginClient
from dragonfly.net.originrequests import MAX_WAITING
from dragonfly.net.sink import BodySink
from dragonfly.net.tls import load_or_make_certificate
from dragonfly.net.trust import Trust
from tests.doubles.names import Names, WithNames
from tests.doubles.origin import FakeOrigin
from tests.doubles.peers import until

CONTENT = bytes(range(256)) * 4000
LOOPBACK = FetchPolicy(allow_loopback=True)


# -- credentials and redirects ------------------------------------------------------------


@ensureDeferred
async def test_headers_reach_the_origin(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """The caller's own headers decide what the origin answers."""
    origin.put("/basic", CONTENT, basic=("user", "pa:ss"))
    origin.put("/token", CONTENT, token="t0ken")
    url = origin.url("/basic", userinfo="user:pa%3Ass")
    assert (await origin_client.probe(url, ())).status == 200
    bearer = ("Authorization", "Bearer t0ken")
    assert (await origin_client.probe(origin.url("/token"), (bearer,))).status == 200
    with pytest.raises(OriginRefused) as caught:
        await origin_client.get(origin.url("/basic", userinfo="user:wrong"), ())
    assert caught.value.status == 401


@ensureDeferred
async def test_header_beats_userinfo(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """An explicit Authorization header is the later word."""
    origin.put("/f", CONTENT, token="t0ken")
    url = origin.url("/f", userinfo="user:pw")
    await origin_client.probe(url, (("authorization", "Bearer t0ken"),))
    assert origin.requests("/f")[0].headers["authorization"] == "Bearer t0ken"


@ensureDeferred
async def test_our_headers_are_ours(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A caller can neither name another host nor ask for another encoding or range."""
    origin.put("/f", CONTENT)
    theirs = (
        ("Host", "internal.example"),
        ("Range", "bytes=5-"),
        ("accept-encoding", "gzip"),
        ("If-None-Match", '"v1"'),
        ("Transfer-Encoding", "chunked"),
        ("X-Kept", "yes"),
    )
    reply = await origin_client.probe(origin.url("/f"), theirs)
    got = origin.requests("/f")[0].headers
    assert got["host"] == f"127.0.0.1:{origin.port}"
    assert got["accept-encoding"] == "identity"
    assert got["x-kept"] == "yes"
    assert not {"range", "if-none-match", "transfer-encoding"} & set(got)
    assert reply.length == len(CONTENT)


@ensureDeferred
async def test_credentials_stay_with_their_origin(
    origin: FakeOrigin, other_origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """A registry's redirect to an object store must not carry the registry's token."""
    origin.put("/a", redirect="/b")
    origin.put("/b", redirect=other_origin.url("/c"))
    other_origin.put("/c", redirect=origin.url("/d"))
    origin.put("/d", CONTENT)
    secrets = (("Authorization", "Bearer s"), ("Cookie", "c=1"), ("X-Api-Key", "k"))
    harmless = ("Accept", "application/x"), ("User-Agent", "test/1")
    body = await origin_client.get(origin.url("/a"), (*secrets, *harmless))
    body.close()
    same = origin.requests("/b")[0].headers
    assert (same["authorization"], same["cookie"], same["x-api-key"]) == ("Bearer s", "c=1", "k")
    for entry in other_origin.requests("/c") + origin.requests("/d"):
        assert not {"authorization", "cookie", "x-api-key"} & set(entry.headers)
        assert (entry.headers["accept"], entry.headers["user-agent"]) == ("application/x", "test/1")
    assert body.reply.url == origin.url("/d")


@ensureDeferred
async def test_userinfo_in_a_redirect_is_dropped(
    origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """An origin cannot make us log in somewhere."""
    origin.put("/a", redirect=origin.url("/b", userinfo="who:what"))
    origin.put("/b", CONTENT)
    reply = await origin_client.probe(origin.url("/a"), ())
    assert "authorization" not in origin.requests("/b")[0].headers
    assert "what" not in reply.url


@ensureDeferred
async def test_redirect_loop(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A loop ends at once, and says what it is."""
    origin.put("/a", redirect="/b")
    origin.put("/b", redirect="/a#again")
    with pytest.raises(OriginRefused, match="redirect loop"):
        await origin_client.get(origin.url("/a"), ())
    assert len(origin.log) == 2


@ensureDeferred
async def test_too_many_redirects(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A way without end ends after ten hops."""
    for n in range(20):
        origin.put(f"/{n}", redirect=f"/{n + 1}")
    with pytest.raises(OriginRefused, match="more than 10 redirects"):
        await origin_client.get(origin.url("/0"), ())
    assert len(origin.log) == 11


@pytest.mark.parametrize("location", ["", "ftp://host/f", "http://[::1", "javascript:x()"])
@ensureDeferred
async def test_useless_redirects(
    origin: FakeOrigin, origin_client: OriginClient, location: str
) -> None:
    """A Location that cannot be fetched is the origin's fault."""
    origin.put("/f", status=302, headers={"Location": location} if location else {})
    with pytest.raises(OriginRefused, match="redirects"):
        await origin_client.get(origin.url("/f"), ())


@ensureDeferred
async def test_redirect_bodies_pin_nothing(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """A redirect may have a body as large as it likes; nobody waits for it."""
    origin.put("/a", bytes(32 << 20), redirect="/f")
    origin.put("/f", CONTENT)
    body = await origin_client.get(origin.url("/a"), ())
    body.close()
    await origin.requests("/a")[0].gone


@ensureDeferred
async def test_secrets_stay_out_of_errors(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Userinfo, signed queries and header values must not reach logs by way of errors."""
    origin.put("/loop", redirect="/loop?Signature=s3cret")
    origin.put("/cut", CONTENT, cut_after=5)
    page = origin.put("/changing", CONTENT)
    headers = (("Authorization", "Bearer s3cret"), ("Bad Name s3cret", "x"))
    texts: list[str] = []
    for path in ("/absent", "/loop", "/cut"):
        for pairs in (headers[:1], headers):
            url = origin.url(f"{path}?Signature=s3cret", userinfo="user:s3cret")
            texts.append(await failure_text(origin_client, url, pairs))
    page.hold = Deferred()
    hopeless = OriginClient(reactor, policy=LOOPBACK, answer_s=0.1)
    texts.append(await failure_text(hopeless, origin.url("/changing?s3cret"), headers[:1]))
    texts.append(await failure_text(hopeless, "http://user:s3cret@host:999999/?s3cret", ()))
    texts.append(await failure_text(hopeless, "http://user:s3cret@127.0.0.1:1/?s3cret", ()))
    await hopeless.close()
    assert not [text for text in texts if "s3cret" in text]


async def failure_text(client: OriginClient, url: str, headers: Any) -> str:
    """Return all that a log could show of the error that a GET ends with."""
    try:
        body = await client.get(url, headers)
        await body.deliver(BodySink(lambda data: None, clock=reactor))
    except Exception as exc:
        return f"{exc!r} {exc} {exc.__cause__!r}"
    raise AssertionError("it did not fail")


# -- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "0177.1"]
)
@ensureDeferred
async def test_loopback_is_not_fetched_for_others(origin: FakeOrigin, host: str) -> None:
    """However it is written: what listens on the supernode's loopback is its own."""
    origin.put("/f", CONTENT)
    client = OriginClient(reactor)
    with pytest.raises(AddressRefused, match="loopback"):
        await client.probe(origin.url("/f", host=host), ())
    assert origin.connections == 0


@ensureDeferred
async def test_redirects_are_checked_too(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """An allowed origin cannot send us to a cloud's metadata service."""
    origin.put("/f", redirect="http://169.254.169.254/latest/meta-data/")
    with pytest.raises(AddressRefused, match="link-local"):
        await origin_client.get(origin.url("/f"), ())


@ensureDeferred
async def test_checked_address_is_the_connected_one(origin: FakeOrigin) -> None:
    """A name that resolves to something else the second time gains nothing."""
    names = Names(rebind=[["127.0.0.1"], ["169.254.169.254"]])
    client = OriginClient(WithNames(names, reactor), policy=LOOPBACK)
    origin.put("/f", CONTENT, headers={"Connection": "close"})
    url = origin.url("/f", host="rebind")
    assert (await client.probe(url, (("X-Any", "1"),))).status == 200
    with pytest.raises(AddressRefused, match="is a link-local address"):
        await client.probe(url, (("X-Any", "1"),))
    await client.close()


@ensureDeferred
async def test_other_addresses_are_tried(origin: FakeOrigin) -> None:
    """Of several addresses the refused are left out and the dead are passed over."""
    names = Names(many=[["169.254.169.254", "224.0.0.1", "127.0.0.2", "127.0.0.1"]])
    client = OriginClient(WithNames(names, reactor), policy=LOOPBACK)
    origin.put("/f", CONTENT)
    assert (await client.probe(origin.url("/f", host="many"), ())).length == len(CONTENT)
    await client.close()


# -- TLS --------------------------------------------------------------------------------------


@ensureDeferred
async def test_certificates(tmp_path: Path) -> None:
    """Trust is per client: none, a file, or anybody; the error says what failed where."""
    certificate = load_or_make_certificate(tmp_path)
    server = FakeOrigin(reactor, tls=certificate.options())
    await server.start()
    server.put("/f", CONTENT)
    believing = [Trust(cacerts=str(certificate.path)), Trust(insecure=True)]
    for trust in believing:
        client = OriginClient(reactor, policy=LOOPBACK, trust=trust)
        for host in ("localhost", "127.0.0.1"):
            body = await client.get(server.url("/f", host=host), ())
            sink = BodySink(lambda data: None, clock=reactor)
            assert await body.deliver(sink) == len(CONTENT)
        await client.close()
    strict = OriginClient(reactor, policy=LOOPBACK)
    with pytest.raises(OriginUntrusted, match=f"localhost:{server.port}: certificate verify"):
        await strict.get(server.url("/f", host="localhost"), ())
    await server.stop()


@ensureDeferred
async def test_certificate_of_another_name(tmp_path: Path) -> None:
    """A believed certificate for another host is none for this one."""
    certificate = load_or_make_certificate(tmp_path)
    server = FakeOrigin(reactor, tls=certificate.options())
    await server.start()
    names = Names(elsewhere=[["127.0.0.1"]])
    trust = Trust(cacerts=str(certificate.path))
    client = OriginClient(WithNames(names, reactor), policy=LOOPBACK, trust=trust)
    with pytest.raises(OriginUntrusted, match="certificate verify failed"):
        await client.get(server.url("/f", host="elsewhere"), ())
    await server.stop()


class PlainServer(Protocol):
    """Answers what is no request line as nginx, Apache and Go do: with a page, at once."""

    def dataReceived(self, data: bytes) -> None:
        """Refuse whatever it is."""
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        self.transport.loseConnection()


@ensureDeferred
async def test_plain_server_behind_https(origin_client: OriginClient) -> None:
    """https to a plain port is told as what it is, as soon as the server says a word."""
    port = reactor.listenTCP(0, Factory.forProtocol(PlainServer), interface="127.0.0.1")
    with pytest.raises(OriginUnreachable, match="TLS failed"):
        await origin_client.get(f"https://127.0.0.1:{port.getHost().port}/f", ())
    await port.stopListening()


@ensureDeferred
async def test_silent_server_behind_https(origin: FakeOrigin) -> None:
    """A server that takes a TLS greeting for half a line and waits is not waited for."""
    client = OriginClient(reactor, policy=LOOPBACK, answer_s=0.1)
    url = origin.url("/f").replace("http:", "https:")
    with pytest.raises(OriginUnreachable, match=r"no answer in 0.1 s|TLS failed"):
        await client.get(url, ())
    await client.close()


# -- flow and connections -----------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@ensureDeferred
async def test_cancelling_stops_the_transfer(secure: bool, tmp_path: Path) -> None:
    """After cancel the server is gone and not a byte more arrives."""
    tls = load_or_make_certificate(tmp_path).options() if secure else None
    server = FakeOrigin(reactor, tls=tls)
    await server.start()
    server.put("/f", bytes(256 << 20))
    client = OriginClient(reactor, policy=LOOPBACK, trust=Trust(insecure=True))
    body = await client.get(server.url("/f"), ())
    enough: Deferred[None] = Deferred()
    sink = BodySink(lambda data: enough.called or enough.callback(None), clock=reactor)
    done = body.deliver(sink)
    await enough
    done.cancel()
    received = sink.received
    with pytest.raises(CancelledError):
        await done
    entry = server.requests("/f")[0]
    await entry.gone
    assert sink.received == received
    assert not entry.finished
    await server.stop()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@ensureDeferred
async def test_pausing_reaches_the_server(secure: bool, tmp_path: Path) -> None:
    """A reader that pauses holds the server back, whatever the size of the body."""
    size = 64 << 20
    tls = load_or_make_certificate(tmp_path).options() if secure else None
    server = FakeOrigin(reactor, tls=tls)
    await server.start()
    server.put("/f", bytes(size))
    server.put("/g", b"done")
    client = OriginClient(reactor, policy=LOOPBACK, trust=Trust(insecure=True))
    body = await client.get(server.url("/f"), ())
    paused: Deferred[None] = Deferred()

    def take(data: bytes) -> None:
        if not paused.called:
            sink.pause()
            paused.callback(None)

    sink = BodySink(take, clock=reactor)
    done = body.deliver(sink)
    await paused
    for _ in range(20):  # other work goes on meanwhile
        (await client.get(server.url("/g"), ())).close()
    assert server.requests("/f")[0].sent < size // 4
    assert sink.received < size // 4
    sink.resume()
    assert await done == size
    await server.stop()


@ensureDeferred
async def test_cancelling_a_request(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """Cancelling before the answer closes the connection and is seen as a cancellation."""
    hold: Deferred[None] = Deferred()
    origin.put("/f", CONTENT, hold=hold)
    asking = Deferred.fromCoroutine(origin_client.get(origin.url("/f"), ()))
    await until(lambda: origin.requests("/f"))
    asking.cancel()
    with pytest.raises(CancelledError):
        await asking
    await origin.requests("/f")[0].gone


@ensureDeferred
async def test_connections_are_not_shared_between_callers(
    origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """Anonymous probes share a connection; who shows credentials gets one of his own."""
    origin.put("/f", CONTENT)
    for _ in range(5):
        await origin_client.probe(origin.url("/f"), ())
    assert origin.connections == 1
    for _ in range(2):
        await origin_client.probe(origin.url("/f"), (("Cookie", "a=1"),))
    assert origin.connections == 3


@ensureDeferred
async def test_few_requests_wait_at_one_origin(
    origin: FakeOrigin, other_origin: FakeOrigin, origin_client: OriginClient
) -> None:
    """A slow origin is not flooded, and holds up nobody but its own callers."""
    hold: Deferred[None] = Deferred()
    origin.put("/f", CONTENT, hold=hold)
    other_origin.put("/g", CONTENT)
    probes = [
        Deferred.fromCoroutine(origin_client.probe(origin.url("/f"), ()))
        for _ in range(MAX_WAITING + 9)
    ]
    for _ in range(MAX_WAITING):
        await origin_client.probe(other_origin.url("/g"), ())
    assert origin.count("/f") == MAX_WAITING
    hold.callback(None)
    for probe in probes:
        assert (await probe).status == 200
    assert origin.count("/f") == MAX_WAITING + 9


@ensureDeferred
async def test_error_bodies_pin_nothing(origin: FakeOrigin, origin_client: OriginClient) -> None:
    """The body of a refusal is not waited for."""
    origin.put("/f", bytes(32 << 20), status=500)
    with pytest.raises(OriginError):
        await origin_client.get(origin.url("/f"), ())
    await origin.requests("/f")[0].gone
