"""When to read the origin oneself, so that a starving crowd does not recreate the overload.

While a supernode answers, its ticket is needed; with none reachable a random wait spreads
the crowd; a client that would give up gets its bytes regardless.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from dragonfly.errors import (
    DragonflyError,
    NoSources,
    OriginChanged,
    OriginError,
    OriginRefused,
    VersionUnknown,
)
from dragonfly.net.reply import Validating, strong
from dragonfly.net.tasks import Task, TaskSet
from dragonfly.peer.content.content import Content
from dragonfly.peer.origin.hunger import Hunger
from dragonfly.peer.origin.originstream import OriginSource, OriginStream
from dragonfly.sched.picker import ALL

__all__ = [
    "ALONE_S",
    "GOES_ON_S",
    "LOST_S",
    "PATIENCE_S",
    "STUCK_S",
    "TRIES",
    "Fallback",
    "Situation",
]

ALONE_S = 1.0
"""Nobody useful for this long: ask the supernode, or find out that it is gone."""

LONGEST_ASK_S = 8.0
"""A supernode that answers is asked again after 1, 2, 4, then every 8 s."""

PATIENCE_S = 20.0
"""Nothing at all for this long, and no ticket: the client would give up now."""

SPREAD_S = 2.0
"""Without a supernode everybody waits a random part of this."""

RETRY_S = 5.0
"""After the origin failed, the next attempt waits this long."""

TRIES = 4
"""Attempts at the origin in a row without a new piece; with nobody else to ask it is over."""

SILENCE_S = 5.0
"""Where the origin must not be read: so long neighbours may be quiet when the CDN has failed,"""

LOST_S = 60.0
"""... when no supernode answers,"""

GOES_ON_S = 5.0
"""Where parts are wanted only, reading stops at the end of what is: so long afterwards it goes
on at once, as the readers do, and is not begun anew for its reasons."""

STUCK_S = 300.0
"""... and in any case; a CDN that still tries reports its failure before that."""


class Situation(Protocol):
    """What the fallback must know of the rest of the download."""

    def useful(self) -> bool:
        """Whether some neighbour has a piece that is wanted and missing here."""

    def limited(self) -> bool:
        """Whether the user's rate limits hold it back now, and not its sources."""

    def supernode_lost(self) -> bool:
        """Whether the supernode does not answer."""

    def ask(self) -> None:
        """Announce now: hungry, or to find out whether anybody answers."""

    def impatient(self, expected_s: float | None, now: float) -> bool:
        """Whether the client's own limits (time, rate) will not be met."""

    def reading_origin(self, how: str) -> None:
        """The origin is being read from now on; ``how``: for the user."""

    def another_source(self, refused: OriginSource) -> bool:
        """The origin refused that one: whether another client has one to try."""


