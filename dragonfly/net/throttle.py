"""Rate limits on a clock: who may take bytes now, and who waits for his turn.

A :class:`Throttle` is one limit. Those who share it are flows, a task for instance; each has
the same part, however many connections wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.limits import SharedRate

__all__ = ["AHEAD_BYTES", "LEAST_AHEAD_BYTES", "Claim", "Flow", "Throttle"]

AHEAD_BYTES = 64 * 1024
"""What a connection pays before it reads, at most: as much as one read of the reactor brings."""

AHEAD_S = 0.05
"""So long that may take to be earned. Of eight connections all may have paid and not read."""

LEAST_AHEAD_BYTES = 4 * 1024
"""Less is not worth a wake-up."""


class Throttle:
    """One rate limit, which may be changed at any time.

    :param rate: bytes for each second; ``None`` for no limit.
    """

    def __init__(self, clock: IReactorTime, rate: int | None = None) -> None:
        self._clock = clock
        self._shared = SharedRate(rate)
        self._waiting: dict[Hashable, deque[Claim]] = {}
        self._queued: dict[Hashable, int] = {}
        """Bytes of those claims: they are in the debts already, so that a flow that waits has
        its part also while a timer is late."""
        self._timer: IDelayedCall | None = None

    @property
    def rate(self) -> float | None:
        """Bytes for each second, ``None``: no limit."""
        return self._shared.rate

    @property
    def ahead(self) -> int:
        """Bytes that a connection should pay, and read, at once."""
        if self.rate is None:
            return AHEAD_BYTES
        return max(LEAST_AHEAD_BYTES, min(AHEAD_BYTES, int(self.rate * AHEAD_S)))

    @property
    def waiting(self) -> int:
        """Claims that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    def set(self, rate: int | None) -> None:
        """Keep to ``rate`` from now on; those who wait go on waiting by the new rate."""
        if rate == self.rate:
            return
        self._shared.set(rate, self._clock.seconds())
        self._look()

    def flow(self, key: Hashable) -> Flow:
        """The part of ``key``; the same key has the same part."""
        return Flow(self, key)

    def charge(self, key: Hashable, count: int) -> None:
        """Count bytes that passed already; less than none: some that were paid will not."""
        self._shared.charge(key, count, self._clock.seconds())
        if count < 0 and self._waiting:
            self._look()

    def claim(self, key: Hashable, count: int, granted: Callable[[], object]) -> Claim | None:
        """Pay for ``count`` bytes that will pass.

        :return: ``None``: they may pass now; else ``granted`` is called when they may, never
            inside this call, unless the claim is cancelled before.
        """
        now = self._clock.seconds()
        free = key not in self._waiting and not self._shared.wait(key, now)
        self._shared.charge(key, count, now)
        if free:
            return None
        claim = Claim(self, key, count, granted)
        self._waiting.setdefault(key, deque()).append(claim)
        self._queued[key] = self._queued.get(key, 0) + count
        self._arm()
        return claim

    async def pay(self, key: Hashable, count: int) -> None:
        """Wait until ``count`` bytes may pass. Cancelling takes the claim back."""
        passed: Deferred[None] = Deferred()
        claim = self.claim(key, count, partial(passed.callback, None))
        if claim is None:
            return
        try:
            await passed
        except CancelledError:
            claim.cancel()
            raise

    def drop(self, claim: Claim) -> None:
        """Forget a claim that was not granted yet."""
        claims = self._waiting.get(claim.key, deque())
        if claim in claims:
            claims.remove(claim)
            self._shorten(claim, claims)
            self.charge(claim.key, -claim.count)
            self._arm()

    def _shorten(self, claim: Claim, claims: deque[Claim]) -> None:
        """``claim`` has left the queue of its flow; the flow is behind the others then."""
        del self._waiting[claim.key]
        queued = self._queued.pop(claim.key) - claim.count
        if claims:
            self._waiting[claim.key] = claims
            self._queued[claim.key] = queued

    def _wait(self, key: Hashable, now: float) -> float:
        """Seconds until all is earned that the flow took before its first claim."""
        return self._shared.wait(key, now, debt=self._queued[key])

    def _look(self) -> None:
        """Grant what is due, one claim of each flow in turn, and have a timer for the next."""
        now = self._clock.seconds()
        while due := [key for key in self._waiting if not self._wait(key, now)]:
            for key in due:
                self._grant(key, now)
        self._arm()

    def _grant(self, key: Hashable, now: float) -> None:
        if key not in self._waiting or self._wait(key, now):
            return  # one that was granted before it has cancelled it, or took more
        claims = self._waiting[key]
        claim = claims.popleft()
        self._shorten(claim, claims)
        claim.granted()

    def _arm(self) -> None:
        """One timer, no later than the first claim's time; none without claims."""
        timer, now = self._timer, self._clock.seconds()
        if not self._waiting:
            self._timer = None
            if timer is not None:
                timer.cancel()
            return
        wait_s = min(self._wait(key, now) for key in self._waiting)
        if timer is None:
            self._timer = self._clock.callLater(wait_s, self._due)
        elif timer.getTime() > now + wait_s:
            timer.reset(wait_s)

    def _due(self) -> None:
        self._timer = None
        self._look()


@attrs.frozen
class Flow:
    """A part in a limit."""

    throttle: Throttle
    key: Hashable

    def charge(self, count: int) -> None:
        """As :meth:`Throttle.charge`."""
        self.throttle.charge(self.key, count)

    def claim(self, count: int, granted: Callable[[], object]) -> Claim | None:
        """As :meth:`Throttle.claim`."""
        return self.throttle.claim(self.key, count, granted)


@attrs.frozen(eq=False)
class Claim:
    """Bytes that wait for their turn."""

    throttle: Throttle
    key: Hashable
    count: int
    granted: Callable[[], object]

    def cancel(self) -> None:
        """They will not pass; nothing is called, nothing was paid. Twice is no error."""
        self.throttle.drop(self)
