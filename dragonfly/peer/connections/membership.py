"""This peer's standing in one task: its grant, the keys it believes, the supernode's time."""

from __future__ import annotations

from dragonfly.control.messages import RegisterAnswer
from dragonfly.errors import BadGrant, ErrorCode, RemoteProtocolError
from dragonfly.signatures import KeyRing
from dragonfly.task.grant import check_grant
from dragonfly.wire.messages import Hello
from dragonfly.wire.session import Offer

__all__ = ["ORPHAN_S", "Membership"]

ORPHAN_S = 600.0
"""Without a word from the supernode, those already admitted stay so for at most this long."""


class Membership:
    """What a register answer gave, kept fresh by announces; the gate of its connections.

    :ivar registered_at: when a client's credentials last came to the supernode.
    """

    def __init__(self, answer: RegisterAnswer, now: float) -> None:
        self.task = answer.task
        self.fetch = answer.fetch
        self.piece_size = answer.piece_size
        self.keys = KeyRing(answer.keys)
        self.grant = answer.grant
        self.port = 0
        self.heard_at = now
        self.registered_at = now
        self._offset = answer.now - now

    def supernode_time(self, now: float) -> float:
        """The supernode's clock when ours shows ``now``."""
        return now + self._offset

    def renew(self, grant: bytes, supernode_now: float, now: float) -> None:
        """The supernode answered: a fresh grant (empty: the old one stays), its time."""
        self._offset = supernode_now - now
        self.heard_at = now
        if grant:
            self.grant = grant

    def renewed(self, answer: RegisterAnswer, now: float) -> None:
        """Another registration in the same version of the task."""
        for key in answer.keys:
            self.keys.add(key)
        self.registered_at = now
        self.renew(answer.grant, answer.now, now)

    def orphaned(self, now: float) -> bool:
        """Whether nobody has vouched for our neighbours for too long."""
        return now - self.heard_at > ORPHAN_S

    # -- Gate --------------------------------------------------------------------------

    def offer(self, task: bytes) -> Offer:
        """What our HELLO says.

        :raises RemoteProtocolError: it is another task.
        """
        if task != self.task:
            text = f"task {task.hex()[:16]} is not here"
            raise RemoteProtocolError(text, ErrorCode.UNKNOWN_TASK)
        return Offer(
            task=self.task,
            fetch=self.fetch,
            piece_size=self.piece_size,
            port=self.port,
            grant=self.grant,
        )

    def admit(self, hello: Hello, now: float) -> None:
        """Let a neighbour in if the supernode says so, and it speaks of the same manifest.

        :raises BadGrant: the grant is not good.
        :raises RemoteProtocolError: another fetch or piece size.
        """
        if self.orphaned(now):
            raise BadGrant("nobody has vouched for anybody for too long", ErrorCode.GRANT_EXPIRED)
        at = self.supernode_time(now)
        check_grant(hello.grant, self.keys, task=self.task, key=hello.key, now=at)
        if (hello.fetch, hello.piece_size) != (self.fetch, self.piece_size):
            raise RemoteProtocolError(
                f"fetch {hello.fetch} with pieces of {hello.piece_size} bytes, "
                f"here {self.fetch} and {self.piece_size}",
                ErrorCode.MANIFEST_MISMATCH,
            )
