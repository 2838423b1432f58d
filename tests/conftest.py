"""What every test gets: no failure passes silently, and Hypothesis without a stopwatch."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial import unittest

from tests.doubles.stores import close_stores

# A deadline per example measures the machine, not the code.
settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# A connection that was told to close needs a few turns of the reactor to be gone.
_GRACE_S = 1.0


def pytest_collection_finish() -> None:
    """Take everything imported so far out of the collections that each test ends with."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def reactor_is_up() -> None:
    """Turn the reactor once, and listen: what it keeps open from then on is no leak of the
    first test (what wakes it up, and a descriptor in reserve for when there are no more)."""
    from twisted.internet import reactor  # noqa: PLC0415 - pytest-twisted picks it first

    port = reactor.listenTCP(0, ServerFactory(), interface="127.0.0.1")
    pytest_twisted.blockon(port.stopListening())
    pytest_twisted.blockon(deferLater(reactor, 0, lambda: None))


@pytest.fixture(autouse=True)
def no_open_descriptors() -> Iterator[None]:
    """Fail a test that leaves descriptors open; the stores of the doubles are closed for it.

    What fixtures of a module or of the session open is there before it, and does not count.
    """
    from twisted.internet import reactor  # noqa: PLC0415 - pytest-twisted picks it first

    before = _descriptors()
    yield
    close_stores()
    left = _wait_for(reactor, lambda: _descriptors() - before)
    assert not left, f"left open: {', '.join(sorted(map(_target, left)))}"


@pytest.fixture(autouse=True)
def no_silent_failures(
    request: pytest.FixtureRequest, no_open_descriptors: None
) -> Iterator[list[Any]]:
    """Fail a test that logs a failure, drops a failed Deferred, or leaves timers or sockets.

    Plain functions would pass with all of these.  A test that expects a logged
    failure clears the list that this fixture gives.
    """
    if request.cls is not None and issubclass(request.cls, unittest.SynchronousTestCase):
        yield []  # trial's own classes do the same in their own way
        return
    from twisted.internet import reactor  # noqa: PLC0415 - pytest-twisted picks it first

    seen: list[Any] = []

    def observe(event: Any) -> None:
        if "log_failure" in event:
            seen.append(event["log_failure"])

    before = _open(reactor)
    globalLogPublisher.addObserver(observe)
    try:
        yield seen
        gc.collect()
        gc.freeze()  # what outlives a test is not looked at again: it costs 60 ms each time
        leaked = _wait_for(reactor, lambda: _open(reactor) - before)
    finally:
        globalLogPublisher.removeObserver(observe)
    for leftover in leaked:
        if hasattr(leftover, "cancel"):
            leftover.cancel()
        elif hasattr(leftover, "stopListening"):
            leftover.stopListening()
        elif hasattr(leftover, "abortConnection"):
            leftover.abortConnection()
    assert not seen, [failure.getTraceback() for failure in seen]
    assert not leaked, leaked


def _open(reactor: Any) -> set[Any]:
    return {*reactor.getDelayedCalls(), *reactor.getReaders(), *reactor.getWriters()}


def _descriptors() -> set[int]:
    """The numbers of this process's descriptors, but for the one that the listing took."""
    return {number for number in map(int, os.listdir("/proc/self/fd")) if _is_open(number)}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _target(descriptor: int) -> str:
    try:
        return f"{descriptor} ({os.readlink(f'/proc/self/fd/{descriptor}')})"
    except FileNotFoundError:
        return f"{descriptor} (closed by now)"


def _wait_for(reactor: Any, left: Callable[[], set[Any]]) -> set[Any]:
    """Return what is left, after a short wait for it to close."""
    waited = 0.0
    while (leaked := left()) and waited < _GRACE_S:
        pytest_twisted.blockon(deferLater(reactor, 0.01, lambda: None))
        waited += 0.01
    return leaked
