"""Background coroutines: none is lost, none outlives its set."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from dragonfly.errors import OriginUnreachable
from dragonfly.net.tasks import TaskSet


class TaskSetTests(SynchronousTestCase):
    """Coroutines that wait for a Deferred, return, or fail."""

    def setUp(self) -> None:
        """An empty set that logs into a list."""
        self.events: list[Any] = []
        self.tasks = TaskSet(Logger(namespace="test", observer=self.events.append))
        self.gate: Deferred[None] = Deferred()
        self.ended: list[str] = []

    async def wait(self) -> None:
        """Wait for the gate, and say how that ended."""
        try:
            await self.gate
        except CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")

    async def break_down(self, error: Exception) -> None:
        """Fail, after the gate."""
        await self.gate
        raise error

    def test_it_begins_at_once(self) -> None:
        """And is counted until it ends."""
        task = self.tasks.spawn(self.wait(), "waiting")
        assert (task.running, len(self.tasks)) == (True, 1)
        self.gate.callback(None)
        assert (task.running, len(self.tasks)) == (False, 0)
        assert self.ended == ["done"]
        assert self.events == []

    def test_one_that_never_waits(self) -> None:
        """It has ended before anybody could look."""

        async def quick() -> None:
            self.ended.append("done")

        task = self.tasks.spawn(quick(), "quick")
        assert (task.running, len(self.tasks)) == (False, 0)
        task.cancel()

    def test_our_errors_are_one_line(self) -> None:
        """A warning that says what was being done, without a traceback."""
        self.tasks.spawn(self.break_down(OriginUnreachable("host: gone")), "fetch of 1f3a")
        self.gate.callback(None)
        (event,) = self.events
        assert event["log_level"] is LogLevel.warn
        assert (event["what"], event["error"]) == ("fetch of 1f3a", "host: gone")
        assert "log_failure" not in event

    def test_bugs_are_logged_whole(self) -> None:
        """Nothing is lost silently."""
        self.tasks.spawn(self.break_down(KeyError("bug")), "fetch of 1f3a")
        self.gate.callback(None)
        (event,) = self.events
        assert event["log_level"] is LogLevel.critical
        assert event["log_failure"].check(KeyError)

    def test_cancelling_one(self) -> None:
        """It is told, and it is no failure."""
        task = self.tasks.spawn(self.wait(), "waiting")
        task.cancel()
        task.cancel()
        assert self.ended == ["cancelled"]
        assert not task.running
        assert self.events == []

    def test_cancelling_all(self) -> None:
        """The set is empty when the last has ended, and nothing starts afterwards."""
        other: Deferred[None] = Deferred()

        async def tidy() -> None:
            try:
                await Deferred()
            finally:
                await other

        self.tasks.spawn(self.wait(), "waiting")
        self.tasks.spawn(tidy(), "tidying up")
        idle = self.tasks.cancel_all()
        self.assertNoResult(idle)
        assert len(self.tasks) == 1
        late = self.tasks.spawn(self.wait(), "late")
        assert not late.running
        other.callback(None)
        self.successResultOf(idle)
        assert self.ended == ["cancelled"]

    def test_cancelling_none(self) -> None:
        """An empty set is done at once, as often as it is asked."""
        self.successResultOf(self.tasks.cancel_all())
        self.successResultOf(self.tasks.cancel_all())

    def test_giving_up_the_wait(self) -> None:
        """It does not give up the stop."""
        self.tasks.spawn(self.break_down(KeyError()), "x")
        stubborn: Deferred[None] = Deferred()

        async def stay() -> None:
            try:
                await Deferred()
            except CancelledError:
                await stubborn

        self.tasks.spawn(stay(), "staying")
        waiting = self.tasks.cancel_all()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        stubborn.callback(None)
        assert len(self.tasks) == 0
