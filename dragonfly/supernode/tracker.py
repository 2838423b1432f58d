"""The tracker: who takes part in which task, and who is told to connect to whom.

Plain calls, no HTTP. A registration asks the origin, whatever the caller; an announce waits
for nothing. What is known of peers lives in memory only: after a restart they are told that
they are unknown, register again, and say what they hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from dragonfly.config import SupernodeConfig
from dragonfly.control.messages import (
    AnnounceAnswer,
    AnnounceRequest,
    DirectAnswer,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.errors import DragonflyError, TrackerError
from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.deadline import deadline
from dragonfly.net.tasks import TaskSet
from dragonfly.sched.peers import Member, Peer
from dragonfly.signatures import SigningKey
from dragonfly.supernode.admission import Admission, Admitted
from dragonfly.supernode.answers import Answers
from dragonfly.supernode.content import Content
from dragonfly.supernode.finder import Finder, Found, Library
from dragonfly.supernode.quarantine import REPORTS_MAX, Quarantine
from dragonfly.supernode.registration import Caller, Wish, read_wish
from dragonfly.supernode.roster import Dialler, Roster
from dragonfly.supernode.standing import Standing
from dragonfly.supernode.swarm import Swarm
from dragonfly.supernode.swarms import Swarms
from dragonfly.supernode.turnstile import Turnstile
from dragonfly.supernode.views import PeerView, view_of_ban, view_of_peer

__all__ = ["BLAMERS_NEEDED", "DIAL_WAIT_S", "Caller", "PeerView", "Tracker"]

DIAL_WAIT_S = 0.2
"""How long a registration waits until the peer was dialled back: on a LAN that takes a
millisecond, and a peer that is known to be reachable is given neighbours that last."""

BLAMERS_NEEDED = 2
"""So many must report a peer as dead before that is believed of one that calls in time."""

_DIRECT = (
    "the origin does not let this content be shared "
    "(Cache-Control private or no-store, Set-Cookie, Vary: *, or lengths that differ)"
)


class Tracker:
    """All swarms of one supernode.

    :param seed_address: where a caller finds the seed, by the address it reached us at.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        admission: Admission,
        cdn: Library,
        key: SigningKey,
        clock: IReactorTime,
        rng: random.Random,
        metrics: SupernodeMetrics,
        dial_back: Dialler,
        seed_address: Callable[[str], tuple[str, int]],
        config: SupernodeConfig,
    ) -> None:
        self._cdn = cdn
        self._seed = key.public
        self._clock = clock
        self._metrics = metrics
        self._config = config
        tasks = TaskSet(self._log)

        def standing(content: Content) -> Standing:
            return Standing(content.name, admission, clock, tasks)

        self._roster = Roster(dial_back, clock, self._reached)
        self._swarms = Swarms(self._roster, key.public, rng, standing)
        self._finder = Finder(admission, cdn, clock)
        self._answers = Answers(
            key, clock, rng, seed_address, metrics, down_limit=config.down_limit
        )
        self._quarantine = Quarantine(self._swarms, clock)
        self._turnstile = Turnstile()

    # -- calls of peers -----------------------------------------------------------------

    async def register(
        self, message: RegisterRequest, caller: Caller
    ) -> RegisterAnswer | DirectAnswer:
        """Admit a peer to the task of a URL, or say that it must fetch for itself.

        :raises ConfigError: the URL or the digest is malformed.
        :raises TrackerError: the call itself is refused; the text says what would help.
        :raises TrackerBusy: too many wait already; it says when to come again.
        :raises OriginError: the origin refuses this caller, or cannot be reached and there is
            no public content of an earlier fetch.

        Cancelling gives up this caller only: a fetch that it began goes on.
        """
        callsystem = self._metrics.callsystem(message.callsystem)
        try:
            answer = await self._register(message, caller, callsystem)
        except DragonflyError:
            self._metrics.dfgettasks_failed.labels(callsystem).inc()
            raise
        self._metrics.dfgettasks_registered.labels(callsystem).inc()
        return answer

    def announce(self, message: AnnounceRequest, caller: Caller) -> AnnounceAnswer:
        """Take a peer's report and say what follows from it.

        :raises TrackerError: the peer is banned (403).
        :raises BadControlMessage: its holding makes no sense.
        """
        self._quarantine.refuse(message.key)
        now = self._clock.seconds()
        found = self._swarms.find(message.task, message.key)
        if found is None or not self._current(*found, message):
            return self._answers.unknown(now)
        swarm, member = found
        self._metrics.pieces_downloaded.inc(swarm.hear(member, message, now))
        self._roster.try_to_reach(member.peer)
        self._quarantine.complaints(swarm, member, message.complaints, caller.address)
        self._dead(swarm, member, message, now)
        return self._answers.announced(
            swarm,
            member,
            message,
            caller,
            ticket=swarm.feed(member, starving=message.starving, now=now),
            banned=self._quarantine.prefixes(),
            population=self._swarms.population,
        )

    def leave(self, message: LeaveRequest) -> None:
        """Forget a peer in one task or in all; no error for one that is not known."""
        if message.task is None:
            self._swarms.remove_everywhere(message.key)
        else:
            self._swarms.remove(message.task, message.key)

    # -- a registration ------------------------------------------------------------------

    async def _register(
        self, message: RegisterRequest, caller: Caller, callsystem: str
    ) -> RegisterAnswer | DirectAnswer:
        self._quarantine.refuse(message.key)
        if message.key == self._seed:
            raise TrackerError("this key is the supernode's own", 403)
        wish = read_wish(message, caller)
        found = await self._find(wish, message, caller)
        if found is None:
            return DirectAnswer(reason=_DIRECT)
        # Only here: nobody gets a byte before the origin has admitted him.
        whole = await self._cdn.whole(found.content, message.inline)
        self._quarantine.refuse(message.key)
        if whole is not None:
            self._metrics.pieces_uploaded.inc(len(whole))
            return self._answers.whole(found.content, whole)
        swarm = self._swarms.of_content(found.content)
        member = self._swarms.admit(
            swarm,
            message.key,
            message.peer,
            caller,
            callsystem=callsystem,
            now=self._clock.seconds(),
        )
        _enrol(swarm, member, message, found.admitted)
        await self._dialled(member.peer)
        if self._swarms.find(found.content.id, message.key) != (swarm, member):
            raise TrackerError("the peer left the task while it registered", 409)
        return self._answers.registered(swarm, member, caller, population=self._swarms.population)

    async def _find(self, wish: Wish, message: RegisterRequest, caller: Caller) -> Found | None:
        """Ask the origin, one of not too many at once."""
        origin = wish.name.origin
        self._turnstile.enter(origin, self._clock.seconds())
        loopback = caller.loopback and message.loopback
        try:
            return await self._finder.find(wish, identifier=message.identifier, loopback=loopback)
        finally:
            self._turnstile.leave(origin, self._clock.seconds())

    async def _dialled(self, peer: Peer) -> None:
        """Wait a moment until it is known whether others can connect to ``peer``."""
        unknown = peer.reachable is None
        found = self._roster.try_to_reach(peer)
        if found is None or not unknown:
            return
        try:
            await deadline(found.wait(), DIAL_WAIT_S, self._clock)
        except defer.TimeoutError:
            return

    # -- what an announce brings -------------------------------------------------------------

    def _current(self, swarm: Swarm, member: Member, message: AnnounceRequest) -> bool:
        """Whether the peer is in the fetch that it thinks it is in, and still admitted."""
        if swarm.content.fetch != message.fetch:
            return False
        if swarm.standing.refused(member.credential):
            self._swarms.remove(message.task, message.key)
            return False
        return True

    def _dead(self, swarm: Swarm, member: Member, message: AnnounceRequest, now: float) -> None:
        """One reporter loses the neighbour; several, or silence of its own, lose it for all."""
        for key in message.dead[:REPORTS_MAX]:
            other = swarm.members.get(key)
            if other is None or other is member:
                continue
            swarm.graph.part(member.key, key)
            if other.blame(member.key, now) >= BLAMERS_NEEDED or other.overdue(now):
                swarm.lose(other)
            else:
                self._roster.doubt(other.peer)

    def _reached(self, peer: Peer) -> None:
        self._swarms.reached(peer)

    # -- bans ----------------------------------------------------------------------------------

    def banned(self, key: bytes) -> str | None:
        """Why the holder of ``key`` is kept out; ``None`` if it is not."""
        return self._quarantine.reason(key)

    def ban_list(self) -> list[dict[str, str]]:
        """All bans that hold now, ready for JSON."""
        return [view_of_ban(ban) for ban in self._quarantine.bans()]

    # -- forgetting ------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Forget peers that have fallen silent, and drop tasks that nobody has used for long."""
        self._metrics.gc_peers.inc(self._swarms.expire(now, self._config.peer_gc_delay_s))
        for content in self._cdn.contents():
            idle_s = now - content.used
            if idle_s > self._config.task_expire_time_s and self._cdn.forget(content):
                self._metrics.gc_tasks.inc()
                self._swarms.drop(content)

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def peer_count(self) -> int:
        """How many peers are known."""
        return len(self._roster)

    def tasks_of(self, key: bytes) -> int:
        """In how many tasks a peer is."""
        peer = self._roster.get(key)
        return len(peer.tasks) if peer is not None else 0

    def peer_views(self) -> list[PeerView]:
        """All peers."""
        return [view_of_peer(peer) for peer in self._roster]

    def peer_view(self, key: bytes) -> PeerView | None:
        """One peer, if it is known."""
        peer = self._roster.get(key)
        return view_of_peer(peer) if peer is not None else None

    def downloads(self) -> Mapping[tuple[str, str], int]:
        """Members of all tasks by (callsystem, status); linear, for who looks now and then."""
        return self._swarms.downloads()


def _enrol(
    swarm: Swarm, member: Member, message: RegisterRequest, admitted: Admitted | None
) -> None:
    """Note what one registration says about a member.

    With the pattern ``cdn`` it reads from the seed only, and nobody is sent to it.
    """
    member.in_graph = message.pattern == "p2p"
    if not member.in_graph:
        swarm.graph.leave(member.key)
    swarm.standing.drop(member.credential)
    member.credential = b""
    if admitted is not None and not admitted.public:
        member.credential = swarm.standing.take(admitted.access)
    swarm.take_holding(member, message.have)
