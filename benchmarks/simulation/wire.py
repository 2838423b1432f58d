"""Connections: the session's own books and rules, without its bytes.

:class:`SimSession` is the real :class:`~dragonfly.wire.session.PeerSession` from the moment at
which it is open; messages travel as they are instead of encoded. :class:`SimPeer` stands for
:class:`~dragonfly.peer.connections.protocol.PeerProtocol`, and has what exchange, links,
uploader and the seed use of it. A connection is an ordered stream in each direction: what is
small waits for the bytes of pieces that were written before it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from dragonfly.errors import ErrorCode, RemoteProtocolError
from dragonfly.peer.connections.protocol import PeerListener
from dragonfly.wire.events import Event
from dragonfly.wire.inbound import Inbound
from dragonfly.wire.liveness import Pulse
from dragonfly.wire.messages import Data, Hello, Message
from dragonfly.wire.outbound import Outbound
from dragonfly.wire.requests import Asked, Owed
from dragonfly.wire.session import PeerSession, State

from .clock import SimClock
from .fluid import Network
from .pipes import SOCKET_BYTES, Pipe, Place

__all__ = ["SimPeer", "SimSession", "connect"]


class SimOutbound(Outbound):
    """Keeps messages as they are."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[Any]

    @property
    def size_bytes(self) -> int:
        """Those of slices."""
        return sum(len(item) for item in self._chunks if isinstance(item, memoryview))

    def say(self, message: Message) -> None:
        """Have it sent behind the others."""
        self._chunks.append(message)

    def say_slice(self, head: Data, payload: Any) -> None:
        """The same of a slice."""
        self._chunks += head, payload


class SimSession(PeerSession):
    """An open session."""

    def __init__(self, remote: Hello, now: float) -> None:
        self.state = State.OPEN
        self._remote = remote
        self._pulse = Pulse(now)
        self._pulse.opened()
        self._outbound = SimOutbound()
        self._say = self._outbound.say
        self._asked = Asked()
        self._owed = Owed()
        self._asked.piece_size = self._owed.piece_size = remote.piece_size
        self._inbound = Inbound(self._asked, self._owed, self._pulse, self._say)

    @property
    def remote(self) -> Hello:
        """The other side."""
        return self._remote

    def hear(self, item: Any, now: float) -> list[Event]:
        """What one message, or one part of a slice, means."""
        if isinstance(item, memoryview):
            return [self._inbound.take_slice(item)]
        return list(self._inbound.take(item, now))

    def take_messages(self) -> list[Any]:
        """What is to be sent: messages, and behind a DATA its slice."""
        return self._outbound.take()


class SimPeer:
    """One end of a connection."""

    def __init__(self, clock: SimClock, listener: PeerListener) -> None:
        self.listener = listener
        self.writable = True
        self.closed = False
        self.paused = False
        self.transport: object | None = None
        self.address = ""
        self.on_writable: Callable[[], None] | None = None
        self.session: SimSession
        self._clock = clock
        self._closing = False
        self._corked = False
        self._pipe: Pipe | None = None
        self._other: SimPeer | None = None
        self._latency = 0.0
        self._said = 0

    def __repr__(self) -> str:
        return f"<end of a connection to {self.address}>"

    # -- what PeerProtocol has -----------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether something can be said."""
        return not self._closing and not self.closed and self._pipe is not None

    def flush(self) -> None:
        """Send what the session has queued."""
        if self._corked or not self.is_open or self._pipe is None:
            return
        self._said += self.session.queued_bytes
        self._pipe.send(self.session.take_messages())
        self.writable = self._pipe.backlog < SOCKET_BYTES

    @property
    def said_bytes(self) -> int:
        """Bytes of slices that were said."""
        return self._said + self.session.queued_bytes

    def unacked(self) -> int:
        """Bytes that have not arrived."""
        if self._pipe is None or self.closed:
            return 0
        return self._pipe.unacked() + self.session.queued_bytes

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Say goodbye; both ends hear of the end later. What was queued is lost."""
        if not self.is_open:
            return
        self._closing = True
        now, other = self._clock.now, self._other
        if other is not None:
            error = RemoteProtocolError(f"neighbour said: {text}", code)
            self._clock.at(now + self._latency, other.lost, error if code else None)
        self._clock.at(now + 2 * self._latency, self.lost, None)
        self._stop()

    def abort(self, reason: Exception | None = None) -> None:
        """End it."""
        self.close(ErrorCode.INTERNAL, str(reason))

    def pause(self, token: Hashable) -> None:
        """Not simulated: disks are fast and there are no limits."""

    def pause_for(self, token: Hashable, seconds: float) -> None:
        """Not simulated."""

    def resume(self, token: Hashable) -> None:
        """Not simulated."""

    def read_at_most(self, count: int) -> None:
        """Not simulated."""

    # -- what the network does -----------------------------------------------------------

    def open(self, remote: Hello, now: float) -> None:
        """The handshake is done."""
        self.session = SimSession(remote, now)

    def attach(self, pipe: Pipe, other: SimPeer, latency: float) -> None:
        """The connection is there."""
        self._pipe, self._other, self._latency = pipe, other, latency
        self.transport = pipe
        pipe.drained = self._drained

    def hear(self, items: list[Any]) -> None:
        """As ``dataReceived`` does: events as one corked batch, then the answers."""
        if not self.is_open:
            return
        self._corked = True
        try:
            for item in items:
                for event in self.session.hear(item, self._clock.now):
                    if self.is_open:
                        self.listener.peer_event(self, event)  # type: ignore[arg-type]
        finally:
            self._corked = False
        self.flush()

    def lost(self, reason: Exception | None) -> None:
        """The connection is gone."""
        if self.closed:
            return
        self.closed = True
        self.writable = False
        self.on_writable = None
        self._stop()
        self.listener.peer_closed(self, reason)  # type: ignore[arg-type]

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.stop()

    def _drained(self) -> None:
        if not self.writable and self.is_open:
            self.writable = True
            if self.on_writable is not None:
                self.on_writable()


def connect(
    network: Network,
    ends: tuple[SimPeer, SimPeer],
    places: tuple[Place, Place],
    latency: float,
    *,
    overtaking: bool = False,
) -> None:
    """Make a connection of two ends; their sessions are the caller's.

    :param overtaking: messages do not wait for pieces that go the same way, as if they had a
        connection of their own.
    """
    for this in (0, 1):
        here, there = places[this], places[1 - this]
        pipe = Pipe(network, here, there, latency, overtaking=overtaking)
        pipe.hear = ends[1 - this].hear
        ends[this].attach(pipe, ends[1 - this], latency)
