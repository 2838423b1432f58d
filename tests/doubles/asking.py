"""One connection of a client with the front, narrow limits, and answers given by hand."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.daemon.front.limits import FrontLimits
from tests.doubles.front import Answers, ClientEnd, bodies, connect

__all__ = ["GET", "LIMITS", "Asking", "assert_quiet", "post", "said"]

LIMITS = FrontLimits(
    head_bytes=1000,
    header_lines=10,
    target_bytes=300,
    head_s=5,
    idle_s=30,
    body_silence_s=10,
    write_stall_s=100,
    held_bytes=500,
    drain_bytes=50,
    linger_bytes=10_000,
    linger_s=2,
)
GET = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"


class Asking:
    """A connection and its answers."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.answers = Answers()
        self.end = connect(self.answers, self.clock, limits=LIMITS)

    def turn(self) -> None:
        """Let what was put off to the next turn run."""
        self.clock.advance(0)


def post(length: int, sent: bytes = b"", more: bytes = b"") -> bytes:
    """A request with a body."""
    return b"POST /up HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s" % (more, length, sent)


def said(end: ClientEnd) -> str:
    """The text of the last answer."""
    return bodies(end.got)[-1][1].decode()


def assert_quiet(asking: Asking) -> None:
    """The connection is gone and left no timer."""
    assert asking.end.gone
    assert asking.clock.getDelayedCalls() == []
