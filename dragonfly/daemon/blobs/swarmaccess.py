"""The way of contents into the swarm: whether it is of use, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime

from dragonfly.config import Node
from dragonfly.daemon.blobs.prefetches import Prefetches
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.daemon.http.messages import find_all
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import DragonflyError
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.download.ways import Reason
from dragonfly.store.lately import Lately
from dragonfly.task.identity import Name

__all__ = ["DARK_S", "LEAVING", "SILENT_MAX", "SwarmAccess", "SwarmSettings"]

DARK_S = 20.0
"""When no supernode answered, the swarm is not asked for so long: finding out for each blob of an
image that a dead host does not answer would cost seconds each time."""

LEAVING = "dfdaemon leaves the swarm"
"""Why an answer goes on without it."""

SILENT_MAX = 256
"""Origins that are remembered of which supernodes said nothing."""


@attrs.frozen(kw_only=True)
class SwarmSettings:
    """How contents are fetched. Rates are bytes per second.

    :ivar nodes: the supernodes; without any everything comes from the origin.
    :ivar prefetch: whether who asks for a part has all of it fetched.
    """

    nodes: tuple[Node, ...] = ()
    local_limit: int | None = None
    total_limit: int | None = None
    prefetch: bool = False


class SwarmAccess:
    """Begins downloads in the swarm.

    :param fetch: begins one in the peer.
    :param holds: whether the peer has that in work, so that no supernode is needed for it.
    """

    def __init__(
        self,
        settings: SwarmSettings,
        *,
        fetch: Callable[[FetchRequest], Transferring],
        holds: Callable[[Name], bool] = lambda _: False,
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._holds = holds
        self._clock = clock
        self._prefetches = Prefetches(fetch)
        self._dark_until = clock.seconds()
        self._left = False
        self._silent: Lately[str] = Lately(clock.seconds, DARK_S, SILENT_MAX)

    def limit(self, rate: int | None) -> None:
        """Name ``rate`` as the limit of all downloads together with each of them from now on."""
        self._settings = attrs.evolve(self._settings, total_limit=rate)

    def leave(self) -> None:
        """The peer ends: begin nothing any more."""
        self._left = True

    def join(self) -> None:
        """There is a peer again."""
        self._left = False

    def holds(self, name: Name) -> bool:
        """Whether the peer has that in work."""
        return not self._left and self._holds(name)

    def begin(
        self, source: Source, route: Route, note: Note, *, admitted: bool
    ) -> Transferring | None:
        """Begin a download, if that is of use; else note why not.

        :param admitted: the caller may have what is on this host; else a supernode is asked, or
            the origin.

        Before the origin said yes that is of use for what a digest names: nobody else may be
        shown those bytes for it. And never for who is elsewhere, and names the place himself:
        what the supernode can reach, its own loopback for instance, is not what he may.
        """
        if route.head.method == b"HEAD" or (source.reply is None and _must_wait(source, route)):
            return None
        why = self._useless(source)
        if not why:
            try:
                return self._fetch(self._request(source, route, admitted=admitted))
            except DragonflyError as error:
                why = str(error)
        note.because(why)
        return None

    def prefetch(self, source: Source, route: Route) -> None:
        """A part is being read: have the rest fetched, if that is wished."""
        if self._prefetching(route) and not self._left:
            self._prefetches.begin(source.name, self._request(source, route, admitted=True))

    def heard(self, download: Transferring) -> None:
        """A download is over; perhaps it found no supernode: look again a little later."""
        if download.reason == Reason.NO_SUPERNODE:
            self._dark_until = self._clock.seconds() + DARK_S

    def silent(self, source: Source) -> None:
        """No supernode said anything of that in time, for which the origin may be the reason."""
        self._silent.add(source.name.origin)

    # -- inside -----------------------------------------------------------------------------

    def _useless(self, source: Source) -> str:
        """Why the swarm need not be asked; empty: it is to be."""
        if not self._settings.nodes:
            return "no supernode is configured"
        if self._left:
            return LEAVING
        dark = self._clock.seconds() < self._dark_until or source.name.origin in self._silent
        if dark and not self._holds(source.name):
            return f"no supernode answered in the last {DARK_S:g} s"
        return ""

    def _request(self, source: Source, route: Route, *, admitted: bool) -> FetchRequest:
        return FetchRequest(
            url=source.url,
            headers=source.headers,
            filters=source.filters,
            identifier=source.identifier,
            digest=source.digest,
            nodes=self._settings.nodes,
            local_limit=self._settings.local_limit,
            total_limit=self._settings.total_limit,
            trust=route.registry.trust,
            everywhere=False,
            loopback=route.registry.local,
            callsystem="dfdaemon",
            # Only a digest tells whether what the peer reads by itself is this version.
            notbs=source.digest is None,
            admitted=admitted,
            whole=not _partial(route) or self._prefetching(route),
        )

    def _prefetching(self, route: Route) -> bool:
        wished = route.wishes.prefetch
        return self._settings.prefetch if wished is None else wished


def _must_wait(source: Source, route: Route) -> bool:
    return source.digest is None or not route.registry.local


def _partial(route: Route) -> bool:
    """Whether a part is asked for; ``bytes=0-`` is everything."""
    ranges = find_all(route.head.headers, b"range")
    return bool(ranges) and [each.replace(b" ", b"") for each in ranges] != [b"bytes=0-"]
