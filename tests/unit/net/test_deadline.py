"""Deadlines: a timeout is told from a cancellation, whatever the work says."""

from __future__ import annotations

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.net.deadline import deadline


class DeadlineTests(SynchronousTestCase):
    """Every way in which work can end."""

    def setUp(self) -> None:
        """Work that says something of its own when it is cancelled."""
        self.clock = Clock()
        self.cancelled = 0
        self.work: Deferred[int] = Deferred(self.cancel)

    def tearDown(self) -> None:
        """However it ends, the timer goes with it."""
        assert self.clock.getDelayedCalls() == []

    def cancel(self, work: Deferred[int]) -> None:
        """As connecting does: no CancelledError."""
        self.cancelled += 1
        work.errback(ValueError("interrupted"))

    def test_in_time(self) -> None:
        """The result, and nothing afterwards."""
        result = deadline(self.work, 5.0, self.clock)
        self.clock.advance(4.9)
        self.work.callback(3)
        assert self.successResultOf(result) == 3

    def test_at_once(self) -> None:
        """Work that has ended already is just that."""
        assert self.successResultOf(deadline(succeed(1), 5.0, self.clock)) == 1
        self.failureResultOf(deadline(fail(KeyError()), 5.0, self.clock), KeyError)

    def test_own_failure(self) -> None:
        """The work's error comes through."""
        result = deadline(self.work, 5.0, self.clock)
        self.work.errback(KeyError("no"))
        self.failureResultOf(result, KeyError)

    def test_too_late(self) -> None:
        """The work is cancelled, and the error says timeout and how long."""
        result = deadline(self.work, 2.5, self.clock)
        self.clock.advance(2.5)
        failure = self.failureResultOf(result, defer.TimeoutError)
        assert str(failure.value) == "no answer in 2.5 s"
        assert self.cancelled == 1

    def test_cancelled(self) -> None:
        """The work is cancelled, and the error says cancelled, whatever the work says."""
        result = deadline(self.work, 2.5, self.clock)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        assert self.cancelled == 1

    def test_work_that_answers_when_it_is_cancelled(self) -> None:
        """A result that comes of the timeout is too late all the same."""
        stubborn: Deferred[int] = Deferred(lambda work: work.callback(7))
        result = deadline(stubborn, 1.0, self.clock)
        self.clock.advance(1.0)
        self.failureResultOf(result, defer.TimeoutError)
