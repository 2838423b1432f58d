"""What a service manager hears of us."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from dragonfly.net.notify import Notices


class Manager:
    """Listens."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(address.replace("@", "\0"))
        self._sock.setblocking(False)

    def heard(self) -> list[str]:
        """All since the last time."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self._sock.recv(1000).decode())
        return found

    def close(self) -> None:
        """Listen no more."""
        self._sock.close()


@pytest.fixture(params=["file", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Its socket, in the file system or not."""
    path = str(tmp_path / "notify")
    return path if request.param == "file" else f"@{path}"


@pytest.fixture
def manager(address: str) -> Iterator[Manager]:
    """One."""
    found = Manager(address)
    yield found
    found.close()


def test_from_start_to_end(address: str, manager: Manager) -> None:
    """Ready when the reactor runs; alive twice as often as is wanted; stopping."""
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "7"}
    reactor = MemoryReactorClock()
    Notices.of(environment, 7).follow(reactor)
    assert manager.heard() == []
    reactor.run()
    assert manager.heard() == ["READY=1", "WATCHDOG=1"]
    reactor.advance(2)
    assert manager.heard() == ["WATCHDOG=1"]
    (function, arguments, _named) = reactor.triggers["before"]["shutdown"][0]
    function(*arguments)
    assert manager.heard() == ["STOPPING=1"]


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "8"}],
)
def test_no_watchdog(address: str, manager: Manager, environment: dict[str, str]) -> None:
    """None is wanted, or of another process."""
    reactor = MemoryReactorClock()
    Notices.of({"NOTIFY_SOCKET": address, **environment}, 7).follow(reactor)
    reactor.run()
    assert manager.heard() == ["READY=1"]
    assert not reactor.getDelayedCalls()


def test_reading_the_configuration_again(address: str, manager: Manager) -> None:
    """Two words, the first with the time."""
    notices = Notices(address)
    notices.reloading()
    notices.ready()
    first, second = manager.heard()
    word, time = first.split("\n")
    assert word == "RELOADING=1"
    assert int(time.removeprefix("MONOTONIC_USEC=")) > 0
    assert second == "READY=1"


def test_nobody_listens(address: str) -> None:
    """Neither without a manager, nor with one that is gone."""
    Notices(address).ready()
    reactor = MemoryReactorClock()
    Notices.of({}, 7).follow(reactor)
    assert not reactor.whenRunningHooks
    Notices("").ready()


def test_another_process_is_told_of(address: str, manager: Manager) -> None:
    """It is as alive as this one was; then there is silence, and no end."""
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"}
    reactor = MemoryReactorClock()
    notices = Notices.of(environment, 7)
    notices.follow(reactor)
    reactor.run()
    manager.heard()
    notices.pass_on(8)
    assert manager.heard() == ["MAINPID=8\nWATCHDOG=1"]
    reactor.advance(2)
    (function, arguments, _named) = reactor.triggers["before"]["shutdown"][0]
    function(*arguments)
    assert manager.heard() == []


def test_a_manager_that_is_busy(address: str, manager: Manager) -> None:
    """What it must not miss waits until it reads; that this one lives does not."""
    notices = Notices(address)
    for _ in range(1000):  # more than its queue has room for
        notices.tell("WATCHDOG=1", wait_s=0.0)
    read: list[str] = []
    reading = threading.Timer(0.05, lambda: read.extend(manager.heard()))
    reading.start()
    notices.pass_on(8)
    reading.join()
    read += manager.heard()
    assert len(read) < 1000
    assert read[-1] == "MAINPID=8\nWATCHDOG=1"