class Fallback:
    """One download's way to the origin.

    :param stream: makes a reader of the origin; ``None`` forbids it (``--notbs``).
    :param validator: the version that the pieces here belong to.
    """

    _log = Logger()

    def __init__(
        self,
        content: Content,
        hunger: Hunger,
        situation: Situation,
        *,
        clock: IReactorTime,
        rng: random.Random,
        tasks: TaskSet,
        stream: Callable[[], OriginStream | None],
        validator: Validating,
    ) -> None:
        self.starving = False
        self._content = content
        self._hunger = hunger
        self._situation = situation
        self._clock = clock
        self._rng = rng
        self._tasks = tasks
        self._stream = stream
        self._validator = validator
        self._reading: Task | None = None
        self._ticket_until = 0.0
        self._goes_on_until = 0.0
        self._not_before = 0.0
        self._spread_until: float | None = None
        self._ask_at = 0.0
        self._ask_gap = ALONE_S
        self._swarm_error: DragonflyError | None = None
        self._barren = 0
        self._came_to: tuple[int, int] | None = None

    # -- what is told -----------------------------------------------------------------

    def ticket(self, seconds: float) -> None:
        """The supernode lets us read the origin for so long."""
        if seconds > 0:
            self._ticket_until = self._clock.seconds() + seconds
            if self.starving:
                self._begin("by the supernode's leave")

    def swarm_failed(self, error: DragonflyError) -> None:
        """The supernode says that it will not have the content: no use in waiting."""
        self._swarm_error = error

    def stop(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()

    @property
    def _ungoverned(self) -> bool:
        """Whether nobody is there who could give leave, or bring it instead."""
        return self._situation.supernode_lost() or self._swarm_error is not None

    @property
    def reading(self) -> bool:
        """Whether the origin is being read."""
        return self._reading is not None and self._reading.running

    # -- what is decided ---------------------------------------------------------------

    def tick(self) -> None:
        """Look at the download; called a few times a second while it is not finished."""
        now = self._clock.seconds()
        content = self._content
        if self.reading or content.checking or content.all_here or now < self._not_before:
            return
        if not content.lacking:
            self.starving = False
            self._hunger.rest(now)
            return
        goes_on = now < self._goes_on_until and self._readable
        if goes_on and not self._over(not self._ungoverned):
            self._begin()
            return
        useful = self._situation.useful()
        alone = not useful and self._hunger.quiet_s(now) >= ALONE_S
        expected = self._hunger.expected_s(self._content.remaining, now)
        whole = content.wanted == ALL
        starves = self._hunger.starves(content.remaining if whole else None, now)
        self.starving = starves and not self._situation.limited()
        impatient = self._situation.impatient(expected, now)
        if not (alone or self.starving or impatient or self._swarm_error is not None):
            self._ask_gap, self._spread_until = ALONE_S, None
            return
        if not useful and self._hunger.quiet_s(now) >= SILENCE_S and self._stream() is None:
            self._give_up(self._hunger.quiet_s(now))
        if self._ungoverned:
            self._after_spread(now)
        elif now < self._ticket_until:
            self._begin("by the supernode's leave")
        elif impatient or self._hunger.quiet_s(now) >= PATIENCE_S:
            self._begin("because nothing else brought it in time")
        elif now >= self._ask_at:
            self._ask_at, self._ask_gap = now + self._ask_gap, min(2 * self._ask_gap, LONGEST_ASK_S)
            self._situation.ask()

    def _give_up(self, quiet_s: float) -> None:
        """The origin must not be read, and nobody else has anything: that has its time."""
        lost = self._situation.supernode_lost()
        if self._swarm_error is not None:
            self._content.fail(self._swarm_error)
        elif quiet_s >= STUCK_S or (lost and quiet_s >= LOST_S):
            who = "no supernode answers, and no neighbour" if lost else "no neighbour"
            self._content.fail(NoSources(f"{who} has sent anything for {quiet_s:.0f} s"))

    def _after_spread(self, now: float) -> None:
        """Nobody governs: a random wait keeps the crowd apart."""
        if self._spread_until is None:
            self._spread_until = now + self._rng.uniform(0.0, SPREAD_S)
        if now >= self._spread_until:
            self._begin("because no supernode helps")

    def _begin(self, why: str = "") -> None:
        """Read, and tell why unless that was told."""
        stream = self._stream()
        if stream is None or self.reading or not self._readable:
            return
        if why:
            self._situation.reading_origin(why)
        self._reading = self._tasks.spawn(self._read(stream), "reading the origin")

    async def _read(self, stream: OriginStream) -> None:
        """Read until the ticket is over or nothing is left; failures wait for the next try."""
        try:
            await self._read_pieces(stream)
            if self._content.wanted != ALL:
                self._goes_on_until = self._clock.seconds() + GOES_ON_S
        except CancelledError:
            raise
        except OriginChanged as error:
            self._content.fail(error)
        except OriginRefused as error:
            if not self._situation.another_source(stream.source):
                self._not_before = self._clock.seconds() + RETRY_S
                self._failed(error)
        except DragonflyError as error:
            self._not_before = self._clock.seconds() + RETRY_S
            self._failed(error)

    @property
    def _readable(self) -> bool:
        """Whether digests tell what comes; or will not in time, as far as one can see."""
        patient = self._hunger.quiet_s(self._clock.seconds()) < PATIENCE_S
        return bool(self._known_missing) or self._ungoverned or not patient

    async def _read_pieces(self, stream: OriginStream) -> None:
        governed = not self._ungoverned
        first = self._first_known()
        if first is not None and not self._in_one_go:
            await stream.known(first, self._version, lambda: self._over(governed))
        else:
            await self._read_rest(stream)

    @property
    def _in_one_go(self) -> bool:
        """Whether what has digests and what will never have any comes in one transfer: a second
        one would cost what is under way when the first is broken off."""
        unfinished = not self._content.manifest.complete
        return self._ungoverned and unfinished and strong(self._validator.etag) is not None

    @property
    def _version(self) -> Validating | None:
        """The version to ask for where digests tell what comes: for a part of one that has no
        strong tag none, since all before the part would have to come as well."""
        part = self._content.wanted != ALL
        return None if part and strong(self._validator.etag) is None else self._validator

    async def _read_rest(self, stream: OriginStream) -> None:
        """Read on without digests, which is right only in the very version that is here."""
        first = self._content.first_lacking()
        if first and strong(self._validator.etag) is None:
            kind = OriginChanged if self._swarm_error is None else VersionUnknown
            raise kind("nothing tells whether the origin still has this version")
        await stream.rest(first, self._validator)

    @property
    def _known_missing(self) -> int:
        """What is wanted, not here, and has digests, as bits."""
        content = self._content
        return content.manifest.known.mask & content.wanted & ~content.have.mask

    def _first_known(self) -> int | None:
        """Where to begin: anywhere among what is missing, so that a few readers of one task
        bring different pieces; at the front for who reads in order."""
        missing = self._known_missing
        if not missing:
            return None
        if not self._content.in_order:
            cut = self._rng.randrange(missing.bit_length())
            missing = (missing >> cut << cut) or missing
        return (missing & -missing).bit_length() - 1

    def _over(self, governed: bool) -> bool:
        return governed and self._clock.seconds() >= max(
            self._ticket_until, self._hunger_patience()
        )

    def _hunger_patience(self) -> float:
        """Who began without a ticket reads on, until the swarm could feed him."""
        return float("inf") if not self._situation.useful() else 0.0

    def _failed(self, error: DragonflyError) -> None:
        """The origin did not give it; that ends the download only if nobody else will."""
        here = self._content.remaining, self._content.first_missing()
        self._barren = self._barren + 1 if here == self._came_to else 1
        self._came_to = here
        final = isinstance(error, OriginError) and not error.retryable
        barren = self._barren >= TRIES and not self._situation.useful()
        if self._ungoverned and (final or barren):
            self._content.fail(error)
        else:
            self._log.warn("the origin did not help: {error}", error=str(error))
