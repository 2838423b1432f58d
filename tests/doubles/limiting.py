"""One rate limit on a clock that is moved by hand."""

from __future__ import annotations

from twisted.internet.task import Clock

from dragonfly.net.throttle import AHEAD_BYTES, Claim, Throttle

__all__ = ["FAST", "RATE", "Lab"]

RATE = 1000
FAST = 20 * AHEAD_BYTES
"""The least at which a connection pays a whole read ahead."""


class Lab:
    """A limit, and what it granted when."""

    def __init__(self, rate: int | None = RATE) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock, rate)
        self.granted: list[tuple[str, float]] = []

    def claim(self, key: str, count: int) -> Claim | None:
        """Note when it is granted."""
        return self.throttle.claim(key, count, lambda: self._note(key))

    def _note(self, key: str) -> None:
        self.granted.append((key, self.clock.seconds()))

    def run(self, seconds: float, step: float = 0.01) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def busy(self, key: str, count: int, taken: dict[str, int]) -> None:
        """One that takes ``count`` bytes again and again."""

        def took() -> None:
            taken[key] = taken.get(key, 0) + count
            again()

        def again() -> None:
            while self.throttle.claim(key, count, took) is None:
                taken[key] = taken.get(key, 0) + count

        again()
