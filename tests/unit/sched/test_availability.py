"""Counting holders on levels of bits, against plain counters."""

from __future__ import annotations

import random
from collections import Counter

from dragonfly.sched.availability import Availability, nth_piece, random_piece
from dragonfly.task.bitfield import mask_of, pieces_of


def test_counts_follow_neighbours_that_come_and_go() -> None:
    """Any order of adding and removing gives the counts of those who are left."""
    rng = random.Random(5)
    availability, masks = Availability(), []
    for _ in range(200):
        if masks and rng.random() < 0.45:
            availability.remove(masks.pop(rng.randrange(len(masks))))
        else:
            masks.append(rng.getrandbits(40))
            availability.add(masks[-1])
        counts = Counter(piece for mask in masks for piece in pieces_of(mask))
        assert [availability.count(piece) for piece in range(40)] == [
            counts[piece] for piece in range(40)
        ]


def test_the_rarest_of_some() -> None:
    """Only those that were asked about count."""
    availability = Availability()
    for mask in (0b1111, 0b0111, 0b0011):
        availability.add(mask)
    assert availability.rarest(0b1111) == 0b1000
    assert availability.rarest(0b0111) == 0b0100
    assert availability.rarest(0b0011) == 0b0011
    assert availability.rarest(0b10011) == 0b10000


def test_the_nth_piece() -> None:
    """In ascending order, whatever the gaps."""
    pieces = [0, 3, 4, 63, 64, 2047, 100_000]
    mask = mask_of(pieces)
    assert [nth_piece(mask, n) for n in range(len(pieces))] == pieces


def test_every_piece_has_the_same_chance() -> None:
    """Also the one behind a long gap: peers must not all run to it."""
    rng = random.Random(1)
    drawn = Counter(random_piece(mask_of([0, 1, 2, 1000]), rng) for _ in range(4000))
    assert set(drawn) == {0, 1, 2, 1000}
    assert all(900 < count < 1100 for count in drawn.values())
