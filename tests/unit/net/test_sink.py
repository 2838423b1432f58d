"""The body reader: how a body may end, pausing, cancelling, silence."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from dragonfly.errors import OriginTruncated
from dragonfly.net.sink import LONGEST_PAUSE_S, BodySink

DONE = Failure(ResponseDone())


@implementer(IPushProducer)
class Connection:
    """What a response gives its reader for a transport."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        """Noted."""
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """Noted."""
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """Noted."""
        self.calls.append("stop")


class SinkTestCase(SynchronousTestCase):
    """A sink on a connection, and what it handed on."""

    def setUp(self) -> None:
        """Nothing has been made yet."""
        self.clock = Clock()
        self.connection = Connection()
        self.got: list[bytes] = []

    def tearDown(self) -> None:
        """However a body ends, no timer is left."""
        assert self.clock.getDelayedCalls() == []

    def sink(self, expected: int | None = None, what: str = "") -> BodySink:
        """A connected sink that is silent for at most 10 s."""
        made = BodySink(
            self.got.append, clock=self.clock, expected=expected, stall_s=10.0, what=what
        )
        made.makeConnection(self.connection)
        return made

    def truncated(self, sink: BodySink) -> str:
        """The text of the error that it ended with."""
        error = self.failureResultOf(sink.done, OriginTruncated).value
        return str(error)


class EndTests(SinkTestCase):
    """Only a body of the right length, or one whose framing says so, is whole."""

    def test_whole(self) -> None:
        """The number of bytes, after all of them were handed on."""
        sink = self.sink(expected=6)
        sink.dataReceived(b"abc")
        sink.dataReceived(b"def")
        self.assertNoResult(sink.done)
        sink.connectionLost(DONE)
        assert self.successResultOf(sink.done) == 6
        assert self.got == [b"abc", b"def"]

    def test_empty(self) -> None:
        """Nothing expected and nothing come is whole."""
        sink = self.sink(expected=0)
        sink.connectionLost(DONE)
        assert self.successResultOf(sink.done) == 0

    def test_length_decides(self) -> None:
        """All announced bytes are the body, however untidy the connection ended."""
        sink = self.sink(expected=3)
        sink.dataReceived(b"abc")
        sink.connectionLost(Failure(ConnectionLost()))
        assert self.successResultOf(sink.done) == 3

    def test_too_short(self) -> None:
        """Both numbers and the cause, even when the server says that it was all."""
        sink = self.sink(expected=6, what="http://host/f")
        sink.dataReceived(b"abc")
        sink.connectionLost(Failure(ConnectionLost()))
        text = self.truncated(sink)
        assert text == (
            "http://host/f: the body ended after 3 of 6 bytes (the connection was lost)"
        )
        clean = self.sink(expected=6)
        clean.connectionLost(DONE)
        assert self.truncated(clean) == "the body ended after 0 of 6 bytes"

    def test_too_long(self) -> None:
        """The byte too many ends it, before it is handed on."""
        sink = self.sink(expected=4)
        sink.dataReceived(b"abc")
        sink.dataReceived(b"de")
        assert "more than the announced 4 bytes" in self.truncated(sink)
        assert self.got == [b"abc"]
        assert self.connection.calls == ["stop"]
        sink.dataReceived(b"f")
        sink.connectionLost(DONE)
        assert self.got == [b"abc"]

    def test_without_a_length(self) -> None:
        """The framing decides: the last chunk, or the end of an old server's connection."""
        for reason in (ResponseDone(), PotentialDataLoss()):
            sink = self.sink()
            sink.dataReceived(b"abc")
            sink.connectionLost(Failure(reason))
            assert self.successResultOf(sink.done) == 3

    def test_cut_without_a_length(self) -> None:
        """A connection that ends before the last chunk is a cut."""
        sink = self.sink()
        sink.dataReceived(b"abc")
        sink.connectionLost(Failure(ConnectionDone()))
        assert self.truncated(sink) == "the body was cut after 3 bytes (the connection was closed)"

    def test_a_reader_that_fails(self) -> None:
        """What it raises is the result, and the server is told to stop."""

        def refuse(data: bytes) -> None:
            raise ZeroDivisionError

        sink = BodySink(refuse, clock=self.clock)
        sink.makeConnection(self.connection)
        sink.dataReceived(b"abc")
        self.failureResultOf(sink.done, ZeroDivisionError)
        assert self.connection.calls == ["stop"]


