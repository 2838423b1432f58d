"""A network as a fluid: every flow has the rate that max-min fairness gives it.

Only the links of hosts limit; the switch between them does not. A link that is full has a
*level*: no flow through it is faster, and those that nothing else holds back are as fast. The
rate of a flow is the lower one of the levels at its two ends. When a flow begins or ends the
levels of its two links are calculated anew, then those of links whose flows changed, and so on
until changes are too small to matter. In equilibrium that is the max-min allocation (Charny,
Clark and Jain 1995, "Congestion control with explicit rate indication").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from .clock import SimClock

__all__ = ["TOLERANCE", "Flow", "Link", "Network"]

TOLERANCE = 0.02
"""Rates that would change by a smaller share stay as they are: a flow that joins seven moves
the rates two links away by less than that."""

SETTLEMENTS_MAX = 400
"""Links looked at after one change; a guard, not reached in any run so far."""


class Link:
    """One direction of one host's connection to the switch.

    :ivar rate: bytes for each second.
    :ivar level: what its fastest flow gets; infinite while the link is not full.
    """

    __slots__ = ("flows", "level", "queued", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.level = inf
        self.queued = False
        self.flows: dict[Flow, Link] = {}

    def fair(self) -> float:
        """The level, given what the other ends allow: water filling."""
        left, n = self.rate, len(self.flows)
        for limit in sorted([other.level for other in self.flows.values()]):
            share = left / n
            if limit >= share:
                return share
            left -= limit
            n -= 1
        return inf


class Flow:
    """Bytes on their way from one host to another; made by :meth:`Network.flow`.

    :ivar rate: bytes for each second, now.
    :ivar moved: bytes that have arrived by the last change.
    """

    __slots__ = ("_due", "_left", "_network", "_reached", "_since", "_ticket", "down", "moved",
                 "rate", "up")  # fmt: skip

    def __init__(
        self, network: Network, up: Link, down: Link, reached: Callable[[], float]
    ) -> None:
        self.up = up
        self.down = down
        self.rate = 0.0
        self.moved = 0.0
        self._network = network
        self._reached = reached
        self._left = 0.0
        self._since = 0.0
        self._due = inf
        self._ticket = 0

    @property
    def running(self) -> bool:
        """Whether it has a share of its links."""
        return self in self.up.flows

    def left(self) -> float:
        """Bytes that are still to come of what :meth:`begin` was given."""
        return max(0.0, self._left - self.rate * (self._network.clock.now - self._since))

    def begin(self, amount: float) -> None:
        """Move so many bytes, then call ``reached``, which gives how many more there are."""
        self._left, self._since = amount, self._network.clock.now
        self._due = inf
        self._ticket += 1
        self.up.flows[self] = self.down
        self.down.flows[self] = self.up
        self._network.changed(self.up, self.down)

    def stop(self) -> None:
        """Move nothing any more."""
        if self.running:
            self._settle()
            self._ticket += 1
            self.rate, self._due = 0.0, inf
            del self.up.flows[self], self.down.flows[self]
            self._network.changed(self.up, self.down)

    def set_rate(self, rate: float) -> None:
        """From now on it is as fast as that."""
        self._settle()
        self.rate = rate
        self._aim()

    def _settle(self) -> None:
        now = self._network.clock.now
        came = min(self._left, self.rate * (now - self._since))
        self.moved += came
        self._left -= came
        self._since = now

    def _aim(self) -> None:
        """Have an entry in the heap that is not later than the end."""
        if self.rate <= 0.0:
            return
        end = self._since + self._left / self.rate
        if end < self._due:
            self._due = end
            self._ticket += 1
            self._network.clock.at(end, self._look, self._ticket)

    def _look(self, ticket: int) -> None:
        if ticket != self._ticket:
            return
        self._settle()
        self._due = inf
        if self._left > 1e-3:
            self._aim()
            return
        more = self._reached()
        if ticket != self._ticket or not self.running:
            return
        if more > 0:
            self._left = more
            self._aim()
        else:
            self.stop()


class Network:
    """All flows.

    :param tolerance: see :data:`TOLERANCE`; 0 is exact.
    """

    def __init__(self, clock: SimClock, *, tolerance: float = TOLERANCE) -> None:
        self.clock = clock
        self.settlements = 0
        self._tolerance = tolerance
        self._dirty: deque[Link] = deque()
        self._soon = False

    def flow(self, up: Link, down: Link, reached: Callable[[], float]) -> Flow:
        """Make a flow that does not run yet."""
        return Flow(self, up, down, reached)

    def set_rate(self, link: Link, rate: float) -> None:
        """A link is faster or slower from now on."""
        link.rate = rate
        self.changed(link)

    def changed(self, *links: Link) -> None:
        """Calculate these anew before time goes on."""
        for link in links:
            if not link.queued:
                link.queued = True
                self._dirty.append(link)
        if not self._soon:
            self._soon = True
            self.clock.at(self.clock.now, self._balance)

    def _balance(self) -> None:
        self._soon = False
        dirty, left = self._dirty, SETTLEMENTS_MAX + 2 * len(self._dirty)
        while dirty:
            link = dirty.popleft()
            link.queued = False
            if left > 0:
                left -= 1
                self._settle(link)

    def _settle(self, link: Link) -> None:
        """Give a link its level, its flows their rates, and look at the links these change."""
        self.settlements += 1
        level = link.level = link.fair()
        tolerance, dirty = self._tolerance, self._dirty
        for flow, other in link.flows.items():
            rate = level if level < other.level else other.level
            old = flow.rate
            if abs(rate - old) <= tolerance * old:
                continue
            if rate != inf:  # else neither end holds it back any more, and the other must
                flow.set_rate(rate)
            if not other.queued:
                other.queued = True
                dirty.append(other)
