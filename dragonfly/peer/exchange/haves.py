"""HAVE: telling neighbours which pieces are here, on the back of other messages if possible."""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.net.calloff import call_off
from dragonfly.peer.connections.links import Link

__all__ = ["HAVE_LEAST_S", "HAVE_MOST_S", "HAVE_PIECES", "Haves"]

HAVE_PIECES = 10
"""HAVEs ride on requests and slices; a timer serves pairs that say nothing else, once in the time
in which so many pieces come: 0.1 s where a link of 50 Mb/s brings 64 KiB each, and news that are
older cost 3 % of a download's time (simulated)."""

HAVE_LEAST_S = 0.1
"""However fast pieces come: each message costs both sides as much as a piece."""

HAVE_MOST_S = 0.6
"""A neighbour that was told and asked nothing for the time is told at once: when a swarm begins
nothing is said that HAVEs could ride on, and the timer would cost its time at every hop."""


class Haves:
    """What the neighbours of one task are told of pieces that are here, and when.

    What is offered waits in each session for the next message; none waits longer than the timer.

    :param links: those that are open; looked at whenever something is told.
    :param piece_s: seconds from one piece to the next, as far as known.
    """

    def __init__(
        self,
        links: Collection[Link],
        clock: IReactorTime,
        piece_s: Callable[[], float | None],
    ) -> None:
        self._links = links
        self._clock = clock
        self._piece_s = piece_s
        self._timer: IDelayedCall | None = None

    @property
    def every_s(self) -> float:
        """How long a HAVE may wait for something to ride on."""
        return min(HAVE_MOST_S, max(HAVE_LEAST_S, HAVE_PIECES * (self._piece_s() or 0.0)))

    def offer(self, pieces: list[int]) -> None:
        """Queue news for all who may want them; they go out with the next message to each."""
        for link in self._links:
            _queue(link, pieces)
        if self._timer is None and self._links:
            self._timer = self._clock.callLater(self.every_s, self._due)

    def tell_the_quiet(self, now: float) -> None:
        """Tell those at once to whom nothing was said for long."""
        quiet_since = now - self.every_s
        for link in list(self._links):
            if link.told_at <= quiet_since:
                self._tell(link)

    def stop(self) -> None:
        """Tell nobody by the timer any more."""
        timer, self._timer = self._timer, None
        call_off(timer)

    def _due(self) -> None:
        self._timer = None
        for link in list(self._links):
            self._tell(link)

    def _tell(self, link: Link) -> None:
        """Send the HAVEs that wait, if there are any."""
        if link.peer.session.pending_haves and link.peer.is_open:
            link.told_at = self._clock.seconds()
            link.peer.session.flush_have()
            link.peer.flush()


def _queue(link: Link, pieces: list[int]) -> None:
    """Not for pieces that the neighbour has; the seed counts copies."""
    wanted = pieces if link.seed else [p for p in pieces if not link.mask >> p & 1]
    if wanted:
        link.peer.session.queue_have(wanted)
