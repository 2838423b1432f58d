"""What the tracker answers: grants, neighbours, and when to call again."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.interfaces import IReactorTime

from dragonfly.control.messages import (
    RUNS_INLINE_BYTES,
    AnnounceAnswer,
    AnnounceRequest,
    ErrorBody,
    RegisterAnswer,
    prefixes,
    quiet_s,
)
from dragonfly.errors import DragonflyError, OriginError
from dragonfly.metrics import SupernodeMetrics
from dragonfly.sched.peers import Member
from dragonfly.signatures import SigningKey
from dragonfly.supernode.admission import ADMISSION_S
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.registration import Caller
from dragonfly.supernode.swarm import Swarm
from dragonfly.task.digest import PIECE_DIGEST_BYTES
from dragonfly.task.grant import Grant, sign_grant

__all__ = ["ANNOUNCES_PER_S", "ANNOUNCE_MAX_S", "ANNOUNCE_S", "FIRST_S", "Answers"]

ANNOUNCES_PER_S = 200.0
"""Announces that all peers of the supernode make together, whatever tasks they are in: 0.5 ms
each where the connection is kept, 1.5 to 2 over a new one, so a tenth to a third of a core. Above
24,000 members they are more, since :data:`ANNOUNCE_MAX_S` is the longest wait."""

ANNOUNCE_S = 6.0
"""How often a peer announces while there are few. Every 3 s changed nothing for the last of 200
peers, and their calls took 38 % of an uplink of 5 Mb/s instead of 24 (simulated)."""

FIRST_S = 1.0
"""The first announce comes sooner: many register at once, and their neighbours settle then."""

ANNOUNCE_MAX_S = 120.0
"""Longest wait: a grant is renewed between its half and its end, at 150 to 300 s."""

DONE_FACTOR = 4.0
"""A peer that has everything has little to say."""

LINKS_MAX = 64
"""Links read from one announce; a peer opens no more than 32."""


class Answers:
    """Makes the answers of one supernode.

    :param seed_address: where callers find the seed, by the address they reached us at.
    :param down_limit: how many pieces a peer is to ask for at once.
    """

    def __init__(
        self,
        key: SigningKey,
        clock: IReactorTime,
        rng: random.Random,
        seed_address: Callable[[str], tuple[str, int]],
        metrics: SupernodeMetrics,
        *,
        down_limit: int,
    ) -> None:
        self._key = key
        self._clock = clock
        self._rng = rng
        self._seed_address = seed_address
        self._metrics = metrics
        self._down_limit = down_limit

    def registered(
        self, swarm: Swarm, member: Member, caller: Caller, *, population: int
    ) -> RegisterAnswer:
        """The answer to a registration: all that is known of the task, within a few KiB."""
        now, content = self._clock.seconds(), swarm.content
        wanted = swarm.place(member, now)
        neighbours = swarm.invitations(wanted, (), caller, self._seed_address)
        self._scheduled(now)
        return RegisterAnswer(
            **self._known(content),
            grant=self._grant(swarm, member, now),
            grant_expires=member.grant_expires,
            announce_after=self._wait(member, population, FIRST_S),
            neighbours=neighbours,
        )

    def whole(self, content: Content, data: bytes) -> RegisterAnswer:
        """The answer that holds all of a small content: nothing else is needed for it.

        There is no grant in it, since the caller does not take part in the swarm.
        """
        return RegisterAnswer(
            **self._known(content),
            grant=b"",
            grant_expires=0,
            announce_after=ANNOUNCE_MAX_S,
            content=data,
        )

    def announced(
        self,
        swarm: Swarm,
        member: Member,
        message: AnnounceRequest,
        caller: Caller,
        *,
        ticket: float,
        banned: Collection[bytes],
        population: int,
    ) -> AnnounceAnswer:
        """The answer to an announce of a member.

        :param banned: prefixes of keys that are kept out.
        :raises BadControlMessage: its neighbours can be none.
        """
        now, content = self._clock.seconds(), swarm.content
        linked = prefixes(message.neighbours)[:LINKS_MAX]
        bad = [prefix for prefix in linked if prefix in banned]
        wanted = swarm.place(member, now)
        drop = bad + swarm.surplus(member, wanted, [each for each in linked if each not in bad])
        neighbours = swarm.invitations(wanted, linked, caller, self._seed_address)
        self._scheduled(now)
        failed = content.error if content.state is State.FAILED else None
        return AnnounceAnswer(
            now=now,
            announce_after=self._wait(member, population, ANNOUNCE_S),
            state=content.state.value,
            grant=self._renewed(swarm, member, now),
            grant_expires=member.grant_expires,
            neighbours=neighbours,
            drop=b"".join(drop),
            ticket=ticket,
            error=_error_body(failed) if failed is not None else None,
        )

    def unknown(self, now: float) -> AnnounceAnswer:
        """The answer to a peer that is not in the task: it is to register again."""
        wait = self._rng.uniform(0.75, 1.25) * FIRST_S
        return AnnounceAnswer(now=now, announce_after=wait, state="fetching", known=False)

    def _known(self, content: Content) -> dict[str, Any]:
        """What every admitted caller is told of a content."""
        return {
            "task": content.id,
            "fetch": content.fetch,
            "piece_size": content.piece_size,
            "now": self._clock.seconds(),
            "keys": [self._key.public],
            "state": content.state.value,
            "length": content.length,
            "digest": str(content.digest) if content.digest is not None else None,
            "validator": content.validator,
            "runs": _inline_runs(content),
            "content_type": content.content_type,
            "down_limit": self._down_limit,
        }

    # -- grants ------------------------------------------------------------------------------

    def _grant(self, swarm: Swarm, member: Member, now: float) -> bytes:
        """A grant that ends with the admission it rests on."""
        member.grant_expires = self._may_expire(swarm, member, now)
        grant = Grant(
            task=swarm.content.id,
            key=member.key,
            issued=int(now),
            expires=member.grant_expires,
        )
        return sign_grant(grant, self._key)

    def _renewed(self, swarm: Swarm, member: Member, now: float) -> bytes:
        """A grant in the place of one past half its life, if it would last longer; or none."""
        if member.grant_expires - now > ADMISSION_S / 2:
            return b""
        if self._may_expire(swarm, member, now) <= member.grant_expires:
            return b""
        return self._grant(swarm, member, now)

    def _may_expire(self, swarm: Swarm, member: Member, now: float) -> int:
        """Public content: in five minutes. Private: with what the origin said last."""
        if not member.credential:
            return int(now + ADMISSION_S)
        return int(min(now + ADMISSION_S, swarm.standing.until(member.credential)))

    # -- time ----------------------------------------------------------------------------------

    def _wait(self, member: Member, population: int, least_s: float) -> float:
        """When to call again: the more peers there are the later, so that their calls together
        stay as many; and not all at the same time."""
        if member.complete:
            least_s = ANNOUNCE_S * DONE_FACTOR
        seconds = min(ANNOUNCE_MAX_S, max(least_s, population / ANNOUNCES_PER_S))
        seconds *= self._rng.uniform(0.75, 1.25)
        member.wait_s = quiet_s(seconds)
        return seconds

    def _scheduled(self, began: float) -> None:
        self._metrics.schedule_duration.observe((self._clock.seconds() - began) * 1000.0)


def _inline_runs(content: Content) -> list[bytes]:
    """The runs, if they are so few that thousands of answers may carry them."""
    if content.manifest.first_unknown() * PIECE_DIGEST_BYTES > RUNS_INLINE_BYTES:
        return []
    runs = content.manifest.runs
    return runs if sum(map(len, runs)) <= RUNS_INLINE_BYTES else []


def _error_body(error: DragonflyError) -> ErrorBody:
    """Why the CDN failed."""
    status = error.status if isinstance(error, OriginError) else 0
    return ErrorBody(
        code=502 if isinstance(error, OriginError) else 500,
        message=str(error),
        origin_status=status,
        retryable=error.retryable,
    )
