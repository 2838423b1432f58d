"""Bodies that nobody wants: a short one is read, a long one costs its connection."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer

from dragonfly.net.drain import discard


@implementer(IPushProducer)
class Response:
    """A response of some length, and its connection."""

    def __init__(self, length: object) -> None:
        self.length = length
        self.closed = False
        self.reader: Any = None

    def deliverBody(self, reader: IProtocol) -> None:
        """Connect the reader."""
        self.reader = reader
        reader.makeConnection(cast("Any", self))

    def pauseProducing(self) -> None:
        """Not used."""

    def resumeProducing(self) -> None:
        """Not used."""

    def stopProducing(self) -> None:
        """The connection is closed."""
        self.closed = True


def discarded(length: object) -> tuple[Response, Clock]:
    """A response whose body was discarded."""
    response, clock = Response(length), Clock()
    discard(cast("IResponse", response), clock)
    assert response.reader is not None, "an unread body pins its connection"
    return response, clock


@pytest.mark.parametrize("length", [0, 1, 16 * 1024])
def test_a_short_body_is_read(length: int) -> None:
    """Its connection can be used again afterwards."""
    response, clock = discarded(length)
    response.reader.dataReceived(bytes(length))
    response.reader.connectionLost(Failure(ResponseDone()))
    assert not response.closed
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("length", [16 * 1024 + 1, 1 << 40, UNKNOWN_LENGTH])
def test_a_long_body_is_cut(length: object) -> None:
    """Nobody waits for it, nor for one whose length nobody knows."""
    response, clock = discarded(length)
    assert response.closed
    assert clock.getDelayedCalls() == []


def test_a_slow_body_is_cut() -> None:
    """A server that announces little and sends nothing pins nothing either."""
    response, clock = discarded(100)
    assert not response.closed
    clock.advance(5.0)
    assert response.closed
    assert clock.getDelayedCalls() == []


def test_a_body_that_breaks() -> None:
    """Its error interests nobody; in particular it is not logged."""
    response, clock = discarded(100)
    response.reader.connectionLost(Failure(ResponseDone()))
    assert clock.getDelayedCalls() == []
