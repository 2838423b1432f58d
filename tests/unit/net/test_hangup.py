"""SIGHUP reads the configuration again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from dragonfly.errors import ConfigError
from dragonfly.net.hangup import Hangup


class Turns:
    """A reactor that does what threads and signal handlers hand to it when it is told to."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    def callFromThread(self, call: Callable[[], Any]) -> None:
        """Later."""
        self.calls.append(call)

    def run(self) -> None:
        """Now."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


@pytest.fixture
def before() -> Any:
    """What the signal does without us."""
    handler = signal.getsignal(signal.SIGHUP)
    yield handler
    assert signal.getsignal(signal.SIGHUP) is handler


def test_a_signal_reads_and_applies(before: Any) -> None:
    """On the reactor's thread, not inside the handler; and no more when it is stopped."""
    turns, applied = Turns(), []
    service = Hangup(turns, lambda: "new", applied.append)
    service.startService()
    os.kill(os.getpid(), signal.SIGHUP)
    assert applied == []
    turns.run()
    assert applied == ["new"]
    service.stopService()
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_wrong_configuration_changes_nothing(before: Any) -> None:
    """The next one may be right."""
    turns, applied = Turns(), []
    texts = iter(["wrong", "right"])

    def read() -> str:
        text = next(texts)
        if text == "wrong":
            raise ConfigError("x.yml:1: no")
        return text

    service = Hangup(turns, read, applied.append)
    service.startService()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGHUP)
        turns.run()
    service.stopService()
    assert applied == ["right"]
