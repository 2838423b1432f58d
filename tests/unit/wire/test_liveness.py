"""Deadlines and floods, with a clock that is a number."""

from __future__ import annotations

import pytest

from dragonfly.errors import UnexpectedMessage
from dragonfly.wire.constants import (
    FLOOD_WINDOW_S,
    HANDSHAKE_LIMIT_S,
    PING_AFTER_S,
    PONG_LIMIT_S,
    Kind,
)
from dragonfly.wire.liveness import FloodGate, Pulse


@pytest.fixture
def pulse() -> Pulse:
    """Give the pulse of a connection made at 100 and opened at once."""
    made = Pulse(100.0)
    made.opened()
    return made


def test_the_handshake_has_one_deadline() -> None:
    """Bytes that dribble in do not move it: that is what stops a slow loris."""
    pulse = Pulse(100.0)
    pulse.heard(109.0)
    assert pulse.deadline == 100.0 + HANDSHAKE_LIMIT_S
    assert pulse.waits
    assert "no handshake after 10.5 s" in pulse.describe(110.5)


def test_silence_leads_to_a_ping(pulse: Pulse) -> None:
    """Every byte moves the time of the next PING."""
    pulse.heard(105.0)
    assert pulse.deadline == 105.0 + PING_AFTER_S
    assert not pulse.waits


def test_after_a_ping_any_byte_counts(pulse: Pulse) -> None:
    """A PONG may wait behind slices that we asked for."""
    assert pulse.ping(130.0) == 1
    assert pulse.deadline == 130.0 + PONG_LIMIT_S
    assert pulse.waits
    pulse.heard(140.0)
    assert pulse.deadline == 140.0 + PONG_LIMIT_S
    assert "no byte for 70.0 s" in pulse.describe(210.0)


def test_the_round_trip(pulse: Pulse) -> None:
    """One PING at a time, so the PONG needs no memory."""
    assert pulse.ping(130.0) == 1
    assert pulse.ping(131.0) is None
    assert pulse.pong(1, 130.25) == 0.25
    assert pulse.ping(131.0) == 2


@pytest.mark.parametrize("pinged", [True, False])
def test_a_pong_without_its_ping(pulse: Pulse, pinged: bool) -> None:
    """A wrong token is no answer."""
    if pinged:
        pulse.ping(130.0)
    with pytest.raises(UnexpectedMessage, match="PONG 7"):
        pulse.pong(7, 131.0)


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [(Kind.PING, 8), (Kind.BITFIELD, 8), (Kind.GET_DIGESTS, 1024), (Kind.HAVE, 1024)],
)
def test_floods(kind: Kind, allowed: int) -> None:
    """So many in a window and not one more; the next window allows as many again."""
    gate = FloodGate()
    for _ in range(allowed):
        gate.check(kind, 5.0)
    with pytest.raises(UnexpectedMessage, match=f"more than {allowed} {kind.name}"):
        gate.check(kind, 5.0 + FLOOD_WINDOW_S - 0.01)
    gate.check(kind, 5.0 + FLOOD_WINDOW_S)


def test_kinds_are_counted_apart_and_others_not_at_all() -> None:
    """Requests are bounded by their number outstanding, not by time."""
    gate = FloodGate()
    for _ in range(8):
        gate.check(Kind.PING, 0.0)
    gate.check(Kind.BITFIELD, 0.0)
    for _ in range(10_000):
        gate.check(Kind.REQUEST, 0.0)
