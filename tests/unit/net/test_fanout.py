"""One result, many waiters."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.net.fanout import OneShot


class OneShotTests(SynchronousTestCase):
    """Everybody gets the result, and nobody can take it from another."""

    def test_all_waiters_get_the_value(self) -> None:
        """Awaiting one Deferred twice gives None to the second; this must not."""
        shot: OneShot[str] = OneShot()
        first, second = shot.wait(), shot.wait()
        shot.fire("x")
        late = shot.wait()
        for waiter in (first, second, late):
            assert self.successResultOf(waiter) == "x"
        assert shot.fired

    def test_all_waiters_get_the_error(self) -> None:
        """An error goes to early and late waiters alike."""
        shot: OneShot[str] = OneShot()
        first = shot.wait()
        shot.fail(ValueError("no"))
        self.failureResultOf(first, ValueError)
        self.failureResultOf(shot.wait(), ValueError)

    def test_failure_objects_are_accepted(self) -> None:
        """Errbacks hold Failures; they are passed on as they are."""
        shot: OneShot[str] = OneShot()
        shot.fail(Failure(ValueError("no")))
        self.failureResultOf(shot.wait(), ValueError)

    def test_error_without_waiters_is_silent(self) -> None:
        """Nobody asked, so nothing is logged as unhandled (trial would fail)."""
        OneShot[None]().fail(ValueError("nobody listens"))

    def test_only_the_first_result_counts(self) -> None:
        """A late second result must not raise AlreadyCalledError in its caller."""
        shot: OneShot[int] = OneShot()
        shot.fire(1)
        shot.fire(2)
        shot.fail(ValueError())
        assert self.successResultOf(shot.wait()) == 1

    def test_cancelling_one_leaves_the_others(self) -> None:
        """The work belongs to all who wait."""
        gone: list[str] = []
        shot: OneShot[int] = OneShot(lambda: gone.append("abandoned"))
        first, second = shot.wait(), shot.wait()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        assert (gone, shot.waiters) == ([], 1)
        shot.fire(3)
        assert self.successResultOf(second) == 3

    def test_last_one_leaving_is_told(self) -> None:
        """That is when work that nobody wants can stop."""
        gone: list[str] = []
        shot: OneShot[int] = OneShot(lambda: gone.append("abandoned"))
        waiters = [shot.wait(), shot.wait()]
        for waiter in waiters:
            waiter.cancel()
            self.failureResultOf(waiter, CancelledError)
        assert gone == ["abandoned"]

    def test_waiter_cancelled_while_firing(self) -> None:
        """One waiter's callback may cancel the next one."""
        shot: OneShot[int] = OneShot(lambda: self.fail("it has fired"))
        first, second = shot.wait(), shot.wait()
        first.addCallback(lambda _: second.cancel())
        shot.fire(1)
        self.failureResultOf(second, CancelledError)

    def test_waiting_inside_a_callback(self) -> None:
        """Asking again while the result goes round gives the result."""
        shot: OneShot[int] = OneShot()
        again: list[Deferred[int]] = []
        shot.wait().addCallback(lambda _: again.append(shot.wait()))
        shot.fire(7)
        assert self.successResultOf(again[0]) == 7


def test_fired_is_false_at_first() -> None:
    """Callers look before they start work."""
    assert not OneShot[int]().fired


@pytest.mark.parametrize("value", [None, 0, ""])
def test_empty_values_are_values(value: object) -> None:
    """A result of None is a result."""
    shot: OneShot[object] = OneShot()
    shot.fire(value)
    got: list[object] = []
    shot.wait().addCallback(got.append)
    assert got == [value]
