"""What the tracker knows of a peer: where it stands, how it does, whether it is alive."""

from __future__ import annotations

import pytest

from dragonfly.sched.peers import BLAME_S, BLAMERS_MAX, FAR, OVERDUE_S, Labels, Member, Peer


def _member(**facts: float) -> Member:
    peer = Peer(key=b"k" * 32, address="10.0.0.1", port=1)
    return Member(peer=peer, callsystem="test", seen=100.0, **facts)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        (("a", "x"), ("a", "x"), 0),
        (("a", ""), ("a", ""), 0),
        (("a", "x"), ("a", "y"), 1),
        (("a", "x"), ("b", "x"), 2),
        (("", "x"), ("", "x"), 2),
        (("a", "x"), ("b", "y"), FAR),
        (("", ""), ("", ""), FAR),
    ],
)
def test_distance_goes_by_idc_first_then_location(
    one: tuple[str, str], other: tuple[str, str], distance: int
) -> None:
    """Labels that nobody set bring nobody together."""
    assert Labels(*one).distance(Labels(*other)) == distance
    assert Labels(*other).distance(Labels(*one)) == distance


def test_only_what_is_new_counts_as_received() -> None:
    """Totals grow; a peer that began anew counts from nothing; inventions are cut."""
    member = _member()
    assert member.received(35, 1000) == 35
    assert member.received(45, 1000) == 10
    assert member.received(7, 1000) == 0
    assert member.received(9, 1000) == 2
    assert member.received(2**60, 1000) == 991
    assert member.received(-5, 1000) == 0


def test_hunger_is_counted_from_its_first_call() -> None:
    """A meal between sets it back."""
    member = _member()
    assert member.hungry(True, 10.0) == 0.0
    assert member.hungry(True, 13.0) == 3.0
    assert member.hungry(False, 14.0) == 0.0
    assert member.hungry(True, 20.0) == 0.0


def test_different_reporters_count_and_are_forgotten() -> None:
    """One that repeats itself is one; what was said long ago is void; so is all when it
    answers; memory is bounded."""
    member = _member()
    assert member.blame(b"a", 0.0) == 1
    assert member.blame(b"a", 1.0) == 1
    assert member.blame(b"b", 2.0) == 2
    assert member.blame(b"c", BLAME_S + 1.5) == 2
    member.cleared()
    assert member.blame(b"c", BLAME_S + 2) == 1
    for n in range(100):
        most = member.blame(bytes([n]), BLAME_S + 3)
    assert most == BLAMERS_MAX


def test_overdue_allows_for_the_wait_it_was_told() -> None:
    """In a large swarm peers call seldom, and are no deader for it."""
    member = _member(wait_s=50.0)
    assert not member.overdue(100.0 + 100.0 + OVERDUE_S)
    assert member.overdue(100.0 + 100.0 + OVERDUE_S + 0.1)
