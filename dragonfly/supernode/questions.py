"""Questions to origins: one for all who ask the same at a time, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import attrs
from twisted.internet.defer import CancelledError, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import OriginError, OriginUnreachable
from dragonfly.net.fanout import OneShot
from dragonfly.net.reply import OriginReply
from dragonfly.net.tasks import TaskSet
from dragonfly.store.lately import Lately
from dragonfly.store.newest import Newest
from dragonfly.task.identity import origin_of

__all__ = [
    "FAILURES_MAX",
    "GIVEN_MAX",
    "GIVEN_S",
    "PROBES_EACH",
    "PROBES_MAX",
    "Access",
    "Prober",
    "Questions",
]

PROBES_MAX = 256
"""Questions to origins under way at once; more callers than that wait their turn."""

PROBES_EACH = 16
"""Of them to one origin, so that one that never answers keeps nobody from the others."""

FAILURES_MAX = 1024
"""Failures to reach a URL that are remembered."""

FAILURE_GROWTH = 2.0
FAILURE_LONGEST_S = 60.0

GIVEN_S = 300.0
"""So long after a GET was answered a HEAD counts for the same caller: the life of a grant."""

GIVEN_MAX = 4096
"""Callers to whom one was answered; of one that is forgotten a GET is asked again."""


class Prober(Protocol):
    """What asks an origin about a URL: :class:`dragonfly.supernode.openings.OpeningProber`."""

    async def probe(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        by_get: bool = False,
        opening: bool = False,
    ) -> OriginReply:
        """Ask without reading the content: for its head, or with ``by_get`` for one byte, or
        with ``opening`` for all that is going to be fetched."""


@attrs.frozen(kw_only=True)
class Access:
    """One way to read a URL at its origin. Lives in memory only, and prints nothing secret.

    ``key`` names it without telling it: a keyed hash over all the rest.
    """

    url: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False, default=())
    loopback: bool = False
    key: bytes = attrs.field(repr=False)

    def header(self, name: str) -> str | None:
        """The value sent for ``name`` (lower case), ``None`` if it is not sent."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@attrs.define(eq=False)
class _Line:
    """The callers of one access: who shares the next question, and whether one is out."""

    access: Access
    by_get: bool
    waiting: OneShot[OriginReply] | None = None
    running: bool = False
    opening: bool = False


@attrs.frozen
class _Outage:
    until: float
    wait_s: float
    text: str
    status: int


class Questions:
    """Puts them.

    :param prober: the client for callers on loopback (``True``) and for all others.
    :param failure_s: how long an unreachable URL is not tried again; doubles, to a minute.
    """

    def __init__(
        self,
        prober: Callable[[bool], Prober],
        clock: IReactorTime,
        tasks: TaskSet,
        *,
        failure_s: float,
    ) -> None:
        self._prober = prober
        self._clock = clock
        self._tasks = tasks
        self._failure_s = failure_s
        self._turns = DeferredSemaphore(PROBES_MAX)
        self._origins: WeakValueDictionary[str, DeferredSemaphore] = WeakValueDictionary()
        self._lines: dict[tuple[bytes, bool], _Line] = {}
        self._outages: Newest[bytes, _Outage] = Newest(FAILURES_MAX)
        self._given: Lately[bytes] = Lately(clock.seconds, GIVEN_S, GIVEN_MAX)

    def counts(self, access: Access) -> bool:
        """Whether a GET was answered to ``access`` lately, so that a HEAD means the same."""
        return access.key in self._given

    async def fresh(
        self, access: Access, *, by_get: bool = False, opening: bool = False
    ) -> OriginReply:
        """The answer to a question that is put from now on.

        :param by_get: whether it is a GET, of one byte,
        :param opening: or of all, which is going to be fetched.
        :raises OriginError: it is anything but a yes, or there is none, or was none lately.

        Cancelling gives up this caller's place; the question, shared by others, goes on.
        """
        outage = self._outages.get(access.key)
        if outage is not None and self._clock.seconds() < outage.until:
            # A new one each time: an exception that is raised again keeps every traceback.
            raise OriginUnreachable(outage.text, outage.status)
        line = self._lines.setdefault((access.key, by_get), _Line(access, by_get))
        if line.waiting is None:
            line.waiting = OneShot()
        line.opening = line.opening or opening
        waiter = line.waiting.wait()
        if not line.running:
            line.running = True
            self._tasks.spawn(self._serve(line), "asking an origin")
        return await waiter

    async def _serve(self, line: _Line) -> None:
        """Put questions until nobody waits for one."""
        access = line.access
        each = self._origins.setdefault(origin_of(access.url), DeferredSemaphore(PROBES_EACH))
        try:
            while line.waiting is not None:
                async with each, self._turns:
                    await self._question(line)
        finally:
            line.running = False
            self._lines.pop((access.key, line.by_get), None)
            if line.waiting is not None:
                line.waiting.fail(CancelledError())

    async def _question(self, line: _Line) -> None:
        """Put one; whoever comes from here on waits for the next."""
        shot, line.waiting = line.waiting, None
        opening, line.opening = line.opening, False
        if shot is None:
            return
        access, asked = line.access, self._clock.seconds()
        prober = self._prober(access.loopback)
        try:
            reply = await prober.probe(
                access.url, access.headers, by_get=line.by_get, opening=opening
            )
        except OriginError as error:
            self._given.discard(access.key)
            self._note_outage(access, error)
            shot.fail(error)
        except BaseException as error:
            shot.fail(error)
            raise
        else:
            self._outages.pop(access.key, None)
            if line.by_get:
                self._given.add(access.key, asked)
            shot.fire(reply)

    def _note_outage(self, access: Access, error: OriginError) -> None:
        """By access, not by URL: one caller's headers may be what the origin dislikes."""
        before = self._outages.pop(access.key, None)
        if not isinstance(error, OriginUnreachable):
            return
        wait_s = self._failure_s
        if before is not None:
            wait_s = min(before.wait_s * FAILURE_GROWTH, max(FAILURE_LONGEST_S, self._failure_s))
        until = self._clock.seconds() + wait_s
        self._outages.put(access.key, _Outage(until, wait_s, str(error), error.status))
