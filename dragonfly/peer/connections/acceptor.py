"""Incoming piece connections: whom they want to talk to, and how many there may be.

Which task a caller means is known only when its HELLO is there; then the task's own
membership decides, and an open connection is handed to the task's links.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Protocol as Shape

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.net.addresses import plain_address
from dragonfly.peer.connections.links import Links
from dragonfly.peer.connections.membership import Membership
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.signatures import SigningKey
from dragonfly.wire.constants import NONCE_BYTES
from dragonfly.wire.events import Event
from dragonfly.wire.messages import Hello, Offer
from dragonfly.wire.session import PeerSession, Role

__all__ = ["MAX_CONNECTIONS", "MAX_PER_ADDRESS", "Acceptor", "Host"]

MAX_CONNECTIONS = 512
"""In all: 16 tasks with all the links that one may have. A process may open 1,024 files."""

MAX_PER_ADDRESS = 64
"""From one address, so that one caller cannot take all; behind one address may be many hosts."""


class Host(Shape):
    """What the acceptor must know of a task: a ``Transfer`` is one."""

    membership: Membership
    links: Links


class _Gate:
    """The gate of one incoming connection: finds the task, then asks its membership."""

    def __init__(self, find: Callable[[bytes], Host | None]) -> None:
        self.host: Host | None = None
        self._find = find

    def offer(self, task: bytes) -> Offer:
        """Our side of ``task``.

        :raises RemoteProtocolError: it is not here.
        """
        self.host = self._find(task)
        if self.host is None:
            raise _unknown(task)
        return self.host.membership.offer(task)

    def admit(self, hello: Hello, now: float) -> None:
        """Let the caller in; the errors are those of ``Membership.admit``."""
        if self.host is None:
            raise _unknown(hello.task)
        self.host.membership.admit(hello, now)


def _unknown(task: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"task {task.hex()[:16]} is not here", ErrorCode.UNKNOWN_TASK)


class _Accepted(PeerProtocol):
    """A connection that tells the acceptor when it is gone, whoever listens by then."""

    gone: Callable[[_Accepted], None]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell both."""
        super().connectionLost(reason)
        self.gone(self)


class Acceptor(Factory):
    """Makes the listening side of piece connections.

    :param find: gives the task with that id that this peer takes part in.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        find: Callable[[bytes], Host | None],
        *,
        key: SigningKey,
        clock: IReactorTime,
        max_connections: int = MAX_CONNECTIONS,
        max_per_address: int = MAX_PER_ADDRESS,
    ) -> None:
        self._find = find
        self._key = key
        self._clock = clock
        self._max = max_connections
        self._max_per_address = max_per_address
        self._from: dict[PeerProtocol, str] = {}
        self._counts: Counter[str] = Counter()
        self._gates: dict[PeerProtocol, _Gate] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._from)

    def buildProtocol(self, addr: IAddress | None) -> PeerProtocol | None:
        """Take one connection; ``None`` (it is closed at once) when there are too many."""
        address = plain_address(str(getattr(addr, "host", "")))
        if self._closed or len(self) >= self._max:
            return None
        if self._counts[address] >= self._max_per_address:
            self._log.debug("too many connections from {address}", address=address)
            return None
        gate = _Gate(self._find)
        peer = _Accepted(lambda now: self._session(gate, now), self._clock, self)
        peer.gone = self._gone
        self._from[peer] = address
        self._counts[address] += 1
        self._gates[peer] = gate
        return peer

    def close(self) -> None:
        """Take no connection any more; end those that have not proved themselves yet."""
        self._closed = True
        for peer in list(self._gates):
            if peer.transport is not None:
                peer.close(ErrorCode.SHUTTING_DOWN, "this peer is stopping")

    def abort(self) -> None:
        """Cut every connection that is left."""
        self._closed = True
        for peer in list(self._from):
            peer.abort()

    # -- PeerListener, until the connection is open ---------------------------------------

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Hand the connection to the links of its task."""
        gate = self._gates.pop(peer)
        if gate.host is None:
            raise AssertionError("an open connection passed the gate")
        gate.host.links.accept(peer)

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """Links listen by then."""

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """The caller did not get in."""
        self._log.debug(
            "{address} did not get in: {reason}", address=self._from.get(peer), reason=str(reason)
        )

    # -- inside ------------------------------------------------------------------------------

    def _session(self, gate: _Gate, now: float) -> PeerSession:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return PeerSession(Role.LISTENER, self._key, nonce, gate, now)

    def _gone(self, peer: PeerProtocol) -> None:
        address = self._from.pop(peer, None)
        self._gates.pop(peer, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]
