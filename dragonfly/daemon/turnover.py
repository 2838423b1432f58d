"""How a dfdaemon leaves the swarm and its home, for another one or for good, and comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from dragonfly.daemon.front.front import FrontFactory
from dragonfly.daemon.lifetime.comeback import Comeback
from dragonfly.daemon.lifetime.handover import HandOver
from dragonfly.daemon.lifetime.leaving import Leaving
from dragonfly.daemon.lifetime.sidedoor import SideDoor
from dragonfly.daemon.lifetime.takeover import ask_to_leave
from dragonfly.daemon.membership import Membership
from dragonfly.daemon.place import Place
from dragonfly.daemon.ports import SOCKETS, Ports
from dragonfly.daemon.reception import Reception
from dragonfly.errors import HomeBusy
from dragonfly.peer.equipment import Runtime

__all__ = ["Turnover"]


class Turnover:
    """The parts of :mod:`.lifetime`, wired for one dfdaemon.

    :param parent: runs the peer.
    :param end: is called when another one serves, with its process number if that is known.
    :ivar leaving: ends answers, and the part in the swarm.
    :ivar comeback: takes the home again, which another one wanted and did not take.
    :ivar hand_over: what another one is told.
    """

    def __init__(
        self,
        parent: MultiService,
        runtime: Runtime,
        *,
        place: Place,
        membership: Membership,
        reception: Reception,
        ports: Ports,
        clients: FrontFactory,
        end: Callable[[int | None], object],
    ) -> None:
        self._parent = parent
        self._reactor = clock = runtime.reactor
        self._place = place
        self._membership = membership
        self._reception = reception
        self._ports = ports
        self.leaving = Leaving(clients, self._part, clock=clock)
        door = SideDoor(place.home, lambda: self.hand_over, clock)
        self.comeback = Comeback(self._come_back, door, clock=clock, rng=runtime.rng)
        self.hand_over = HandOver(self._sockets, self._make_room, self.comeback, end, clock=clock)

    async def _part(self) -> None:
        """Leave the swarm, and give up the home."""
        await self._reception.blobs.leave_swarm()
        await self._membership.part()

    def _sockets(self) -> Mapping[str, int]:
        """What is listened on, the piece port too where its peer is gone."""
        found, kept = self._ports.sockets(), self._membership.kept_port
        return found if kept is None or not found else {SOCKETS[-1]: kept, **found}

    def _make_room(self) -> Deferred[None]:
        """Leave the swarm; the piece port stays open for whoever comes."""
        self._membership.keep_port()
        return self.leaving.part()

    def _come_back(self) -> Deferred[None]:
        """Join the swarm again: nobody came. Fails where somebody else has the home."""
        return Deferred.fromCoroutine(self._join())

    async def _join(self) -> None:
        await self.leaving.part()
        try:
            await self._membership.rejoin(self._parent)
        except HomeBusy:  # a peer of dfget does no harm, and ends when it is asked
            threads = self._reactor.getThreadPool()
            await deferToThreadPool(self._reactor, threads, ask_to_leave, self._place.home)
            raise
        self.leaving.stay()
        self._reception.swarm.join()
