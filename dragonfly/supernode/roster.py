"""All peers that the supernode knows, whatever tasks they are in, and who can be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from dragonfly.control.messages import Announced
from dragonfly.errors import TrackerError
from dragonfly.net.fanout import OneShot
from dragonfly.sched.peers import Labels, Peer
from dragonfly.supernode.reach import usable_address
from dragonfly.supernode.registration import TEXT_MAX, Caller

__all__ = ["DOUBT_S", "PEERS_MAX", "REDIAL_S", "Dialler", "Roster"]

PEERS_MAX = 32768
"""Peers known at once. With its task one takes 5 KiB. Each calls at least once in 120 s,
then over a new TLS connection: 273 calls a second at 1.5 to 2 ms, half of a core."""

REDIAL_S = 300.0
"""A peer that could not be reached is tried again after this: its firewall may have changed."""

DOUBT_S = 10.0
"""One that others report as dead is tried no more often than this."""


class Dialler(Protocol):
    """Tries addresses: :class:`dragonfly.supernode.reach.DialBack`."""

    def ask(
        self, address: str, port: int, tell: Callable[[bool], object], *, fresh: bool = False
    ) -> None:
        """Call ``tell`` with whether ``address`` can be connected to, now or later."""


class Roster:
    """The peers by key.

    :param on_reached: told when it turned out whether a peer can be reached.
    :param most: peers beyond that many are refused.
    """

    def __init__(
        self,
        dialler: Dialler,
        clock: IReactorTime,
        on_reached: Callable[[Peer], object],
        *,
        most: int = PEERS_MAX,
    ) -> None:
        self._dialler = dialler
        self._clock = clock
        self._on_reached = on_reached
        self._most = most
        self._peers: dict[bytes, Peer] = {}
        self._trying: dict[bytes, OneShot[bool]] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def get(self, key: bytes) -> Peer | None:
        """The peer that holds ``key``."""
        return self._peers.get(key)

    def meet(self, key: bytes, says: Announced, caller: Caller) -> Peer:
        """Take down what a peer says of itself. Whoever puts it into no task lets it go again.

        :raises TrackerError: too many peers (503).
        """
        peer = self._peers.get(key)
        if peer is None:
            if len(self._peers) >= self._most:
                raise TrackerError(f"{self._most} peers are known, no more are taken", 503)
            peer = Peer(key=key, address="", port=0, created=self._clock.seconds())
            self._peers[key] = peer
        address = usable_address(says.address, caller.address)
        if (peer.address, peer.port) != (address, says.port):
            peer.address, peer.port = address, says.port
            peer.reachable, peer.dialled_at = None, float("-inf")
            self._trying.pop(key, None)
        peer.hostname, peer.version = _short(says.hostname), _short(says.version)
        peer.labels = Labels(_short(says.idc), _short(says.location))
        return peer

    def release(self, peer: Peer) -> bool:
        """Let a peer go that is in no task any more; tell whether it was."""
        if peer.tasks or self._peers.get(peer.key) is not peer:
            return False
        del self._peers[peer.key]
        self._trying.pop(peer.key, None)
        return True

    # -- who can be reached -----------------------------------------------------------

    def try_to_reach(self, peer: Peer) -> OneShot[bool] | None:
        """Find out whether others can connect to ``peer``, unless that is known.

        :return: fires with the result; ``None``: nothing is to be found out now.
        """
        if peer.reachable:
            return None
        if peer.key in self._trying:
            return self._trying[peer.key]
        # An answer that was voided since must be found anew.
        again_s = REDIAL_S if peer.reachable is False else DOUBT_S
        if self._clock.seconds() - peer.dialled_at < again_s:
            return None
        return self._dial(peer, fresh=peer.dialled_at >= 0.0)

    def doubt(self, peer: Peer) -> None:
        """Somebody says that ``peer`` is dead: see for ourselves."""
        waited = self._clock.seconds() - peer.dialled_at
        if waited >= DOUBT_S and peer.key not in self._trying:
            self._dial(peer, fresh=True)

    def _dial(self, peer: Peer, *, fresh: bool) -> OneShot[bool]:
        found = self._trying[peer.key] = OneShot[bool]()
        tried = (peer.address, peer.port)
        peer.dialled_at = self._clock.seconds()

        def tell(reachable: bool) -> None:
            if self._trying.get(peer.key) is found:
                del self._trying[peer.key]
            if (peer.address, peer.port) == tried and self._peers.get(peer.key) is peer:
                peer.reachable = reachable
                self._on_reached(peer)
            found.fire(reachable)

        if peer.port == 0:  # it takes no calls
            tell(False)
        else:
            self._dialler.ask(*tried, tell, fresh=fresh)
        return found


def _short(text: str) -> str:
    return text[:TEXT_MAX]
