"""Who may talk to the seed, and about what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import attrs

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.supernode.content import Content, State
from dragonfly.task.grant import Grant, check_grant, sign_grant
from dragonfly.wire.messages import Hello, Offer

__all__ = ["CONNECTIONS_EACH", "CONNECTIONS_MAX", "GRANT_S", "Callers", "Contents", "SeedGate"]

CONNECTIONS_EACH = 64
"""Connections from one address: one for each task of a host, or for each peer behind one NAT."""

CONNECTIONS_MAX = 2048
"""Connections in all. The graph gives the seed some ten neighbours for each task."""

GRANT_S = 3600
"""Life of the seed's own grant; it is looked at in the handshake only."""


class Contents(Protocol):
    """The part of :class:`~dragonfly.supernode.cdn.Cdn` that is needed here."""

    def get(self, task: bytes) -> Content | None:
        """The content of ``task`` if it is in memory."""


class Callers:
    """Counts connections, open or not, by address."""

    def __init__(self, *, each: int = CONNECTIONS_EACH, most: int = CONNECTIONS_MAX) -> None:
        self._each = each
        self._most = most
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count a connection; ``False``: it is to be closed without a word, and not counted.

        Twice as many as :meth:`crowded` allows are let in, so that they can be told why not.
        """
        if self._open.total() >= self._most or self._open[address] >= 2 * self._each:
            return False
        self._open[address] += 1
        return True

    @property
    def full(self) -> bool:
        """Whether all addresses together have nearly all connections that there may be."""
        return self._open.total() > self._most - self._most // 8

    def crowded(self, address: str) -> bool:
        """Whether one from ``address`` may stay only if another connection goes."""
        return self.full or self._open[address] > self._each

    def leave(self, address: str) -> None:
        """A connection that was counted is gone."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def __len__(self) -> int:
        return self._open.total()


@attrs.define(eq=False, kw_only=True)
class SeedGate:
    """The gate of one connection.

    :param key: the supernode's: signs, and is the seed's identity.
    :param clock: the supernode's time.
    :param banned: why a key is not served, ``None`` if it is.
    :param port: what HELLO says.
    :param room: makes room for this connection if it is one too many; whether there is.
    :ivar until: when the grant that was shown ends.
    """

    cdn: Contents
    key: SigningKey
    ring: KeyRing
    clock: Callable[[], float]
    banned: Callable[[bytes], str | None]
    port: int
    room: Callable[[], bool] = lambda: True
    until: float = 0.0

    def content(self, task: bytes) -> Content:
        """What is served for ``task``.

        :raises RemoteProtocolError: nothing (``UNKNOWN_TASK``).
        """
        content = self.cdn.get(task)
        if content is None:
            text = f"task {task.hex()[:16]} is not here"
        elif content.state is State.FAILED:
            text = f"task {task.hex()[:16]} is not here: its fetch has failed"
        else:
            return content
        raise RemoteProtocolError(text, ErrorCode.UNKNOWN_TASK)

    def offer(self, task: bytes) -> Offer:
        """What our HELLO says, with a fresh grant.

        :raises RemoteProtocolError: the CDN does not have the task (``UNKNOWN_TASK``).
        """
        content = self.content(task)
        now = int(self.clock())
        grant = Grant(task=task, key=self.key.public, issued=now, expires=now + GRANT_S, seed=True)
        return Offer(
            task=task,
            fetch=content.fetch,
            piece_size=content.piece_size,
            port=self.port,
            grant=sign_grant(grant, self.key),
        )

    def admit(self, hello: Hello, now: float) -> None:  # noqa: ARG002 - our clock is the judge
        """Let the holder of a good grant in.

        :raises BadGrant: it is not good.
        :raises RemoteProtocolError: banned, or too many connections.
        """
        grant = check_grant(
            hello.grant, self.ring, task=hello.task, key=hello.key, now=self.clock()
        )
        reason = self.banned(hello.key)
        if reason is not None:
            raise RemoteProtocolError(f"banned: {reason}", ErrorCode.NOT_ALLOWED)
        if not self.room():
            raise RemoteProtocolError(
                "too many connections from this address", ErrorCode.TOO_MANY_CONNECTIONS
            )
        self.until = float(grant.expires)
