"""Certificates that are kept: one minting for many, renewed in time, and not too many."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock

from dragonfly.daemon.tls.authority import load_authority
from dragonfly.daemon.tls.leaves import LEAVES_KEPT, RENEW_S, Leaves
from dragonfly.daemon.tls.newauthority import make_authority, write_authority

DAY_S = 24 * 3600.0


class Jobs:
    """Runs them when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.count = 0

    def run(self, job: Callable[[], Any]) -> Deferred[Any]:
        """Let it wait."""
        done: Deferred[Any] = Deferred()
        self.waiting.append((job, done))
        self.count += 1
        return done

    def work(self) -> None:
        """Do what waits."""
        waiting, self.waiting = self.waiting, []
        for job, done in waiting:
            done.callback(job())


class Setup:
    """Leaves of an authority that lasts 200 days."""

    def __init__(self, tmp_path: Path, days: int = 200) -> None:
        now = datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
        cert, key = tmp_path / "ca.crt", tmp_path / "ca.key"
        write_authority(make_authority("test", days=days, now=now), cert, key, force=True)
        self.clock = Clock()
        self.clock.advance(now.timestamp())
        self.jobs = Jobs()
        authority = load_authority(str(cert), str(key), now=now.timestamp())
        self.leaves = Leaves(authority, run=self.jobs.run, clock=self.clock)

    def options(self, host: str = "a") -> CertificateOptions:
        """Those for a host, now."""
        got: list[CertificateOptions] = []
        self.leaves.options(host).addCallback(got.append)
        self.jobs.work()
        return got[0]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A fresh one."""
    return Setup(tmp_path)


def test_one_minting_for_many(setup: Setup) -> None:
    """Who asks meanwhile waits for the same one; who gives up takes it from nobody."""
    got: list[Any] = []
    first, second = setup.leaves.options("a"), setup.leaves.options("a")
    first.addErrback(lambda failure: got.append(failure.type))
    second.addCallback(got.append)
    first.cancel()
    setup.jobs.work()
    assert got[0] is CancelledError
    assert got[1] is setup.options("a")
    assert setup.jobs.count == 1


def test_each_host_has_its_own(setup: Setup) -> None:
    """And they are minted independently."""
    assert setup.options("a") is not setup.options("b")
    assert setup.jobs.count == 2


def test_renewed_before_the_end(setup: Setup) -> None:
    """A day before, so that what begins then does not end in the middle."""
    first = setup.options()
    setup.clock.advance(90 * DAY_S - RENEW_S - 1)
    assert setup.options() is first
    setup.clock.advance(1)
    assert setup.options() is not first
    assert setup.jobs.count == 2


def test_where_the_authority_ends_there_is_nothing_to_renew(tmp_path: Path) -> None:
    """A new one would not last longer."""
    setup = Setup(tmp_path, days=10)
    first = setup.options()
    setup.clock.advance(10 * DAY_S - 1)
    assert setup.options() is first


def test_so_many_are_kept(setup: Setup) -> None:
    """Those that were used last."""
    first, second = setup.options("first"), setup.options("second")
    for number in range(LEAVES_KEPT - 1):
        setup.options(f"h{number}")
        assert setup.options("first") is first
    assert setup.options("second") is not second


def test_a_minting_that_failed_is_not_kept(setup: Setup) -> None:
    """The next one who asks has it tried again."""
    failed = setup.leaves.options("a")
    _, done = setup.jobs.waiting.pop()
    done.errback(RuntimeError("no entropy"))
    got: list[Any] = []
    failed.addErrback(lambda failure: got.append(failure.type))
    assert got == [RuntimeError]
    assert setup.options("a") is not None
