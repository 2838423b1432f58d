"""How many neighbours hold each piece, as one integer of bits for each level."""

from __future__ import annotations

import random

__all__ = ["Availability", "nth_piece", "random_piece"]


class Availability:
    """Counts the holders of every piece.

    Level ``k`` has the bit of each piece with more than ``k`` holders. A whole bitfield, or
    one piece, is counted by as many operations on integers as there are levels, and with ten
    neighbours the rarest of 2,048 pieces are found in a few microseconds.
    """

    def __init__(self) -> None:
        self._levels: list[int] = []

    def add(self, mask: int) -> None:
        """One more neighbour holds the pieces of ``mask``."""
        for level, held in enumerate(self._levels):
            if not mask:
                return
            self._levels[level] = held | mask
            mask &= held
        if mask:
            self._levels.append(mask)

    def remove(self, mask: int) -> None:
        """A neighbour that held the pieces of ``mask`` is gone."""
        levels = self._levels
        above = 0
        for level in range(len(levels) - 1, -1, -1):
            held = levels[level]
            levels[level] = held & ~(mask & ~above)
            above = held
        while levels and not levels[-1]:
            levels.pop()

    def count(self, piece: int) -> int:
        """How many hold ``piece``."""
        return sum(held >> piece & 1 for held in self._levels)

    def rarest(self, mask: int) -> int:
        """Give those pieces of ``mask`` that the fewest neighbours hold."""
        for held in self._levels:
            rare = mask & ~held
            if rare:
                return rare
        return mask


def nth_piece(mask: int, n: int) -> int:
    """Give the ``n``-th lowest piece of ``mask``, in a logarithm of its width.

    :param n: 0 is the lowest; must be less than the number of pieces.
    """
    base, width = 0, mask.bit_length()
    while width > 1:
        half = width >> 1
        low = mask & ((1 << half) - 1)
        count = low.bit_count()
        if n < count:
            mask, width = low, half
        else:
            n -= count
            mask >>= half
            base += half
            width -= half
    return base


def random_piece(mask: int, rng: random.Random) -> int:
    """Give any piece of ``mask``, each with the same chance; there must be one."""
    return nth_piece(mask, int(rng.random() * mask.bit_count()))
