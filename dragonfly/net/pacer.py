"""Keeps one connection to several rate limits, by pausing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dragonfly.net.holds import Holds
from dragonfly.net.throttle import AHEAD_BYTES, Claim, Flow

__all__ = ["Pacer"]

UNLIMITED_BYTES = 256 * 1024
"""What one read may bring when a limit was lifted; before there is one, nothing is said."""


class Pacer:
    """Lets one connection be read as fast as all of its limits allow.

    It pays ahead for what one read brings, so that of many connections one after another is
    read, not all at once; what a read brings beyond that is paid afterwards.

    :param flows: parts in the limits; none at all: there is no limit.
    :param pause: called when the connection must wait; also when it does already.
    :param resume: called when it need not wait any more.
    :param read_at_most: called with the bytes that one read had better bring at most.
    """

    def __init__(
        self,
        flows: Sequence[Flow],
        *,
        pause: Callable[[], object],
        resume: Callable[[], object],
        read_at_most: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._flows = flows
        self._pause = pause
        self._resume = resume
        self._read_at_most = read_at_most
        self._ahead = self._asked = 0
        self._most: int | None = None
        self._paid = 0
        """The first so many flows are paid, while the next one's claim waits."""
        self._claim: Claim | None = None

    @classmethod
    def by_holds(
        cls, flows: Sequence[Flow], holds: Holds, read_at_most: Callable[[int], object]
    ) -> Pacer:
        """One for a connection that waits for other reasons, too: the limits are the reason
        ``rate`` among its ``holds``."""
        return cls(
            flows,
            pause=partial(holds.add, "rate"),
            resume=partial(holds.remove, "rate"),
            read_at_most=read_at_most,
        )

    @property
    def waiting(self) -> bool:
        """Whether the connection has to."""
        return self._claim is not None

    @property
    def ahead(self) -> int:
        """Bytes that the connection had better read at once, at most."""
        return min((flow.throttle.ahead for flow in self._flows), default=AHEAD_BYTES)

    def begin(self) -> None:
        """Bytes are about to come."""
        if self._ahead <= 0 and self._claim is None:
            self._ask()

    def took(self, count: int) -> None:
        """So many came."""
        self._ahead -= count
        if self._ahead > 0:
            return
        for flow in self._flows:
            flow.charge(-self._ahead)
        self._ahead = 0
        if self._claim is not None:
            self._pause()
        else:
            self._ask()

    def rest(self) -> None:
        """No more are about to come: what was paid for them goes back, and nobody waits."""
        if self._claim is None and self._most is None:
            self._ahead = 0  # nothing was limited, so nothing was paid
            return
        claim, self._claim = self._claim, None
        paid = self._flows[: self._paid] if claim is not None else ()
        ahead, self._ahead = self._ahead, 0
        if claim is not None:
            claim.cancel()
        for flow in paid:
            flow.charge(-self._asked)
        for flow in self._flows:
            flow.charge(-ahead)
        if claim is not None:
            self._resume()

    def _ask(self) -> None:
        limited = [flow for flow in self._flows if flow.throttle.rate is not None]
        self._asked = self.ahead if limited else AHEAD_BYTES
        most = self._asked if limited else None
        if most != self._most:
            self._most = most
            self._read_at_most(most or UNLIMITED_BYTES)
        if limited:
            self._pay(0)
        else:
            self._ahead += self._asked

    def _pay(self, paid: int) -> None:
        """Pay the flows from ``paid`` on, or pause until they can be."""
        for number in range(paid, len(self._flows)):
            granted = partial(self._granted, number + 1)
            self._claim = self._flows[number].claim(self._asked, granted)
            if self._claim is not None:
                self._paid = number
                self._pause()
                return
        self._ahead += self._asked

    def _granted(self, paid: int) -> None:
        self._claim = None
        self._pay(paid)
        if self._claim is None:
            self._resume()
