"""Who shares whose registration."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.errors import TrackerUnreachable
from dragonfly.net.tasks import TaskSet
from dragonfly.peer.tracker.registrations import Registrations


class Calls:
    """Calls that end when a test says so."""

    def __init__(self) -> None:
        self.open: list[Deferred[str]] = []
        self.desk: Registrations[str] = Registrations(TaskSet(Logger("test")))

    async def call(self) -> str:
        """One call."""
        answer: Deferred[str] = Deferred()
        self.open.append(answer)
        return await answer

    def ask(self, key: object = "file") -> list[object]:
        """Ask; what comes is put into the list."""
        heard: list[object] = []
        self.desk.ask(key, self.call).addBoth(heard.append)
        return heard


def test_who_comes_meanwhile_shares_the_next_call() -> None:
    """The call under way began before they asked, so it says nothing to them."""
    calls = Calls()
    first, second, third = calls.ask(), calls.ask(), calls.ask()
    assert len(calls.open) == 1
    calls.open[0].callback("one")
    assert (first, second) == (["one"], [])
    assert len(calls.open) == 2
    calls.open[1].callback("two")
    assert (second, third) == (["two"], ["two"])


def test_other_keys_do_not_wait() -> None:
    """Only the same question is asked one after another."""
    calls = Calls()
    calls.ask("a")
    calls.ask("b")
    assert len(calls.open) == 2
    for each in calls.open:
        each.callback("")


def test_an_error_reaches_everybody_who_shares_the_call() -> None:
    """And the next ones ask anew."""
    calls = Calls()
    calls.ask()
    second, third = calls.ask(), calls.ask()
    calls.open[0].callback("one")
    calls.open[1].errback(TrackerUnreachable("nobody"))
    for heard in (second, third):
        assert heard[0].check(TrackerUnreachable)  # type: ignore[attr-defined]
    fourth = calls.ask()
    calls.open[2].callback("three")
    assert fourth == ["three"]


def test_a_caller_who_gives_up_takes_nothing_from_others() -> None:
    """The call goes on for those who stay."""
    calls = Calls()
    given_up = calls.desk.ask("file", calls.call)
    second = calls.ask()
    given_up.addErrback(lambda failure: None)
    given_up.cancel()
    calls.open[0].callback("one")
    calls.open[1].callback("two")
    assert second == ["two"]
