"""The CDN's seed: the piece port, where the supernode is a peer that has everything.

A connection is admitted by its gate (:mod:`.seedgate`), becomes a link (:mod:`.seedlink`) of
its task's swarm (:mod:`.seedswarm`), and its questions wait at the one desk of all tasks
(:mod:`.seeddesk`). Which neighbour gets which piece is decided in :mod:`dragonfly.sched`.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.addresses import plain_address
from dragonfly.net.backlog import socket_backlog
from dragonfly.net.calloff import call_off
from dragonfly.net.disk import DiskPool
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.sched.seeding import ECHO_LIMIT
from dragonfly.signatures import KeyRing, SigningKey
from dragonfly.supernode.content import Content
from dragonfly.supernode.metering import PieceTraffic
from dragonfly.supernode.seeddesk import Desk
from dragonfly.supernode.seedgate import Callers, Contents, SeedGate
from dragonfly.supernode.seedlink import SeedLink
from dragonfly.supernode.seedswarm import SeedSwarm
from dragonfly.wire.constants import NONCE_BYTES
from dragonfly.wire.events import Event
from dragonfly.wire.session import PeerSession, Role

__all__ = ["LATE_S", "SWEEP_S", "Seed"]

SWEEP_S = 1.0
"""How often links are looked at."""

LATE_S = 600.0
"""How long a link outlives its grant. The neighbour has a fresh one by then if it is still
welcome, and connects again; a link that ended at once would cost every long download a gap."""


@attrs.define(eq=False)
class _Caller:
    """One connection, and its link once it is open."""

    gate: SeedGate
    address: str
    link: SeedLink | None = None


class Seed:
    """Serves the CDN's contents to peers.

    :param key: the supernode's; its public half is the seed's identity.
    :param rng: chooses between pieces that are equally rare.
    :param banned: tells why the holder of a key is not served, ``None`` if it is.
    :param slots: answers at once, in all tasks together.
    :param echo_limit: see :data:`~dragonfly.sched.seeding.ECHO_LIMIT`.
    :param backlog: tells the un-ACKed bytes of a transport.
    :ivar factory: for the piece port.
    :ivar port: of the piece port, once it is bound.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        cdn: Contents,
        key: SigningKey,
        clock: IReactorTime,
        rng: random.Random,
        disk: DiskPool,
        metrics: SupernodeMetrics,
        banned: Callable[[bytes], str | None],
        slots: int,
        echo_limit: int | None = ECHO_LIMIT,
        callers: Callers | None = None,
        backlog: Callable[[Any], int] = socket_backlog,
    ) -> None:
        self.port = 0
        self.factory = _PieceFactory(self)
        self._cdn = cdn
        self._key = key
        self._ring = KeyRing([key.public])
        self._clock = clock
        self._rng = rng
        self._banned = banned
        self._echo_limit = echo_limit
        self._backlog = backlog
        self._traffic = PieceTraffic(metrics)
        self._desk = Desk(slots, clock, disk, metrics)
        self._addresses = Callers() if callers is None else callers
        self._callers: dict[PeerProtocol, _Caller] = {}
        self._swarms: dict[bytes, SeedSwarm] = {}
        self._sweeping: IDelayedCall | None = None
        self._closed = False

    def __len__(self) -> int:
        """Links that are open."""
        return sum(caller.link is not None for caller in self._callers.values())

    def tell_traffic(self) -> None:
        """Bring the metrics of the bytes on the wire up to date; linear in connections."""
        self._traffic.tell(self._callers)

    def close(self) -> None:
        """End every connection with ``SHUTTING_DOWN``, stop all uploads, take no one in."""
        self._closed = True
        for peer, caller in list(self._callers.items()):
            self._drop(caller)
            peer.close(ErrorCode.SHUTTING_DOWN, "the supernode is stopping")
        self._desk.stop()
        sweeping, self._sweeping = self._sweeping, None
        call_off(sweeping)

    def accept(self, address: str) -> PeerProtocol | None:
        """Make the protocol of a connection from ``address``; ``None``: no more are taken."""
        if self._closed or not self._addresses.enter(address):
            return None
        gate = SeedGate(
            cdn=self._cdn,
            key=self._key,
            ring=self._ring,
            clock=self._clock.seconds,
            banned=self._banned,
            port=self.port,
            room=lambda: self._make_room(address),
        )

        def session(now: float) -> PeerSession:
            nonce = secrets.token_bytes(NONCE_BYTES)
            return PeerSession(Role.LISTENER, self._key, nonce, gate, now)

        peer = PeerProtocol(session, self._clock, self, backlog=self._backlog)
        self._callers[peer] = _Caller(gate, address)
        return peer

    # -- PeerListener --------------------------------------------------------------------

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Make a link of a connection whose handshake is done."""
        caller, hello = self._callers[peer], peer.session.remote
        if hello is None or not peer.is_open:  # the same read brought its goodbye
            return
        try:
            content = caller.gate.content(hello.task)
        except RemoteProtocolError as error:  # it failed during the handshake
            peer.close(error.code, str(error))
            return
        if content.fetch != hello.fetch:
            peer.close(ErrorCode.MANIFEST_MISMATCH, "the task is being fetched anew")
            return
        swarm = self._swarm(content)
        until, now = caller.gate.until, self._clock.seconds()
        caller.link = SeedLink(peer, hello.key, until, swarm, now)
        swarm.join(caller.link)
        if self._sweeping is None:
            self._sweeping = self._clock.callLater(SWEEP_S, self._sweep)

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """Let the link do what is to be done."""
        link = self._callers[peer].link
        if link is not None and peer.is_open:  # not if the same read brought its goodbye
            link.event(event)

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """Free everything that the connection had."""
        caller = self._callers.pop(peer)
        self._traffic.ended(peer)
        self._addresses.leave(caller.address)
        self._drop(caller)
        self._log.debug(
            "piece connection from {address} ended: {reason}",
            address=caller.address,
            reason=str(reason or "clean"),
        )

    # -- links -----------------------------------------------------------------------------

    def end(self, link: SeedLink, code: ErrorCode, text: str) -> None:
        """Say BYE, and free at once what ``link`` had, though its bytes may still go out."""
        caller = self._callers.get(link.peer)
        if caller is not None:
            self._drop(caller)
        link.peer.close(code, text)

    def _make_room(self, address: str) -> bool:
        """Whether one more connection from ``address`` may stay, if need be in the place of one
        whose neighbour has everything: a host keeps one for each task that it has finished."""
        if not self._addresses.crowded(address):
            return True
        for caller in self._callers.values():
            near = caller.address == address or self._addresses.full
            if caller.link is not None and caller.link.sated and near:
                self.end(caller.link, ErrorCode.TOO_MANY_CONNECTIONS, "others need this place")
                return True
        return False

    def _drop(self, caller: _Caller) -> None:
        link, caller.link = caller.link, None
        if link is not None:
            link.swarm.leave(link)

    def _swarm(self, content: Content) -> SeedSwarm:
        """The swarm of this very content; that of an earlier fetch ends by itself."""
        swarm = self._swarms.get(content.id)
        if swarm is None or swarm.content is not content:
            swarm = self._swarms[content.id] = SeedSwarm(
                content, self._desk, self, self._rng, self._forget, echo_limit=self._echo_limit
            )
        return swarm

    def _forget(self, swarm: SeedSwarm) -> None:
        if self._swarms.get(swarm.content.id) is swarm:
            del self._swarms[swarm.content.id]

    def _sweep(self) -> None:
        """Look at every link; as long as there are any."""
        self._sweeping = None
        now = self._clock.seconds()
        for peer, caller in list(self._callers.items()):
            if not peer.is_open:  # it said goodbye or broke the rules, and its end takes time
                self._drop(caller)
            if caller.link is not None:
                self._check(caller.link, now)
        if len(self):
            self._sweeping = self._clock.callLater(SWEEP_S, self._sweep)

    def _check(self, link: SeedLink, now: float) -> None:
        reason = self._banned(link.key)
        if reason is not None:
            self.end(link, ErrorCode.NOT_ALLOWED, f"banned: {reason}")
        elif now > link.until + LATE_S:
            self.end(link, ErrorCode.GRANT_EXPIRED, "come back with a fresh grant")
        else:
            link.check(now)


class _PieceFactory(Factory):
    """Gives connections to the seed."""

    noisy = False

    def __init__(self, seed: Seed) -> None:
        self._seed = seed

    def buildProtocol(self, addr: IAddress | None) -> PeerProtocol | None:
        """One connection; ``None``: it is closed."""
        return self._seed.accept(plain_address(getattr(addr, "host", "")))
