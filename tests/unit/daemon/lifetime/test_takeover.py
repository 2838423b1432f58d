"""Getting a home from whoever has it: asked, waited for, or named in the error."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dragonfly.daemon.lifetime.takeover import TAKE_S, ask, take_home
from dragonfly.errors import HomeBusy, HomeUnusable
from dragonfly.peer.home.home import Home


class Holder:
    """A process that has the home, as far as its socket shows."""

    def __init__(self, home: Path, **status: Any) -> None:
        self.asked: list[str] = []
        self.status = {"event": "status", "pid": 4711, **status}
        self.line: bytes | None = None
        holder = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                op = json.loads(self.rfile.readline())["op"]
                holder.asked.append(op)
                self.wfile.write(holder.line or json.dumps(holder.answer(op)).encode() + b"\n")

        path = Home(home).prepare_socket()
        self._server = socketserver.ThreadingUnixStreamServer(str(path), Conversation)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, op: str) -> dict[str, Any]:
        """What it says."""
        return self.status if op == "status" else {"event": "stopping"}

    def close(self) -> None:
        """It is gone."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Trial:
    """Taking a home whose lock is free after so many looks."""

    def __init__(self, home: Path, busy: float) -> None:
        self.home = home
        self.looks = 0
        self.now = 0.0
        self.said: list[str] = []
        self._busy = busy

    def lock(self) -> str:
        """Try it."""
        self.looks += 1
        if self.looks <= self._busy:
            raise HomeBusy("busy")
        return "ours"

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def take(self, lock: Callable[[], str] | None = None) -> str:
        """Do it."""
        return take_home(
            lock or self.lock,
            self.home,
            say=self.said.append,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """A background peer of dfget."""
    holder = Holder(tmp_path, role="peer")
    yield holder
    holder.close()


def test_a_free_home_is_taken_at_once(tmp_path: Path) -> None:
    """Nobody is asked, nothing is said."""
    trial = Trial(tmp_path, busy=0)
    assert trial.take() == "ours"
    assert (trial.looks, trial.said, trial.now) == (1, [], 0.0)


def test_a_peer_is_asked_to_end_and_waited_for(tmp_path: Path, holder: Holder) -> None:
    """Once, while it is ending."""
    trial = Trial(tmp_path, busy=3)
    assert trial.take() == "ours"
    assert holder.asked == ["status", "stop"]
    assert trial.said == [f"the home {tmp_path} is in use: asked process 4711 to end"]


def test_a_peer_of_an_older_version_tells_no_role(tmp_path: Path, holder: Holder) -> None:
    """It is one of dfget all the same."""
    del holder.status["role"]
    assert Trial(tmp_path, busy=1).take() == "ours"
    assert holder.asked == ["status", "stop"]


def test_another_peer_that_was_quicker_is_asked_too(tmp_path: Path, holder: Holder) -> None:
    """A dfget whose peer ended starts another."""
    trial = Trial(tmp_path, busy=100)
    trial.take()
    assert holder.asked == ["status", "stop"] * 2
    assert len(trial.said) == 1


def test_another_dfdaemon_is_left_alone_and_named(tmp_path: Path, holder: Holder) -> None:
    """Two of them would fight for ever."""
    holder.status["role"] = "dfdaemon"
    with pytest.raises(HomeBusy, match=r"another dfdaemon, process 4711.*--workHome"):
        Trial(tmp_path, busy=1).take()
    assert holder.asked == ["status"]


def test_one_that_does_not_leave_is_named(tmp_path: Path, holder: Holder) -> None:
    """After a bounded time."""
    trial = Trial(tmp_path, busy=float("inf"))
    with pytest.raises(HomeBusy, match="process 4711, which did not leave it in 15 s"):
        trial.take()
    assert TAKE_S <= trial.now < TAKE_S + 1


class Before:
    """A dfdaemon that hands over, and is at work for so long."""

    def __init__(self, trial: Trial, until: float = 0.0) -> None:
        self.freed = 0
        self._trial = trial
        self._until = until

    def free(self) -> None:
        """Asked to."""
        self.freed += 1

    def at_work(self) -> bool:
        """Whether it says so."""
        return self._trial.now < self._until


def take_after(trial: Trial, before: Any) -> str:
    """Do it."""
    return take_home(
        trial.lock,
        trial.home,
        say=trial.said.append,
        before=before,
        clock=lambda: trial.now,
        sleep=trial.sleep,
    )


def test_one_that_is_at_work_is_waited_for(tmp_path: Path) -> None:
    """As long as it says so, and not much longer."""
    trial = Trial(tmp_path, busy=10 * TAKE_S / 0.02)
    assert take_after(trial, Before(trial, until=11 * TAKE_S)) == "ours"
    trial = Trial(tmp_path, busy=float("inf"))
    with pytest.raises(HomeBusy, match="which did not leave it in 115 s"):
        take_after(trial, Before(trial, until=100.0))
    assert 100 + TAKE_S <= trial.now < 100 + TAKE_S + 1


def test_one_that_is_at_work_for_ever_is_not(tmp_path: Path) -> None:
    """There is an end to it."""
    trial = Trial(tmp_path, busy=float("inf"))
    with pytest.raises(HomeBusy, match="which did not leave it in 1800 s"):
        take_after(trial, Before(trial, until=float("inf")))


def test_one_without_a_socket_is_named_by_the_lock(tmp_path: Path) -> None:
    """It may be starting, or stuck."""
    (tmp_path / "lock").write_text("815\n")
    with pytest.raises(HomeBusy, match="process 815"):
        Trial(tmp_path, busy=float("inf")).take()
    (tmp_path / "lock").write_text("\n")
    with pytest.raises(HomeBusy, match="another process"):
        Trial(tmp_path, busy=float("inf")).take()


def test_other_errors_are_passed_on(tmp_path: Path) -> None:
    """A home that cannot be used does not get better by waiting."""

    def lock() -> str:
        raise HomeUnusable("read-only")

    with pytest.raises(HomeUnusable):
        Trial(tmp_path, busy=0).take(lock)


@pytest.mark.parametrize("line", [b"no json\n", b"[1]\n", b""])
def test_nonsense_on_the_socket_is_no_answer(tmp_path: Path, holder: Holder, line: bytes) -> None:
    """Something else may listen there."""
    holder.line = line or b"\n"
    assert ask(tmp_path, "status") is None


def test_a_dfdaemon_that_hands_over_is_asked_once(tmp_path: Path, holder: Holder) -> None:
    """On its own conversation; the home's socket is not needed any more."""

    holder.status["role"] = "dfdaemon"
    trial = Trial(tmp_path, busy=40)
    before = Before(trial)
    assert take_after(trial, before) == "ours"
    assert (before.freed, holder.asked, trial.said) == (1, ["status"], [])


def test_a_peer_that_was_quicker_after_a_dfdaemon(tmp_path: Path, holder: Holder) -> None:
    """A dfget that found nobody started it."""
    trial = Trial(tmp_path, busy=40)
    assert take_after(trial, Before(trial)) == "ours"
    assert holder.asked == ["status", "stop"]
