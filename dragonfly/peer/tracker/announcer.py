"""Tells the supernode how one task goes, every so often, and brings back its answers."""

from __future__ import annotations

import random
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from dragonfly.control.messages import AnnounceAnswer, AnnounceRequest, quiet_s
from dragonfly.errors import DragonflyError, TrackerError, TrackerUnreachable, TrustError
from dragonfly.net.calloff import call_off
from dragonfly.peer.tracker.supernodes import Supernode

__all__ = ["CALM_S", "KICK_GAP_S", "KICK_SHARE", "RETRY_S", "Announcer", "Subject"]

KICK_GAP_S = 0.5
"""However urgent it is, announces of one task are this far apart."""

CALM_S = 8.0
KICK_SHARE = 0.75
"""A supernode that asks for announces less often than every :data:`CALM_S` has many peers. All
may end, or starve, at the same moment: then they come sooner than they were told by at most a
quarter of what is beyond, and each at a random time."""

RETRY_S = 15.0
"""Longest wait between attempts to reach a supernode that does not answer."""


class Subject(Protocol):
    """What is announced: one task of this peer."""

    def news(self) -> bool:
        """Whether a report would say anything that the last one did not."""

    def report(self) -> AnnounceRequest:
        """How it goes now."""

    def answered(self, answer: AnnounceAnswer) -> None:
        """The supernode's answer."""

    async def register_again(self) -> float:
        """The supernode does not know us (any more); gives the seconds to the next announce.

        :raises DragonflyError: it does not work now; it is tried again later.
        """


class Announcer:
    """The announce loop of one task.

    With news it announces when it was told to; without, after
    :func:`~dragonfly.control.messages.quiet_s`, and looks for news as often as it was told.

    :attr:`lost_since` is the time at which the supernode was found to be silent, ``None``
    while it answers.
    """

    _log = Logger()

    def __init__(
        self,
        supernode: Supernode,
        subject: Subject,
        clock: IReactorTime,
        rng: random.Random,
        *,
        first_s: float,
    ) -> None:
        self.supernode = supernode
        self.lost_since: float | None = None
        self._subject = subject
        self._clock = clock
        self._rng = rng
        self._wait_s = self._told_s = first_s
        self._kick_at: float | None = None
        self._announced_at = clock.seconds()
        self._failures = 0
        self._kicked = False
        self._sleep: Deferred[None] | None = None
        self._alarm: IDelayedCall | None = None

    def kick(self) -> None:
        """Announce now, or as soon as is allowed; while one is out, after it.

        :data:`KICK_GAP_S` after the last one at the soonest, and later where there are many.
        """
        if self._sleep is None or self._alarm is None:
            self._kicked = True
            return
        now = self._clock.seconds()
        if self._kick_at is None:
            gap = self._gap()
            chance = self._rng.uniform(0.0, gap) if gap > KICK_GAP_S else 0.0
            self._kick_at = max(self._announced_at + gap, now + chance)
        if self._alarm.getTime() > max(now, self._kick_at):
            self._alarm.reset(max(0.0, self._kick_at - now))

    def _gap(self) -> float:
        """Seconds between announces, however urgent."""
        return max(KICK_GAP_S, (self._told_s - CALM_S) * KICK_SHARE)

    async def run(self) -> None:
        """Announce for ever; ends by being cancelled."""
        while True:
            await self._nap(self._gap() if self._kicked else max(KICK_GAP_S, self._wait_s))
            if self._quiet():
                continue
            self._announced_at, self._kicked = self._clock.seconds(), False
            self._kick_at = None
            try:
                self._wait_s = self._told_s = await self._announce()
            except CancelledError:
                raise
            except DragonflyError as error:
                self._wait_s = self._failed(error)
            else:
                self.lost_since, self._failures = None, 0

    def _quiet(self) -> bool:
        """Nothing to say, and it was not said for too long."""
        until = self._announced_at + quiet_s(self._told_s) - KICK_GAP_S
        urgent = self._kicked or self._kick_at is not None or self._failures
        return not (urgent or self._subject.news() or self._clock.seconds() >= until)

    async def _announce(self) -> float:
        answer = await self.supernode.announce(self._subject.report())
        if not answer.known:
            return await self._subject.register_again()
        self._subject.answered(answer)
        return answer.announce_after

    def _failed(self, error: DragonflyError) -> float:
        """Note the failure and give the seconds to wait: soon at first, then less often."""
        if not isinstance(error, TrackerUnreachable | TrustError):
            self.lost_since = None  # an answer, if no good one
        elif self.lost_since is None:
            self.lost_since = self._clock.seconds()
        if self._failures == 0:
            kind = "unreachable" if isinstance(error, TrackerError) else "no help"
            self._log.warn(
                "supernode {node} is {kind}: {error}",
                node=str(self.supernode.node),
                kind=kind,
                error=str(error),
            )
        self._failures += 1
        longest = min(RETRY_S, 2.0**self._failures)
        return self._rng.uniform(longest / 2, longest)

    async def _nap(self, seconds: float) -> None:
        """Wait; :meth:`kick` cuts it short."""
        self._sleep = Deferred()
        self._alarm = self._clock.callLater(seconds, self._sleep.callback, None)
        try:
            await self._sleep
        finally:
            call_off(self._alarm)
            self._sleep = self._alarm = None
