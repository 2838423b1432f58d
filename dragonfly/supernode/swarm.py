"""One task's swarm: its members, their graph, and what each is told of the others."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable

from dragonfly.control.messages import AnnounceRequest, Holding, Neighbour, prefix_of
from dragonfly.errors import BadControlMessage, TrackerError
from dragonfly.net.addresses import is_loopback
from dragonfly.sched.graph import DEGREE_MAX, Graph
from dragonfly.sched.peers import Member, Peer
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.registration import Caller
from dragonfly.supernode.standing import Standing
from dragonfly.supernode.tickets import Tickets
from dragonfly.task.bitfield import Bitfield
from dragonfly.task.layout import MAX_PIECES

__all__ = ["GROWING_CHANCE_S", "MEMBERS_MAX", "SEED_CHANCE_S", "SEED_SPARE", "STILL_S", "Swarm"]

MEMBERS_MAX = 32768
"""Peers of one task."""

SEED_CHANCE_S = 4.0
"""A starving peer is brought to the seed first; a ticket comes into question after this."""

GROWING_CHANCE_S = 15.0
"""The same while the CDN is getting new bytes: who reads beside it takes the origin's uplink from
it, and all others wait for that. 200 hosts at 1 Mb/s were hungry for 10 s while the first pieces
came from host to host; with 16 of them at the origin the CDN needed twice its time."""

STILL_S = 10.0
"""A CDN that has got nothing from the origin for so long does not feed anybody."""

SEED_SPARE = 4
"""Who has so many other neighbours gives up a seed that the graph did not give it: the
early ones would keep it for ever, and its slots are what the swarm lives on."""

REFRESH_GAP_S = 1.0
"""Starving peers of one task get other neighbours one at a time, this far apart."""

_CLAIM_MAX = 2**50


class Swarm:
    """The members of one fetch of a task.

    :param seed: the seed's key.
    :param most: members beyond that many are refused.
    """

    def __init__(
        self,
        content: Content,
        seed: bytes,
        standing: Standing,
        rng: random.Random,
        *,
        most: int = MEMBERS_MAX,
    ) -> None:
        self.content = content
        self._most = most
        self.members: OrderedDict[bytes, Member] = OrderedDict()
        """Those silent for longest first."""
        self.graph = Graph(seed, rng)
        self.standing = standing
        self._tickets = Tickets()
        self._refreshed_at = float("-inf")
        self._held = -1
        self._grew_at = float("-inf")

    # -- coming and going ------------------------------------------------------------------

    def admit(self, peer: Peer, callsystem: str, now: float) -> Member:
        """Take a peer in, or know it again; :meth:`place` gives it neighbours.

        :raises TrackerError: the swarm is full (503).
        """
        member = self.members.get(peer.key)
        if member is None:
            if len(self.members) >= self._most:
                raise TrackerError(f"the task has {self._most} peers, no more are taken", 503)
            member = Member(peer=peer, callsystem=callsystem, seen=now)
            self.members[peer.key] = member
            peer.tasks[self.content.id] = None
        self._heard(member, now)
        return member

    def remove(self, member: Member) -> None:
        """Forget a member."""
        if self.members.pop(member.key, None) is not None:
            self.graph.leave(member.key)
            self._tickets.give_back(member.key)
            self.standing.drop(member.credential)
            member.peer.tasks.pop(self.content.id, None)

    def silent(self, now: float, patience_s: float) -> list[Member]:
        """Members that have not called for so long, nor for twice as long as they may be quiet."""
        found = []
        for member in self.members.values():
            if now - member.seen <= patience_s:
                break
            if now - member.seen > 2 * member.wait_s:
                found.append(member)
        return found

    # -- what members say --------------------------------------------------------------------

    def take_holding(self, member: Member, holding: Holding | None) -> None:
        """What a peer has already, if it is of this fetch.

        :raises BadControlMessage: the bits make no sense.
        """
        content = self.content
        ours = (content.id, content.fetch, content.piece_size)
        if holding is None or (holding.task, holding.fetch, holding.piece_size) != ours:
            return
        try:
            if not 0 <= holding.count <= MAX_PIECES:
                raise ValueError(f"a bitfield of {holding.count} pieces")
            have = len(Bitfield.from_bytes(holding.bits, holding.count))
        except ValueError as error:
            raise BadControlMessage(f"holding: {error}") from None
        self._set_progress(member, have, have == content.layout.piece_count)

    def hear(self, member: Member, message: AnnounceRequest, now: float) -> int:
        """How a member is doing; give the bytes that it received since it told last."""
        self._heard(member, now)
        self.take_holding(member, message.holding)
        self._set_progress(member, message.have_count, message.complete)
        if self.content.held != self._held:
            self._held, self._grew_at = self.content.held, now
        rates, length = message.rates, self.content.length
        # A piece that came twice is counted twice; more than that is invented.
        most = _CLAIM_MAX if length is None else 2 * length
        return member.received(rates.from_cdn + rates.from_peers + rates.from_origin, most)

    def feed(self, member: Member, *, starving: bool, now: float) -> float:
        """Help a starving member: the seed or other neighbours, later a ticket.

        :return: seconds for which it may read the origin.
        """
        hungry_s = member.hungry(starving and not member.complete, now)
        if member.starving_since is None:
            self._tickets.give_back(member.key)
            return 0.0
        others_have = member.have_count < self.content.held
        if others_have and now - self._refreshed_at >= REFRESH_GAP_S:
            self._refreshed_at = now
            self.graph.refresh(member.key)
        return self._tickets.ask(member.key, now) if self._stuck(hungry_s, others_have, now) else 0

    def _stuck(self, hungry_s: float, others_have: bool, now: float) -> bool:
        """Whether neither the seed nor, through it, anybody else will feed who is hungry."""
        state = self.content.state
        if state is State.FAILED:
            return True
        growing = state is State.FETCHING and now - self._grew_at <= STILL_S
        if state is State.FETCHING and not others_have:
            return not growing  # it has all there is to be had
        return hungry_s >= (GROWING_CHANCE_S if growing else SEED_CHANCE_S)

    def _heard(self, member: Member, now: float) -> None:
        member.seen = now
        self.members.move_to_end(member.key)

    def _set_progress(self, member: Member, have: int, complete: bool) -> None:
        member.have_count = max(0, min(have, MAX_PIECES))
        member.complete = complete
        if complete:
            self.graph.set_done(member.key)

    # -- what members are told -----------------------------------------------------------------

    def place(self, member: Member, now: float) -> list[bytes]:
        """Give a member its neighbours, without those that seem dead."""
        key, graph = member.key, self.graph
        if not member.in_graph:
            return [graph.seed]
        known = key in graph
        graph.join(key, member.peer.labels, reachable=bool(member.peer.reachable))
        for other in graph.neighbours(key):
            if other != graph.seed and self.members[other].overdue(now):
                self.lose(self.members[other])
                known = True
        if known:  # else it was done just now, and those who come next may lack one, too
            graph.top_up(key)
        if member.complete:
            graph.set_done(key)
        return graph.neighbours(key)

    def lose(self, member: Member) -> None:
        """A member seems dead: nobody is sent to it until it calls, and can be reached."""
        self.graph.leave(member.key)
        member.peer.reachable = None

    def invitations(
        self,
        wanted: Iterable[bytes],
        linked: Collection[bytes],
        caller: Caller,
        seed: Callable[[str], tuple[str, int]],
    ) -> list[Neighbour]:
        """Whom a caller is to dial: those not linked yet that it can reach. The others dial.

        :param linked: their prefixes.
        :param seed: where callers find the seed, by the address at which they reached us.
        """
        found, local = [], caller.loopback
        for key in wanted:
            if prefix_of(key) in linked:
                continue
            if key == self.graph.seed:
                address, port = seed(caller.reached)
                found.append(Neighbour(key=key, address=address, port=port, seed=True))
            elif self.graph.reachable(key):
                peer = self.members[key].peer
                # A peer on our own host is known by an address that is another host elsewhere.
                if local or not is_loopback(peer.address):
                    found.append(Neighbour(key=key, address=peer.address, port=peer.port))
        return found

    def surplus(
        self, member: Member, wanted: Collection[bytes], linked: Collection[bytes]
    ) -> list[bytes]:
        """Which links a member is to give up, of ``linked``: prefixes, as what is given.

        A link that the graph has moved elsewhere goes on while there is room: it works.
        """
        if not member.in_graph:
            return []
        kept = {prefix_of(key) for key in wanted}
        extra = [prefix for prefix in linked if prefix not in kept]
        seed = prefix_of(self.graph.seed)
        drop = []
        if seed in extra:
            extra.remove(seed)
            if len(linked) > SEED_SPARE and member.starving_since is None:
                drop.append(seed)
        over = len(linked) - len(drop) - DEGREE_MAX
        return drop + extra[: max(0, over)]
