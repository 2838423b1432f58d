"""Which connections are opened, and what is remembered of registries."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from dragonfly.daemon.routing.registry import Registry, parse_registry
from dragonfly.daemon.tls.authority import load_authority
from dragonfly.daemon.tls.leaves import Leaves
from dragonfly.daemon.tls.newauthority import make_authority, write_authority
from dragonfly.daemon.tunnels.interception import KNOCK_S, REMEMBER_S, Interception
from dragonfly.errors import OriginTlsFailed, OriginUnreachable, OriginUntrusted

REGISTRY = parse_registry("https://registry.example.com")
DAY_S = 24 * 3600.0


class Knocks:
    """Registries that are asked what they speak."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.silent: Deferred[None] | None = None

    async def knock(self, registry: Registry) -> None:
        """Say what the test says."""
        self.asked.append(registry.place)
        if self.silent is not None:
            await self.silent
        if self.error is not None:
            raise self.error


class Setup:
    """Interception of one host, with an authority of ten days."""

    def __init__(self, tmp_path: Path) -> None:
        now = datetime.datetime(2026, 5, 1, tzinfo=datetime.timezone.utc)
        cert, key = tmp_path / "ca.crt", tmp_path / "ca.key"
        write_authority(make_authority("test", days=10, now=now), cert, key, force=True)
        self.clock = Clock()
        self.clock.advance(now.timestamp())
        authority = load_authority(str(cert), str(key), now=now.timestamp())
        self.knocks = Knocks()
        self.interception = Interception(
            [re.compile(r"^registry\.example\.com:443$"), re.compile("mirror")],
            leaves=Leaves(authority, run=lambda job: succeed(job()), clock=self.clock),
            upstream=self.knocks,
            clock=self.clock,
        )

    def speaks_tls(self) -> bool:
        """What is found out now."""
        got: list[bool] = []
        Deferred.fromCoroutine(self.interception.speaks_tls(REGISTRY)).addCallback(got.append)
        return got[0]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A fresh one."""
    return Setup(tmp_path)


@pytest.fixture
def warnings() -> Any:
    """What is warned of."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"].name == "warn":
            seen.append(event["log_format"])

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("registry.example.com", True),
        ("registry.example.com:444", False),
        ("www.registry.example.com", False),
        ("a-mirror:5000", True),
        ("[2001:db8::7]:443", False),
    ],
)
def test_hosts(setup: Setup, name: str, covered: bool) -> None:
    """Searched for in host:port, the port always there."""
    assert setup.interception.covers(parse_registry(f"https://{name}")) is covered


def test_an_authority_that_has_ended_opens_nothing(setup: Setup, warnings: list[str]) -> None:
    """Pulls work without us, and the log says it once a day."""
    setup.clock.advance(10 * DAY_S - 1)
    assert setup.interception.covers(REGISTRY)
    assert warnings == []
    setup.clock.advance(1)
    for _ in range(3):
        assert not setup.interception.covers(REGISTRY)
    assert len(warnings) == 1
    setup.clock.advance(DAY_S)
    assert not setup.interception.covers(REGISTRY)
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("error", "speaks"),
    [
        (None, True),
        (OriginUntrusted("certificate verify failed"), True),
        (OriginTlsFailed("TLS failed: wrong version number"), False),
    ],
)
def test_what_a_registry_speaks(setup: Setup, error: Exception | None, speaks: bool) -> None:
    """One that is not believed speaks TLS as well; it is remembered for a while."""
    setup.knocks.error = error
    assert setup.interception.known(REGISTRY) is None
    assert setup.speaks_tls() is speaks
    setup.clock.advance(REMEMBER_S - 1)
    assert setup.interception.known(REGISTRY) is speaks
    assert setup.speaks_tls() is speaks
    assert len(setup.knocks.asked) == 1
    setup.clock.advance(1)
    assert setup.interception.known(REGISTRY) is None
    assert setup.speaks_tls() is speaks
    assert len(setup.knocks.asked) == 2


def test_one_that_says_nothing_is_not_opened(setup: Setup) -> None:
    """Its own answer comes in time for the client."""
    setup.knocks.silent = Deferred()
    got: list[bool] = []
    Deferred.fromCoroutine(setup.interception.speaks_tls(REGISTRY)).addCallback(got.append)
    setup.clock.advance(KNOCK_S - 1)
    assert got == []
    setup.clock.advance(1)
    assert got == [False]
    assert setup.clock.getDelayedCalls() == []


def test_only_so_many_are_remembered(setup: Setup) -> None:
    """The oldest is forgotten."""
    assert setup.speaks_tls()
    for number in range(256):
        other = parse_registry(f"https://r{number}.example")
        Deferred.fromCoroutine(setup.interception.speaks_tls(other))
    assert setup.interception.known(REGISTRY) is None


def test_a_registry_that_is_away_for_a_moment(setup: Setup) -> None:
    """That connection is passed through; the next one finds out anew."""
    setup.knocks.error = OriginUnreachable("the connection was lost")
    assert setup.speaks_tls() is False
    assert setup.interception.known(REGISTRY) is None
    setup.knocks.error = None
    assert setup.speaks_tls() is True
