"""Contents that a rule sends through the swarm: asked for at their origin and in the swarm at once,
and streamed from there."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.blobs.blobrequest import BlobRequest, BlobTools
from dragonfly.daemon.blobs.checks import Checks
from dragonfly.daemon.blobs.detours import Detours
from dragonfly.daemon.blobs.eligibility import Unfit, source_of
from dragonfly.daemon.blobs.swarmaccess import SwarmAccess
from dragonfly.daemon.blobs.vigil import HungUp
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.straight.namecheck import StraightOn
from dragonfly.errors import DragonflyError
from dragonfly.net.origin import OriginClient
from dragonfly.net.throttle import Throttle
from dragonfly.net.trust import Trust

__all__ = ["Blobs"]


class Blobs:
    """Answers GETs and HEADs of contents.

    Whether the swarm has a content or not, its answer is the same: the origin was asked
    whether this caller may have it, redirects were followed, ranges work.

    :param swarm: begins downloads there.
    :param client: gives the client that asks origins with that trust, on this machine's own
        loopback too or not.
    :param straight_on: answers what cannot be shared, as the origin does.
    :param limit: what is read from the origin behind the peer's back keeps to it.
    :param via: see :class:`~dragonfly.daemon.blobs.checks.Checks`.
    :param boundary: makes what stands between the parts of an answer: new for each.
    """

    def __init__(
        self,
        swarm: SwarmAccess,
        *,
        client: Callable[[Trust, bool], OriginClient],
        straight_on: StraightOn,
        clock: IReactorTime,
        limit: Throttle | None = None,
        via: bytes,
        boundary: Callable[[], bytes],
    ) -> None:
        self._swarm = swarm
        self._client = client
        self._straight_on = straight_on
        self._tools = BlobTools(
            swarm=swarm,
            checks=Checks(clock.seconds, via=via),
            detours=Detours(clock, heard=swarm.heard, silent=swarm.silent),
            clock=clock,
            limit=limit,
            boundary=boundary,
        )
        self._requests: set[BlobRequest] = set()

    async def leave_swarm(self) -> None:
        """Do without the peer from now on; answers under way go on from the origin, each in
        its own response. Returns when none of them reads what the peer keeps.

        Cancelling stops the waiting only.
        """
        self._swarm.leave()
        for parted in [request.leave_swarm() for request in list(self._requests)]:
            if parted is not None:
                await parted

    async def answer(self, responder: Responder, route: Route, note: Note) -> None:
        """Answer one request: with the content, or else straight on, with the reason noted.

        Cancelling it gives the download up.
        """
        try:
            if await self._answered(responder, route, note):
                return
        except HungUp:
            note.ending = "gone"
            return
        except Unfit as error:
            note.because(str(error))
        note.route = "direct"
        await self._straight_on(responder, route, note)

    async def _answered(self, responder: Responder, route: Route, note: Note) -> bool:
        """As :meth:`~dragonfly.daemon.blobs.blobrequest.BlobRequest.answer`."""
        try:
            source = source_of(responder, route, self._client)
        except DragonflyError as error:
            raise Unfit(str(error)) from None
        request = BlobRequest(self._tools, responder, route, source, note)
        self._requests.add(request)
        try:
            return await request.answer()
        finally:
            self._requests.discard(request)
            request.end()
