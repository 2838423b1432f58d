"""Trying again: which errors, how often, how long apart."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.errors import OriginRefused, OriginUnreachable
from dragonfly.net.retry import delays, retry


class RetryTests(SynchronousTestCase):
    """Attempts that fail as a list says."""

    def setUp(self) -> None:
        """No attempt was made."""
        self.clock = Clock()
        self.attempts = 0

    def trying(self, *outcomes: Exception | str, waits: tuple[float, ...]) -> Deferred[str]:
        """Retry an attempt with these outcomes."""
        left = iter(outcomes)

        async def attempt() -> str:
            self.attempts += 1
            outcome = next(left)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return Deferred.fromCoroutine(retry(attempt, clock=self.clock, waits=waits))

    def test_at_once(self) -> None:
        """What works is not tried again."""
        assert self.successResultOf(self.trying("x", waits=(1.0,))) == "x"
        assert self.attempts == 1

    def test_after_waits(self) -> None:
        """Each failure is followed by the next wait, to the moment."""
        gone = OriginUnreachable("gone")
        result = self.trying(gone, gone, "x", waits=(1.0, 2.0, 4.0))
        self.clock.advance(0.9)
        assert self.attempts == 1
        self.clock.advance(0.1)
        assert self.attempts == 2
        self.clock.advance(2.0)
        assert self.successResultOf(result) == "x"
        assert self.clock.getDelayedCalls() == []

    def test_when_waits_are_used_up(self) -> None:
        """The last error is the result."""
        result = self.trying(OriginUnreachable("1"), OriginUnreachable("2"), waits=(1.0,))
        self.clock.advance(1.0)
        assert str(self.failureResultOf(result, OriginUnreachable).value) == "2"

    def test_without_waits(self) -> None:
        """One attempt."""
        self.failureResultOf(self.trying(OriginUnreachable("1"), waits=()), OriginUnreachable)

    def test_errors_that_stay(self) -> None:
        """A refusal is not asked for twice, nor is a bug repeated."""
        self.failureResultOf(self.trying(OriginRefused("no", 404), waits=(1.0,)), OriginRefused)
        self.failureResultOf(self.trying(KeyError("bug"), waits=(1.0,)), KeyError)
        assert self.attempts == 2

    def test_another_rule(self) -> None:
        """The caller may know better which errors pass."""

        async def attempt() -> str:
            self.attempts += 1
            raise OriginRefused("busy", 503)

        coroutine = retry(
            attempt,
            clock=self.clock,
            waits=(1.0,),
            again=lambda error: isinstance(error, OriginRefused) and error.status == 503,
        )
        result = Deferred.fromCoroutine(coroutine)
        self.clock.advance(1.0)
        self.failureResultOf(result, OriginRefused)
        assert self.attempts == 2

    def test_cancelling_a_wait(self) -> None:
        """No further attempt, no timer."""
        result = self.trying(OriginUnreachable("1"), "x", waits=(1.0,))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        assert self.clock.getDelayedCalls() == []
        assert self.attempts == 1

    def test_cancelling_an_attempt(self) -> None:
        """It is the attempt that is cancelled, and it is not made again."""
        work: Deferred[str] = Deferred()

        async def attempt() -> str:
            self.attempts += 1
            return await work

        result = Deferred.fromCoroutine(retry(attempt, clock=self.clock, waits=(1.0, 1.0)))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        assert work.called
        assert self.attempts == 1


@pytest.mark.parametrize("seed", range(5))
def test_waits_grow_with_jitter(seed: int) -> None:
    """Doubling from the first up to the most, each anywhere in its upper half."""
    waits = delays(random.Random(seed), first_s=1.0, most_s=5.0)
    for nominal, wait_s in zip([1.0, 2.0, 4.0, 5.0, 5.0], waits, strict=False):
        assert nominal / 2 <= wait_s <= nominal


def test_two_clients_do_not_come_back_together() -> None:
    """That is what the jitter is for."""
    one, other = (list(take(delays(random.Random(seed)))) for seed in (1, 2))
    assert one != other


def test_a_bounded_number() -> None:
    """As many as asked for."""
    assert len(list(delays(random.Random(1), count=3))) == 3
    assert list(delays(random.Random(1), count=0)) == []


def take(waits: Iterator[float]) -> Iterator[float]:
    """The first few of a series without end."""
    return itertools.islice(waits, 5)
