"""What ``dfget server`` says to whoever started it, and how it refuses."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher

from dragonfly.dfget.options import parse_server
from dragonfly.dfget.server import Word, run, runtime_of, settings_of
from dragonfly.errors import ConfigError, DragonflyError, HomeBusy, HomeUnusable, ListenError
from dragonfly.net.fanout import OneShot
from dragonfly.net.logs import observer


class Pipe:
    """A pipe and the word on it."""

    def __init__(self) -> None:
        self.ours, theirs = os.pipe()
        self.word = Word(theirs)

    def heard(self) -> bytes:
        """Everything until it was closed."""
        with os.fdopen(self.ours, "rb") as reading:
            return reading.read()


class FakeReactor(Clock):
    """Runs until it is stopped, which ``run`` of a test's service does."""

    running = False

    def __init__(self) -> None:
        super().__init__()
        self.before_stop: list[Any] = []
        self.ran = 0

    def addSystemEventTrigger(self, phase: str, event: str, call: Any) -> None:
        """Keep what is to be called at the end."""
        assert (phase, event) == ("before", "shutdown")
        self.before_stop.append(call)

    def run(self) -> None:
        """Run; the test's service has finished already."""
        self.ran += 1
        for call in self.before_stop:
            call()


class FakeService:
    """A service that starts, or does not."""

    def __init__(self, error: DragonflyError | None = None) -> None:
        self.finished: OneShot[str] = OneShot()
        self.steps: list[str] = []
        self._error = error

    def privilegedStartService(self) -> None:
        """Bind."""
        self.steps.append("bind")

    def startService(self) -> None:
        """Start."""
        if self._error is not None:
            raise self._error
        self.steps.append("start")

    def stopService(self) -> Any:
        """Stop."""
        self.steps.append("stop")
        done: OneShot[None] = OneShot()
        done.fire(None)
        return done.wait()


def run_with(make: Any) -> tuple[int, bytes, FakeReactor]:
    """Run a service; give the exit code, the word, and the reactor."""
    pipe, reactor = Pipe(), FakeReactor()
    code = run(make, reactor, pipe.word)
    return code, pipe.heard(), reactor


def test_ready_is_said_when_it_serves() -> None:
    """And the pipe is closed, so that the starter goes on at once."""
    service = FakeService()
    code, heard, reactor = run_with(lambda: service)
    assert (code, heard, reactor.ran) == (0, b"ready\n", 1)
    assert service.steps == ["bind", "start", "stop"]


def test_busy_is_said_when_another_has_the_home() -> None:
    """The starter then waits for that one's socket."""

    def make() -> Any:
        raise HomeBusy("another process serves it")

    code, heard, reactor = run_with(make)
    assert (code, heard, reactor.ran) == (3, b"busy another process serves it\n", 0)


def test_failed_is_said_with_the_reason_in_one_line() -> None:
    """Whatever it is, and whenever it comes."""

    def make() -> Any:
        raise HomeUnusable("two\nlines")

    assert run_with(make)[:2] == (3, b"failed two lines\n")
    late = FakeService(ListenError("port 1 is taken"))
    assert run_with(lambda: late)[:2] == (1, b"failed port 1 is taken\n")


def test_a_word_is_said_once_and_to_nobody_without_harm() -> None:
    """The starter may be gone, or there is none."""
    pipe = Pipe()
    pipe.word.say("ready")
    pipe.word.say("failed", "again")
    assert pipe.heard() == b"ready\n"
    Word(None).say("ready")
    gone = Pipe()
    os.close(gone.ours)
    gone.word.say("ready")


def test_flags_become_settings() -> None:
    """An alive time of 0 is no idle end: nobody would meet that process otherwise."""
    options = parse_server(
        ["--home", "/h", "--ip", "::1", "--port", "7", "--alivetime", "0", "--expiretime", "1m"]
    )
    settings = settings_of(options)
    assert settings.home == Path("/h")
    assert (settings.address, settings.port) == ("::1", 7)
    assert (settings.alive_s, settings.expire_s) == (None, 60.0)


def test_logs_are_ours_and_other_peoples_warnings() -> None:
    """Twisted tells of every factory that starts."""
    stream = io.StringIO()
    publisher = LogPublisher(observer(stream, LogLevel.info))
    ours = Logger("dragonfly.peer", observer=publisher)
    theirs = Logger("twisted.web", observer=publisher)
    ours.info("one")
    ours.debug("two")
    theirs.info("three")
    theirs.warn("four")
    assert [line.rsplit(" ", 1)[1] for line in stream.getvalue().splitlines()] == ["one", "four"]


def test_what_the_peer_runs_with() -> None:
    """The proxies of the environment, for origins."""
    runtime = runtime_of(Clock(), {"HTTPS_PROXY": "http://proxy:3128"})
    assert str(runtime.proxies) == "https through the proxy proxy:3128"
    with pytest.raises(ConfigError, match="HTTP_PROXY"):
        runtime_of(Clock(), {"HTTP_PROXY": "socks4://proxy"})
