"""When neighbours hear of the pieces that are here."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from dragonfly.peer.exchange.haves import HAVE_LEAST_S, HAVE_MOST_S, Haves
from dragonfly.wire.events import HaveReceived
from tests.doubles.exchanging import ExchangeLab, Neighbour


def test_haves_wait_for_something_to_ride_on_but_not_long(scene: ExchangeLab) -> None:
    """A pair that says nothing else hears of pieces within the interval, and of the first one
    at once: at the beginning nothing is said that it could ride on."""
    idle, busy = Neighbour(scene), Neighbour(scene)
    scene.have(2)
    assert idle.heard(HaveReceived) == busy.heard(HaveReceived) == [HaveReceived((2,))]
    scene.have(0)
    busy.show(1)  # the request that follows takes the HAVE along
    assert busy.heard(HaveReceived) == [HaveReceived((2,)), HaveReceived((0,))]
    assert idle.heard(HaveReceived) == [HaveReceived((2,))]
    scene.wait(HAVE_MOST_S + 0.05)
    assert idle.heard(HaveReceived) == [HaveReceived((2,)), HaveReceived((0,))]
    assert busy.heard(HaveReceived) == [HaveReceived((2,)), HaveReceived((0,))]


def test_who_has_a_piece_is_not_told_of_it_unless_a_seed(scene: ExchangeLab) -> None:
    """The seed counts copies."""
    peer, seed = Neighbour(scene), Neighbour(scene, seed=True)
    peer.show(0)
    seed.show(0)
    scene.have(0)
    scene.wait(2 * HAVE_MOST_S)
    assert peer.heard(HaveReceived) == []
    assert seed.heard(HaveReceived) == [HaveReceived((0,))]


def test_pieces_of_one_turn_are_told_together(scene: ExchangeLab) -> None:
    """In one message, which is what the turn is for."""
    neighbour = Neighbour(scene)
    for piece in (0, 2):
        scene.content.intake.add("elsewhere", piece, 0, scene.lab.piece(piece))
    scene.clock.advance(0)
    neighbour.pair.pump()
    assert neighbour.heard(HaveReceived) == [HaveReceived((0, 2))]


@pytest.mark.parametrize(
    ("piece_s", "every_s"),
    [(None, HAVE_LEAST_S), (0.001, HAVE_LEAST_S), (0.03, 0.3), (5.0, HAVE_MOST_S)],
)
def test_the_timer_keeps_the_pace_of_pieces(piece_s: float | None, every_s: float) -> None:
    """Within its bounds."""
    haves = Haves(set(), Clock(), lambda: piece_s)
    assert haves.every_s == pytest.approx(every_s)


def test_nobody_to_tell_needs_no_timer() -> None:
    """Who comes later is shown everything at once."""
    clock = Clock()
    Haves(set(), clock, lambda: None).offer([1])
    assert clock.getDelayedCalls() == []
