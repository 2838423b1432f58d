"""Complaints about peers, and what becomes of those whom many complain about."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from dragonfly.control.messages import Complaint, prefix_of
from dragonfly.errors import TrackerError
from dragonfly.sched.bans import Ban, Bans
from dragonfly.sched.peers import Member
from dragonfly.supernode.swarm import Swarm
from dragonfly.supernode.swarms import Swarms

__all__ = ["REPORTS_MAX", "Quarantine"]

REPORTS_MAX = 32
"""Dead neighbours, and complaints, that are read from one announce: there are no more links."""


class Quarantine:
    """Who is kept out of all swarms of this supernode."""

    _log = Logger()

    def __init__(self, swarms: Swarms, clock: IReactorTime) -> None:
        self._swarms = swarms
        self._clock = clock
        self._bans = Bans()

    def reason(self, key: bytes) -> str | None:
        """Why ``key`` is kept out now; ``None`` if it is not."""
        return self._bans.reason(key, self._clock.seconds())

    def bans(self) -> list[Ban]:
        """All bans that hold now."""
        return self._bans.current(self._clock.seconds())

    def prefixes(self) -> set[bytes]:
        """What announces call those who are kept out; linear in how many are accused."""
        return {prefix_of(ban.key) for ban in self.bans()}

    def refuse(self, key: bytes) -> None:
        """Let only those pass who are not banned.

        :raises TrackerError: the key is banned, and why (403).
        """
        reason = self.reason(key)
        if reason is not None:
            raise TrackerError(f"this peer is banned: {reason}", 403)

    def complaints(
        self, swarm: Swarm, member: Member, complaints: Sequence[Complaint], address: str
    ) -> None:
        """Take complaints of a member about others in its task; who is banned now is out.

        :param address: where the member called from.
        """
        source, now = _network(address), self._clock.seconds()
        for complaint in complaints[:REPORTS_MAX]:
            if complaint.key == member.key or complaint.key not in swarm.members:
                continue
            ban = self._bans.complain(complaint.key, source, complaint.why, now)
            if ban is not None:
                peer = ban.key.hex()[:16]
                self._log.warn("peer {peer} is banned: {reason}", peer=peer, reason=ban.reason)
                self._swarms.remove_everywhere(ban.key)


def _network(address: str) -> str:
    """What counts as one complainer: an IPv4 address, or an IPv6 network, of which a single
    host has all addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address