class CancelTests(SinkTestCase):
    """Cancelling closes the connection, whenever it comes."""

    def test_in_the_middle(self) -> None:
        """Not a byte more is handed on."""
        sink = self.sink()
        sink.dataReceived(b"abc")
        sink.done.cancel()
        self.failureResultOf(sink.done, CancelledError)
        assert self.connection.calls == ["stop"]
        sink.dataReceived(b"def")
        sink.connectionLost(Failure(ConnectionDone()))
        assert self.got == [b"abc"]

    def test_before_there_is_a_connection(self) -> None:
        """It is closed as soon as it comes."""
        sink = BodySink(self.got.append, clock=self.clock)
        sink.done.cancel()
        self.failureResultOf(sink.done, CancelledError)
        sink.makeConnection(self.connection)
        assert self.connection.calls == ["stop"]

    def test_from_inside_the_reader(self) -> None:
        """The reader may have enough."""
        sinks: list[BodySink] = []
        sink = BodySink(lambda data: sinks[0].done.cancel(), clock=self.clock)
        sinks.append(sink)
        sink.makeConnection(self.connection)
        sink.dataReceived(b"abc")
        self.failureResultOf(sink.done, CancelledError)
        assert self.connection.calls == ["stop"]

    def test_from_inside_a_reader_that_fails_then(self) -> None:
        """Its error has nowhere to go any more, and is not in the way."""
        sinks: list[BodySink] = []

        def leave(data: bytes) -> None:
            sinks[0].done.cancel()
            raise ZeroDivisionError

        sinks.append(BodySink(leave, clock=self.clock))
        sinks[0].makeConnection(self.connection)
        sinks[0].dataReceived(b"abc")
        self.failureResultOf(sinks[0].done, CancelledError)


class PauseTests(SinkTestCase):
    """A reader that cannot keep up holds the server back."""

    def test_pausing(self) -> None:
        """Once each way, however often it is asked for."""
        sink = self.sink()
        for call in (sink.pause, sink.pause, sink.resume, sink.resume):
            call()
        assert self.connection.calls == ["pause", "resume"]
        assert not sink.paused
        sink.done.cancel()
        self.failureResultOf(sink.done)

    def test_paused_before_it_begins(self) -> None:
        """The first byte waits too."""
        sink = BodySink(self.got.append, clock=self.clock)
        sink.pause()
        sink.makeConnection(self.connection)
        assert self.connection.calls == ["pause"]
        sink.resume()
        assert self.connection.calls == ["pause", "resume"]
        sink.connectionLost(DONE)
        self.successResultOf(sink.done)

    def test_paused_before_somebody_resumes_it(self) -> None:
        """Twisted resumes a transport once when it has given it to the sink."""
        sink = BodySink(self.got.append, clock=self.clock)
        sink.pause()
        sink.makeConnection(self.connection)
        self.connection.resumeProducing()
        sink.dataReceived(b"abc")
        assert self.connection.calls == ["pause", "resume", "pause"]
        assert sink.paused
        sink.connectionLost(DONE)
        self.successResultOf(sink.done)

    def test_what_was_read_already_still_comes(self) -> None:
        """TLS and Twisted hand over what they hold; it is counted, not lost."""
        sink = self.sink(expected=3)
        sink.pause()
        sink.dataReceived(b"abc")
        sink.connectionLost(DONE)
        assert self.successResultOf(sink.done) == 3

    def test_after_the_end(self) -> None:
        """There is nothing left to pause."""
        sink = self.sink()
        sink.connectionLost(DONE)
        sink.pause()
        sink.resume()
        assert self.connection.calls == []
        assert not sink.paused
        self.successResultOf(sink.done)


class SilenceTests(SinkTestCase):
    """No transfer hangs for ever."""

    def test_silence(self) -> None:
        """After the limit without a byte, and not a moment earlier."""
        sink = self.sink(expected=9)
        self.clock.advance(9.0)
        sink.dataReceived(b"abc")
        self.clock.advance(9.9)
        self.assertNoResult(sink.done)
        self.clock.advance(0.2)
        assert self.truncated(sink) == "the transfer fell silent for 10 s after 3 of 9 bytes"
        assert self.connection.calls == ["stop"]

    def test_our_own_pause_is_no_silence(self) -> None:
        """The server cannot send while we hold it."""
        sink = self.sink()
        sink.pause()
        self.clock.advance(60.0)
        self.assertNoResult(sink.done)
        sink.resume()
        self.clock.advance(9.0)
        self.assertNoResult(sink.done)
        self.clock.advance(1.1)
        assert "fell silent" in self.truncated(sink)

    def test_a_pause_that_is_forgotten(self) -> None:
        """A paused connection does not see the server go, so it has a limit of its own."""
        sink = self.sink()
        sink.pause()
        self.clock.advance(LONGEST_PAUSE_S + 1)
        assert "was left paused for 600 s" in self.truncated(sink)


@pytest.mark.parametrize("when", ["before", "after"])
def test_done_is_an_ordinary_deferred(when: str) -> None:
    """It can be waited for before or after the end."""
    clock = Clock()
    sink = BodySink(lambda data: None, clock=clock)
    seen: list[int] = []
    done: Deferred[int] = sink.done
    if when == "before":
        done.addCallback(seen.append)
    sink.makeConnection(Connection())
    sink.connectionLost(DONE)
    if when == "after":
        done.addCallback(seen.append)
    assert seen == [0]
    assert clock.getDelayedCalls() == []
