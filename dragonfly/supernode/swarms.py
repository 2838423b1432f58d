"""All swarms, and the peers in them: the tracker's whole memory, and how it is forgotten."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping

from dragonfly.control.messages import Announced
from dragonfly.errors import TrackerError
from dragonfly.sched.peers import Member, Peer
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.registration import Caller
from dragonfly.supernode.roster import Roster
from dragonfly.supernode.standing import Standing
from dragonfly.supernode.swarm import Swarm

__all__ = ["POPULATION_MAX", "Swarms"]

POPULATION_MAX = 131_072
"""Members of all tasks: at one call each in 120 s, over connections that peers in several
tasks keep, half a core; about 400 MiB."""


class Swarms:
    """The swarms by task; ``population`` counts their members.

    :param seed: the seed's key.
    :param standing: makes what keeps the credentials of one content.
    :param most: members beyond that many are refused.
    """

    def __init__(
        self,
        roster: Roster,
        seed: bytes,
        rng: random.Random,
        standing: Callable[[Content], Standing],
        *,
        most: int = POPULATION_MAX,
    ) -> None:
        self.population = 0
        self._most = most
        self._roster = roster
        self._seed = seed
        self._rng = rng
        self._standing = standing
        self._swarms: dict[bytes, Swarm] = {}

    def find(self, task: bytes, key: bytes) -> tuple[Swarm, Member] | None:
        """A peer in a task, if it is known there."""
        swarm = self._swarms.get(task)
        member = swarm.members.get(key) if swarm is not None else None
        return (swarm, member) if swarm is not None and member is not None else None

    def of_content(self, content: Content) -> Swarm:
        """The swarm of this very fetch; members of an earlier one have to register again."""
        swarm = self._swarms.get(content.id)
        if swarm is not None and swarm.content.fetch == content.fetch:
            swarm.content = content
            return swarm
        for key in list(swarm.members) if swarm is not None else []:
            self.remove(content.id, key)
        swarm = Swarm(content, self._seed, self._standing(content), self._rng)
        self._swarms[content.id] = swarm
        return swarm

    def admit(
        self,
        swarm: Swarm,
        key: bytes,
        says: Announced,
        caller: Caller,
        *,
        callsystem: str,
        now: float,
    ) -> Member:
        """Take a peer into a swarm, or note what it says of itself now.

        :raises TrackerError: there are too many (503).
        """
        peer = self._roster.meet(key, says, caller)
        before = len(swarm.members)
        try:
            if self.population >= self._most and key not in swarm.members:
                text = f"{self._most} members of tasks are known, no more are taken"
                raise TrackerError(text, 503)
            member = swarm.admit(peer, callsystem, now)
        finally:
            self._roster.release(peer)
        self.population += len(swarm.members) - before
        return member

    def remove(self, task: bytes, key: bytes) -> bool:
        """Take a peer out of a task; tell whether that was its last one."""
        found = self.find(task, key)
        if found is None:
            return False
        swarm, member = found
        swarm.remove(member)
        self.population -= 1
        return self._roster.release(member.peer)

    def remove_everywhere(self, key: bytes) -> None:
        """Forget a peer; no error for one that is not known."""
        peer = self._roster.get(key)
        for task in list(peer.tasks) if peer is not None else []:
            self.remove(task, key)

    def reached(self, peer: Peer) -> None:
        """It turned out whether others can connect to ``peer``."""
        for task in peer.tasks:
            found = self.find(task, peer.key)
            if found is not None:
                swarm, member = found
                swarm.graph.set_reachable(peer.key, bool(peer.reachable))
                if peer.reachable:
                    member.cleared()

    # -- forgetting ------------------------------------------------------------------------

    def expire(self, now: float, patience_s: float) -> int:
        """Forget members that have been silent for long; give how many peers are gone.

        What has members is in use.
        """
        gone = 0
        for task, swarm in list(self._swarms.items()):
            gone += sum(self.remove(task, each.key) for each in swarm.silent(now, patience_s))
            if swarm.members:
                swarm.content.used = now
        return gone

    def drop(self, content: Content) -> None:
        """The content of a swarm without members is no longer in memory."""
        self._swarms.pop(content.id, None)

    def downloads(self) -> Mapping[tuple[str, str], int]:
        """Members of all tasks by (callsystem, status); linear, for who looks now and then."""
        return Counter(
            (member.callsystem, _status(member, swarm.content))
            for swarm in self._swarms.values()
            for member in swarm.members.values()
        )


def _status(member: Member, content: Content) -> str:
    if member.complete:
        return "SUCCESS"
    return "FAILED" if content.state is State.FAILED else "RUNNING"
