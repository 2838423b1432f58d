"""Rate limits of one content."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.net.throttle import Throttle
from dragonfly.peer.swarm.pace import Pace

MIB = 1024 * 1024


def pace() -> Pace:
    """One without a limit of the home."""
    clock = Clock()
    return Pace(Throttle(clock), clock)


def test_the_most_generous_client_counts() -> None:
    """They share the bytes, so nobody waits for somebody else's limit."""
    own = pace()
    own.limit([MIB, 4 * MIB])
    assert own.rate == 4 * MIB


def test_one_without_limit_lifts_it() -> None:
    """Somebody wants it as fast as it goes."""
    own = pace()
    own.limit([MIB])
    own.limit([MIB, None])
    assert own.rate is None


def test_when_nobody_is_left_the_limit_stays() -> None:
    """A download whose client has gone does not run faster for it."""
    own = pace()
    own.limit([4 * MIB])
    own.limit([])
    assert own.rate == 4 * MIB


def test_the_limit_of_the_home_counts_besides() -> None:
    """Each content has a part in it."""
    clock = Clock()
    total = Throttle(clock, MIB)
    one, two = Pace(total, clock), Pace(total, clock)
    assert one.flows[1].claim(MIB, lambda: None) is None
    assert two.flows[1].claim(MIB, lambda: None) is None
    assert one.flows[1].claim(1, lambda: None) is not None
