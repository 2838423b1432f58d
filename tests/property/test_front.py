"""The front against any split of its input, and against anything at all."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dragonfly.daemon.front.limits import FrontLimits
from dragonfly.daemon.http.messages import Responder
from tests.doubles.front import Body, ClientEnd, connect

LIMITS = FrontLimits(held_bytes=300, drain_bytes=100)

_names = st.sampled_from(["/", "/v2/", "/v2/a/blobs/sha256:00", "/x?y=z", "/x?y=\u00fc"])
_bodies = st.binary(max_size=150)


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    """One well-formed request, with or without a body."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT"]))
    version = draw(st.sampled_from(["1.0", "1.1"]))
    lines = ["Host: a"]
    if version == "1.0":
        lines.append("Connection: keep-alive")
    body = draw(_bodies) if method in ("POST", "PUT") else b""
    if body and version == "1.1" and draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        cut = draw(st.integers(0, len(body)))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([f"{method} {draw(_names)} HTTP/{version}", *lines, "", ""])
    return head.encode() + body


class _Whole(Body):
    """Waits for all of a body."""

    def __init__(self) -> None:
        super().__init__()
        self.done: Deferred[None] = Deferred()

    def body_ended(self) -> None:
        self.done.callback(None)

    def body_lost(self, error: Exception) -> None:
        self.done.errback(error)


async def _answer(responder: Responder) -> None:
    """Echo what comes, or refuse without taking the body."""
    head = responder.head
    if head.method == b"POST" and b"blobs" in head.target:
        responder.start(401, ((b"Content-Length", b"2"),))
        responder.write(b"no")
        responder.finish()
        return
    body = _Whole()
    responder.body.deliver(body)
    await body.done
    text = b"%s %s %s" % (head.method, head.target, body.whole)
    chunked = b"x" in head.target
    responder.start(200, () if chunked else ((b"Content-Length", b"%d" % len(text)),))
    responder.write(text[:5])
    responder.write(text[5:])
    responder.finish()


def _feed(stream: bytes, cuts: list[int]) -> tuple[ClientEnd, Clock]:
    """Send that in pieces; each is read as far as it can be before the next one comes."""
    clock = Clock()
    end = connect(_answer, clock, limits=LIMITS)
    places = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    for start, stop in pairwise(places):
        if stop > start and not end.gone:
            end.send(stream[start:stop])
        for _ in range(stream.count(b"HTTP") + 1):
            clock.advance(0)
    return end, clock


_cuts = st.lists(st.integers(0, 5000), max_size=12)


@given(st.lists(_requests(), min_size=1, max_size=6), _cuts)
def test_any_split(requests: list[bytes], cuts: list[int]) -> None:
    """However a stream of requests is cut, the answers are the same."""
    stream = b"".join(requests)
    whole, _ = _feed(stream, [])
    split, clock = _feed(stream, cuts)
    assert split.got == whole.got
    assert (split.state == "open") is (whole.state == "open")
    split.hang_up()
    assert clock.getDelayedCalls() == []


@given(st.lists(_requests(), min_size=1, max_size=3))
def test_byte_by_byte(requests: list[bytes]) -> None:
    """The finest cut of all."""
    stream = b"".join(requests)
    assert _feed(stream, list(range(len(stream))))[0].got == _feed(stream, [])[0].got


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """Requests in which a few bytes are others."""
    stream = bytearray(b"".join(draw(st.lists(_requests(), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 4))):
        stream[draw(st.integers(0, len(stream) - 1))] = draw(st.integers(0, 255))
    return bytes(stream[: draw(st.integers(0, len(stream)))])


@given(st.one_of(st.binary(max_size=600), _damaged()), _cuts)
@example(b"", [])
@example(b"\x16\x03\x01\x02\x00", [1])
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", [])
@example(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", [])
@example(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n\0\0", [])
def test_anything(stream: bytes, cuts: list[int]) -> None:
    """Whatever comes, nothing is raised, and time closes the connection."""
    end, clock = _feed(stream, cuts)
    longest = max(LIMITS.head_s, LIMITS.idle_s, LIMITS.body_silence_s)
    for _ in range(4):
        clock.advance(longest)
    assert end.gone
    assert clock.getDelayedCalls() == []
    assert end.got == b"" or end.got.startswith(b"HTTP/1.1 ")
