"""When pieces that nobody has are to be expected."""

from __future__ import annotations

import math

import pytest

from dragonfly.sched.outlook import SMOOTH_S, WATCH_S, Outlook

FRONT = (1 << 10) - 1


def moving(seconds: float, *, per_second: int = 20) -> tuple[Outlook, int]:
    """One that saw the front of a seed move evenly, and what the seed has in the end."""
    outlook = Outlook(0.0)
    outlook.met(FRONT)
    held, step = FRONT, 1 / per_second
    for place in range(round(seconds * per_second)):
        piece = 1 << (10 + place)
        outlook.shown(piece, (place + 1) * step)
        held |= piece
    return outlook, held


def test_what_somebody_has() -> None:
    """Now, however little is known of the rest."""
    assert Outlook(0.0).due_s(0b11, 0b111, 0.0) == 0.0


def test_too_early_to_tell() -> None:
    """It may be about to begin."""
    outlook = Outlook(0.0)
    assert outlook.due_s(1 << 500, FRONT, WATCH_S - 0.01) is None
    assert outlook.due_s(1 << 500, FRONT, WATCH_S) == math.inf


@pytest.mark.parametrize("seconds", [0.5, 1, 5])
def test_a_moving_front(seconds: float) -> None:
    """By its speed, from the beginning on, the last of several pieces counting."""
    outlook, held = moving(seconds)
    front = held.bit_length()
    wanted = 1 << (front + 1) | 1 << (front + 99)
    assert outlook.due_s(wanted, held, seconds) == pytest.approx(100 / 20, rel=0.05)


def test_a_front_that_stopped() -> None:
    """It is noticed after a while."""
    outlook, held = moving(5)
    wanted = 1 << held.bit_length()
    soon, late = (outlook.due_s(wanted, held, 5 + wait) for wait in (0, 6 * SMOOTH_S))
    assert soon is not None
    assert late is not None
    assert soon < 0.1 < 5 < late


def test_only_what_is_new_moves_it() -> None:
    """Neighbours that come with much, or get what others have, say nothing of the front."""
    outlook = Outlook(0.0)
    outlook.met(FRONT)
    outlook.shown(FRONT, 0.1)
    outlook.met(1 << 20)
    assert outlook.due_s(1 << 30, FRONT | 1 << 20, 1.0) == math.inf


def test_what_lies_before_all_that_is_known() -> None:
    """As far as from the beginning."""
    outlook, _ = moving(1)
    assert outlook.due_s(1 << 4, 1 << 50, 1.0) == pytest.approx(5 / 20, rel=0.05)
