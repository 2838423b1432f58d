"""Small parts that the registry gives while the swarm has not come to them.

Who starts containers lazily reads 50 kB here and 1 MiB there, one after another, and needs each
in milliseconds, while a supernode that has just begun reads the blob from its front.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from weakref import WeakValueDictionary

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dragonfly.daemon.blobs.outlet import Outlet
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.daemon.blobs.vigil import Vigil
from dragonfly.errors import NoSources
from dragonfly.task.identity import Name
from dragonfly.task.layout import Layout

__all__ = [
    "AT_ONCE",
    "SEARCHES_MAX",
    "SEARCH_S",
    "SMALL_BYTES",
    "SMALL_S",
    "TURN_S",
    "Detour",
    "Detours",
]

SMALL_BYTES = 2 * 1024 * 1024
"""The longest part that is read so: lazy snapshotters ask for 50 kB to 1 MiB at once, and a bit
more where compression did not help. What is longer is a pull, and those are what the swarm is to
keep from the registry."""

SMALL_S = 0.5
"""So long such a part waits for what nobody has. A supernode that is only beginning shows first
pieces by then, at 1 Gb/s the first 60 MB; a snapshotter gives up a read after 5 s, and a
container that starts makes hundreds of them."""

AT_ONCE = 8
"""Parts of one content read so at once, as many as a client keeps under way; others take turns."""

TURN_S = 5.0
"""A part whose turn has not come by then is read all the same: no client is to give up for it."""

SEARCH_S = 10.0
"""So long the swarm may go on looking for a content whose readers have not waited."""

SEARCHES_MAX = 32
"""At once; a container that is started lazily has about ten layers."""


class Detour:
    """The short way for one answer's small parts.

    :param turns: how many parts of that content are read so at once.
    :param searching: whether the swarm has been looking for it for longer than a part waits.

    :ivar taken: whether the part is to be read so.
    """

    def __init__(self, turns: DeferredSemaphore, *, searching: bool) -> None:
        self._turns = turns
        self.taken = False
        self._searching = searching
        self._small = False

    def begin(self, begin: int, end: int | None, *, whole: bool) -> None:
        """The next part of the answer; the whole content is never read so, however small."""
        self.taken = False
        self._small = not whole and end is not None and end - begin <= SMALL_BYTES

    def pointless(self, download: Transferring, outlet: Outlet) -> str:
        """Why a small part need not wait at all; empty: it should, or is no small one."""
        if not self._small:
            return ""
        due_s = self._due_s(download, outlet)
        hopeless = self._searching if due_s is None else due_s > SMALL_S
        return self._take(outlet, 0.0) if hopeless else ""

    def late(self, download: Transferring, outlet: Outlet) -> str:
        """Why a small part has waited long enough; empty: it has not, or somebody has it."""
        waited_s = outlet.waited_s()
        if not self._small or waited_s < SMALL_S or self._due_s(download, outlet) == 0.0:
            return ""
        return self._take(outlet, waited_s)

    async def run(self, vigil: Vigil, outlet: Outlet, read: Callable[[], Awaitable[None]]) -> None:
        """Have ``read`` done in its turn, or after :data:`TURN_S` without one.

        :raises HungUp: the client hung up.
        """
        try:
            await vigil.wait(self._turns.acquire(), partial(_impatient, outlet))
        except NoSources:
            await read()
            return
        try:
            await read()
        finally:
            self._turns.release()

    def _due_s(self, download: Transferring, outlet: Outlet) -> float | None:
        return download.due_s(outlet.taken, outlet.end or outlet.taken)

    def _take(self, outlet: Outlet, waited_s: float) -> str:
        self.taken = True
        return f"the swarm has not come to byte {outlet.taken} after {waited_s:.1f} s"


def _impatient(outlet: Outlet) -> str:
    return "its turn did not come" if outlet.waited_s() >= TURN_S else ""


class Detours:
    """What answers for one content have to know of each other.

    :param heard: called with a download that was taken over and is over, well or not.
    :param silent: called with a content of which the swarm said nothing for :data:`SEARCH_S`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        heard: Callable[[Transferring], None],
        silent: Callable[[Source], None],
    ) -> None:
        self._clock = clock
        self._heard = heard
        self._silent = silent
        self._turns: WeakValueDictionary[bytes, DeferredSemaphore] = WeakValueDictionary()
        self._searches: dict[bytes, _Search] = {}

    def of(self, name: Name) -> Detour:
        """The one for an answer of that content."""
        turns = self._turns.setdefault(name.id, DeferredSemaphore(AT_ONCE))
        return Detour(turns, searching=name.id in self._searches)

    def search(self, source: Source, download: Transferring) -> bool:
        """Take over a download whose reader did not wait until anything was known of it.

        Registering goes on so, and ends although no reader has the time; readers that come
        meanwhile need not wait for it. It is cancelled when it knows, or after
        :data:`SEARCH_S`.

        :return: whether it was taken over; else cancelling it is left to the caller.
        """
        name_id = source.name.id
        known = name_id in self._searches or len(self._searches) >= SEARCHES_MAX
        if known or download.ended:
            return False
        search = _Search(download, self._clock, partial(self._over, source, download))
        self._searches[name_id] = search
        search.begin()
        return True

    def _over(self, source: Source, download: Transferring, heard: bool) -> None:
        del self._searches[source.name.id]
        if heard:
            self._heard(download)
        else:
            self._silent(source)


class _Search:
    """Listens to a download until it knows something.

    :param over: called once, with whether anything was heard.
    """

    def __init__(
        self, download: Transferring, clock: IReactorTime, over: Callable[[bool], None]
    ) -> None:
        self._download = download
        self._over = over
        self._heard = False
        self._timer: IDelayedCall = clock.callLater(SEARCH_S, self._end)

    def begin(self) -> None:
        """Listen."""
        self._download.add_listener(self)
        self._download.done.wait().addBoth(self._ended)

    def _ended(self, _: object) -> None:
        self._heard = True
        if self._timer.active():
            self._timer.cancel()
            self._end()

    def _end(self) -> None:
        self._over(self._heard)
        self._download.cancel()

    def on_layout(self, layout: Layout) -> None:  # noqa: ARG002
        """It is found. That ends in another turn: the download is in the midst of telling."""
        self._heard = True
        if self._timer.active():
            self._timer.reset(0)

    def on_ranges(self, ranges: list[tuple[int, int]]) -> None:
        """Nobody waits for them."""

    def on_notice(self, text: str) -> None:
        """Nobody is there to be told."""

    def on_restart(self) -> None:
        """It goes on."""

    def on_done(self) -> None:
        """``done`` says so, too."""

    def on_failed(self, error: Exception) -> None:
        """``done`` says so, too."""
