"""The disk pool: order for each file, bounded queues, answers, cancelling, the end."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.net.disk import BATCH_JOBS, DiskPool
from tests.doubles.threads import HandThreads


class CountingThreads(HandThreads):
    """Counts how often the threads were ended; a real pool minds the second time."""

    def __init__(self, *, direct: bool = False) -> None:
        super().__init__(direct=direct)
        self.ends = 0

    def stop(self) -> None:
        """End once more."""
        self.ends += 1
        super().stop()


class PoolTestCase(SynchronousTestCase):
    """A pool with small bounds, and a list that jobs write into."""

    def setUp(self) -> None:
        """A started pool: full at 100 bytes for one file, 150 in all."""
        self.threads = CountingThreads()
        self.disk = DiskPool(self.threads, threads=self.threads, total_high=150, key_high=100)
        self.disk.start()
        self.done: list[object] = []

    def job(self, key: str, what: object, cost: int = 0) -> Deferred[object]:
        """Give a job that writes ``what`` down and returns it."""

        def work() -> object:
            self.done.append(what)
            return what

        return self.disk.run(key, work, cost=cost)


class OrderTests(PoolTestCase):
    """Jobs of one file in their order, those of others beside them."""

    def test_answers(self) -> None:
        """Each caller gets what his job returned, after it ran and not before."""
        first, second = self.job("a", 1), self.job("a", 2)
        self.assertNoResult(first)
        self.threads.run()
        assert (self.successResultOf(first), self.successResultOf(second)) == (1, 2)
        assert self.done == [1, 2]

    def test_arguments(self) -> None:
        """They are handed on."""
        answer = self.disk.run("a", divmod, 17, 5)
        self.threads.run()
        assert self.successResultOf(answer) == (3, 2)

    def test_one_file_is_never_in_two_threads(self) -> None:
        """What comes while a job of the file runs waits for it; other files do not."""
        self.job("a", "a1")
        self.job("a", "a2")
        self.job("b", "b1")
        assert self.threads.waiting == 2
        self.threads.run(hops=1)
        assert self.done == ["a1"]
        assert self.threads.waiting == 2
        self.threads.run()
        assert self.done == ["a1", "b1", "a2"]

    def test_what_waits_goes_in_one_hop(self) -> None:
        """Many small jobs share the price of one, up to a bound that is fair to others."""
        answers = [self.job("a", n) for n in range(1 + BATCH_JOBS + 1)]
        self.threads.run(hops=1)
        assert self.done == [0]
        self.threads.run(hops=1)
        assert self.done == list(range(1 + BATCH_JOBS))
        self.assertNoResult(answers[-1])
        self.threads.run()
        assert self.successResultOf(answers[-1]) == 1 + BATCH_JOBS

    def test_a_job_given_by_an_answer(self) -> None:
        """It comes behind everything that waits already."""
        self.job("a", 1).addCallback(lambda _: self.job("a", 3))
        self.job("a", 2)
        self.threads.run()
        assert self.done == [1, 2, 3]


class FailureTests(PoolTestCase):
    """A job that fails harms nobody else."""

    def test_errors_go_to_their_caller(self) -> None:
        """And the jobs of the same hop run on."""
        self.job("a", 0)
        bad = self.disk.run("a", divmod, 1, 0)
        good = self.job("a", 2)
        self.threads.run()
        self.failureResultOf(bad, ZeroDivisionError)
        assert self.successResultOf(good) == 2

    def test_even_those_that_no_except_exception_sees(self) -> None:
        """A job that wants to end the process ends its answer; nobody would hang on it."""

        def leave() -> None:
            raise SystemExit(3)

        bad = self.disk.run("a", leave)
        self.threads.run()
        self.failureResultOf(bad, SystemExit)

    def test_a_job_that_returns_a_failure_for_nobody(self) -> None:
        """The error of a job whose answer was given up is dropped, not logged."""
        bad = self.disk.run("a", divmod, 1, 0)
        bad.cancel()
        self.failureResultOf(bad, CancelledError)
        self.threads.run()


class CancelTests(PoolTestCase):
    """Cancelling drops what has not begun, and the answer of what has."""

    def test_a_job_that_waits(self) -> None:
        """It never runs, and its bytes count no more."""
        self.job("a", 1, cost=10)
        waiting = self.job("a", 2, cost=20)
        last = self.job("a", 3, cost=30)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        assert self.disk.queued_bytes == 40
        self.threads.run()
        assert self.done == [1, 3]
        assert self.successResultOf(last) == 3
        assert self.disk.queued_bytes == 0

    def test_a_job_that_runs(self) -> None:
        """It cannot be taken back: it runs on, its bytes count, its answer goes nowhere."""
        running = self.job("a", 1, cost=10)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        assert self.disk.queued_bytes == 10
        self.threads.run()
        assert self.done == [1]
        assert self.disk.queued_bytes == 0

    def test_an_answer_that_cancels_its_neighbour(self) -> None:
        """Of two answers of one hop the first may give up the second."""
        self.job("a", 0)
        first, second = self.job("a", 1), self.job("a", 2)
        first.addCallback(lambda _: second.cancel())
        self.threads.run()
        self.failureResultOf(second, CancelledError)

    def test_cancelling_too_late(self) -> None:
        """After the answer it is nothing."""
        answer = self.job("a", 1)
        self.threads.run()
        answer.cancel()
        assert self.successResultOf(answer) == 1


class BoundTests(PoolTestCase):
    """Who feeds too fast is told, and told again when it has drained."""

    def test_one_file_is_full(self) -> None:
        """At its own high-water mark, whatever the others do."""
        self.job("a", 1, cost=99)
        assert not self.disk.full("a")
        self.job("a", 2, cost=1)
        assert self.disk.full("a")
        assert not self.disk.full("b")

    def test_everything_is_full(self) -> None:
        """Above the mark of the whole pool everybody with work in it pauses."""
        self.job("a", 1, cost=80)
        self.job("b", 2, cost=70)
        assert self.disk.full("a")
        assert self.disk.full("b")
        assert not self.disk.full("c"), "who has nothing in it could not be woken by it"

    def test_drained_at_half(self) -> None:
        """Not at once below the mark: pausing and resuming cost more than waiting."""
        for n in range(2):
            self.job("a", n, cost=50)
        drained = self.disk.drained("a")
        self.assertNoResult(drained)
        self.threads.run(hops=1)
        self.assertNoResult(drained)
        self.threads.run()
        assert self.successResultOf(drained) is None
        assert not self.disk.full("a")

    def test_drained_comes_after_the_answers(self) -> None:
        """Who feeds on sees the books settled and his answers first."""
        order: list[str] = []
        self.job("a", 1, cost=100).addCallback(lambda _: order.append("answer"))
        self.disk.drained("a").addCallback(lambda _: order.append("drained"))
        self.threads.run()
        assert order == ["answer", "drained"]

    def test_nothing_to_wait_for(self) -> None:
        """An idle file is drained."""
        self.successResultOf(self.disk.drained("a"))
        self.job("a", 1, cost=49)
        self.successResultOf(self.disk.drained("a"))

    def test_a_small_feeder_is_not_held_by_a_large_one(self) -> None:
        """While others fill the pool, a file whose own work is done goes on."""
        self.job("small", 1, cost=1)
        self.job("large", 2, cost=149)
        drained = self.disk.drained("small")
        self.assertNoResult(drained)
        self.threads.run(hops=1)
        self.successResultOf(drained)

    def test_giving_up_waiting(self) -> None:
        """It takes nothing from others who wait for the same file."""
        self.job("a", 1, cost=100)
        first, second = self.disk.drained("a"), self.disk.drained("a")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.threads.run()
        self.successResultOf(second)

    def test_refilling_when_drained(self) -> None:
        """A feeder that fills it again at once is told again later."""
        self.job("a", 1, cost=100)
        told: list[int] = []

        def refill(_: None) -> None:
            told.append(len(told))
            if len(told) < 3:
                self.job("a", 1, cost=100)
                self.disk.drained("a").addCallback(refill)

        self.disk.drained("a").addCallback(refill)
        self.threads.run()
        assert told == [0, 1, 2]
        assert self.disk.queued_bytes == 0


class EndTests(PoolTestCase):
    """Stopping lets what was given run to its end."""

    def test_running(self) -> None:
        """From the start until somebody stops it."""
        idle = DiskPool(self.threads, threads=self.threads)
        assert not idle.running
        idle.start()
        assert idle.running
        idle.stop()
        assert not idle.running

    def test_an_idle_pool_ends_at_once(self) -> None:
        """Twice stopped is stopped once."""
        self.successResultOf(self.disk.stop())
        self.successResultOf(self.disk.stop())
        assert self.threads.ends == 1

    def test_jobs_are_finished_first(self) -> None:
        """What was accepted will have been written."""
        last = [self.job("a", n) for n in range(3)][-1]
        stopped = self.disk.stop()
        self.assertNoResult(stopped)
        assert self.threads.ends == 0
        self.threads.run()
        assert self.successResultOf(last) == 2
        self.successResultOf(stopped)
        assert self.threads.ends == 1

    def test_nothing_is_accepted_any_more(self) -> None:
        """It would never run."""
        self.disk.stop()
        with pytest.raises(RuntimeError, match="has stopped"):
            self.job("a", 1)

    def test_stopped_by_an_answer(self) -> None:
        """The last job's answer may be what stops the pool; the threads end once."""
        stopped: list[Deferred[None]] = []
        self.job("a", 1).addCallback(lambda _: stopped.append(self.disk.stop()))
        self.threads.run()
        self.successResultOf(stopped[0])
        assert self.threads.ends == 1

    def test_giving_up_the_wait(self) -> None:
        """It stops all the same."""
        self.job("a", 1)
        waiting = self.disk.stop()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.threads.run()
        assert self.threads.ends == 1
        assert not self.disk.running


class DirectTests(SynchronousTestCase):
    """Threads that run a job inside of the call that gave it change nothing."""

    def test_answers_that_are_there_at_once(self) -> None:
        """In order, also when an answer gives the next job."""
        threads = CountingThreads(direct=True)
        disk = DiskPool(threads, threads=threads)
        done: list[int] = []
        answer = disk.run("a", done.append, 1)
        answer.addCallback(lambda _: disk.run("a", done.append, 2))
        self.successResultOf(answer)
        assert done == [1, 2]
        self.successResultOf(disk.stop())
