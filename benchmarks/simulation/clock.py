"""Simulated time: a heap of calls, and the part of a reactor that our code uses.

Twisted's own ``Clock`` sorts all of its calls whenever one is added; a swarm has a hundred
thousand of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

__all__ = ["Call", "SimClock"]


class Call:
    """A call that is due at some time; the part of ``IDelayedCall`` that is used here."""

    __slots__ = ("_args", "_clock", "_fn", "_kw", "_state", "due", "ticket")

    def __init__(self, clock: SimClock, due: float, fn: Callable[..., object], args: Any, kw: Any):
        self._clock = clock
        self._fn = fn
        self._args = args
        self._kw = kw
        self._state = 0
        self.due = due
        self.ticket = 0

    def getTime(self) -> float:
        """When it is due."""
        return self.due

    def active(self) -> bool:
        """Whether it is still to come."""
        return self._state == 0

    def cancel(self) -> None:
        """Do not call. No error if it was called already."""
        self._state = self._state or 2

    def reset(self, seconds: float) -> None:
        """Be due so many seconds from now instead."""
        self.due = self._clock.now + seconds
        self._clock.push(self)

    def delay(self, seconds: float) -> None:
        """Be due later by so much."""
        self.due += seconds
        self._clock.push(self)

    def fire(self, ticket: int) -> None:
        """Call, if the entry of the heap is the last that was made for this."""
        if self._state == 0 and ticket == self.ticket:
            self._state = 1
            self._fn(*self._args, **self._kw)


class SimClock:
    """Time that passes only in :meth:`run`.

    :ivar now: seconds.
    :ivar events: how many calls were made.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., object], Any]] = []
        self._tickets = count(1)

    def seconds(self) -> float:
        """Now."""
        return self.now

    def callLater(self, delay: float, fn: Callable[..., object], *args: Any, **kw: Any) -> Call:
        """As a reactor does."""
        call = Call(self, self.now + delay, fn, args, kw)
        self.push(call)
        return call

    def push(self, call: Call) -> None:
        """Put a call into the heap; an earlier entry of it is void."""
        call.ticket = ticket = next(self._tickets)
        heapq.heappush(self._heap, (call.due, ticket, call.fire, (ticket,)))

    def at(self, due: float, fn: Callable[..., object], *args: Any) -> None:
        """Call ``fn`` at ``due``; cannot be taken back, and costs less for that."""
        heapq.heappush(self._heap, (due, next(self._tickets), fn, args))

    def run(self, until: float, stop: Callable[[], bool]) -> None:
        """Let time pass up to ``until``, or until ``stop`` says so after some call."""
        heap = self._heap
        while heap and not stop():
            due, _, fn, args = heap[0]
            if due > until:
                self.now = until
                break
            heapq.heappop(heap)
            if due > self.now:
                self.now = due
            self.events += 1
            fn(*args)
