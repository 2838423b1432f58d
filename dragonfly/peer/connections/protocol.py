"""The piece protocol on a socket: bytes to a session and back, nothing more.

:class:`PeerProtocol` owns one connection: it feeds a sans-I/O session, writes what the
session wants written, keeps the session's one deadline on the reactor, and passes
back-pressure both ways. Who the neighbour is good for is its listener's business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any
from typing import Protocol as Shape

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from dragonfly.errors import ErrorCode, LocalProtocolError, PeerTimedOut, RemoteProtocolError
from dragonfly.net.addresses import plain_address
from dragonfly.net.backlog import socket_backlog
from dragonfly.net.calloff import call_off
from dragonfly.net.readgroup import ReadGroup
from dragonfly.net.readsize import read_at_most
from dragonfly.net.sendnow import send_now
from dragonfly.net.wakeup import wake_at
from dragonfly.net.watch import Watch
from dragonfly.peer.connections.pauses import DEAF_S, PAUSE_LIMIT_S, Pauses
from dragonfly.wire.events import Closed, Event, Opened
from dragonfly.wire.session import PeerSession

__all__ = [
    "CLOSE_LIMIT_S",
    "READ_BYTES",
    "UNREAD_LIMIT_BYTES",
    "PeerListener",
    "PeerProtocol",
]

CLOSE_LIMIT_S = 5.0
"""How long a goodbye may wait for a neighbour that does not read, before the abort."""

READ_BYTES = 256 * 1024
"""Read at once: a slice. Twisted's 64 KiB make it four events, each of which costs as much."""

WAKE_BYTES = 32 * 1024
"""How much of a slice may wait for us in the kernel; less than the window that a connection begins
with, which kernels before 4.18 do not widen for it. A link of 25 Mb/s that eight neighbours send
on brings some 10 KiB at a time: seven events for each piece of 64 KiB, each as dear as a whole
piece's worth of bytes. Silence is judged by seconds, in which even slow links bring as much."""

LEAST_WAKE_BYTES = 4 * 1024
"""For less it is not worth a call."""

UNREAD_LIMIT_BYTES = 4 * 1024 * 1024
"""So much may be written to a neighbour that does not read. Slices stop at the first byte of
it; this is for answers to questions that never end: 1,024 GET_DIGESTS are worth 260 MiB."""


class PeerListener(Shape):
    """Whoever wants to know what happens on a connection."""

    def peer_opened(self, peer: PeerProtocol) -> None:
        """Both sides proved who they are; ``peer.session.remote`` is the neighbour's HELLO."""

    def peer_event(self, peer: PeerProtocol, event: Event) -> None:
        """One event of the open session, in the order of the stream."""

    def peer_closed(self, peer: PeerProtocol, reason: Exception | None) -> None:
        """The connection is gone, for ever; called once. ``None``: a clean end."""


@implementer(IPushProducer)
class PeerProtocol(Protocol):
    """One connection to one neighbour.

    :param session_factory: makes the session when the connection is made; gets ``now``.
    :param clock: time and timers.
    :param listener: told of everything; may be replaced at any time (``listener``).
    :param backlog: tells the un-ACKed bytes of a transport.

    Call any method of :attr:`session`, then :meth:`flush`. While an incoming read is being
    handled flushes are gathered into one write.
    """

    _log = Logger()

    def __init__(
        self,
        session_factory: Callable[[float], PeerSession],
        clock: IReactorTime,
        listener: PeerListener,
        *,
        backlog: Callable[[Any], int] = socket_backlog,
    ) -> None:
        self.listener = listener
        self.writable = True
        self.closed = False
        self.heard_bytes = 0
        self.on_writable: Callable[[], None] | None = None
        self.session: PeerSession
        self._session_factory = session_factory
        self._clock = clock
        self._backlog = backlog
        self._reason: Exception | None = None
        self._unread = 0
        self._woken_at = 1
        self._group: ReadGroup | None = None
        self._said = 0
        self._closing = False
        self._corked = False
        self._pauses = Pauses(
            clock, stop=self._stop_reading, go=self._read_on, too_long=self._paused_too_long
        )
        self._watch = Watch(clock, self._tick)
        self._close_limit: IDelayedCall | None = None

    # -- what the owner may ask -----------------------------------------------

    @property
    def address(self) -> str:
        """The other host's address as text, empty when there is none."""
        host = getattr(self.transport.getPeer(), "host", "") if self.transport else ""
        return plain_address(host) if host else ""

    @property
    def is_open(self) -> bool:
        """Whether messages of the open state may be sent now."""
        return not (self._closing or self.closed) and self.session.is_open

    def flush(self) -> None:
        """Write what the session has queued, and keep its deadline."""
        if self._corked or self.closed or self._closing:
            return
        self._write()
        if self._unread > UNREAD_LIMIT_BYTES:
            self.abort(PeerTimedOut(f"the neighbour does not read: {self._unread} bytes wait"))
        else:
            self._arm()

    @property
    def written_bytes(self) -> int:
        """All bytes that were written so far; :attr:`heard_bytes` are all that were read."""
        return self._said

    @property
    def said_bytes(self) -> int:
        """All bytes that were said so far, though perhaps not written yet."""
        return self._said + self.session.queued_bytes

    def unacked(self) -> int:
        """Bytes said, though perhaps not written yet, that the neighbour's host has not
        acknowledged."""
        if self.closed or self.transport is None:
            return 0
        return self._backlog(self.transport) + self.session.queued_bytes

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Say BYE and end the connection; aborts after :data:`CLOSE_LIMIT_S`.

        ``peer_closed`` follows later, never inside this call.
        """
        if self._closing or self.closed:
            return
        with suppress(LocalProtocolError):  # closed already: what it queued still goes out
            self.session.bye(code, text)
        self._hang_up()

    def abort(self, reason: Exception | None = None) -> None:
        """End the connection at once, without a word."""
        if not self.closed and self.transport is not None:
            self._reason = self._reason or reason
            self._closing = True
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def read_at_most(self, count: int) -> None:
        """Let one read of the reactor bring no more bytes than that, from the next one on."""
        read_at_most(self.transport, count)

    def join(self, group: ReadGroup) -> None:
        """Be read from together with others, from now on."""
        if self._group is None and not self.closed and not self._closing and not self._pauses:
            self._group = group
            group.join(self.transport)

    def pause(self, token: Hashable) -> None:
        """Stop reading until every token is resumed; at most :data:`PAUSE_LIMIT_S`."""
        if not (self.closed or self._closing):
            self._pauses.add(token)

    def pause_for(self, token: Hashable, seconds: float) -> None:
        """Stop reading for so long; not longer than :data:`PAUSE_LIMIT_S`."""
        if not (self.closed or self._closing):
            self._pauses.add_for(token, seconds)

    def resume(self, token: Hashable) -> None:
        """Take back one pause; unknown tokens are no error."""
        self._pauses.remove(token)

    @property
    def paused(self) -> bool:
        """Whether reading is stopped."""
        return bool(self._pauses)

    # -- Protocol ---------------------------------------------------------------

    def connectionMade(self) -> None:
        """Set the socket up and let the session speak first if it is the dialler's."""
        transport = self.transport
        for option in ("setTcpNoDelay", "setTcpKeepAlive"):
            setter = getattr(transport, option, None)
            if setter is not None:
                setter(True)
        self.read_at_most(READ_BYTES)
        self.session = self._session_factory(self._clock.seconds())
        transport.registerProducer(self, True)  # type: ignore[union-attr]
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        """Feed the session and pass its events on; a violation ends the connection."""
        self.heard_bytes += len(data)
        if self._closing or self.closed:
            return
        if self._group is not None:
            self._group.took(len(data))
        self._corked = True
        try:
            events = self.session.receive(data, self._clock.seconds())
        except RemoteProtocolError as error:
            self._violated(error)
            return
        finally:
            self._corked = False
        self._deliver(events)
        self.flush()
        self._await()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Free everything and tell the listener, once."""
        if self.closed:
            return
        self.closed = True
        self.writable = False
        self._pauses.clear()
        self._watch.close()
        limit, self._close_limit = self._close_limit, None
        call_off(limit)
        if self._reason is None and not self._closing and not reason.check(ConnectionDone):
            self._reason = reason.value if isinstance(reason.value, Exception) else None
        self.on_writable = None
        self.listener.peer_closed(self, self._reason)

    # -- IPushProducer: outbound back-pressure --------------------------------------

    def pauseProducing(self) -> None:
        """The transport holds enough: nothing bulky is to be written."""
        self.writable = False

    def resumeProducing(self) -> None:
        """The transport has drained: the uploader may go on."""
        self.writable = True
        self._unread = 0
        if self.on_writable is not None and not self._closing:
            self.on_writable()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` says the rest."""
        self.writable = False

    # -- inside -----------------------------------------------------------------

    def _deliver(self, events: list[Event]) -> None:
        """Pass events on as one corked batch, until somebody closes the connection."""
        if not events:
            return
        self._corked = True
        try:
            for event in events:
                if self._closing or self.closed:
                    return
                self._pass_on(event)
        finally:
            self._corked = False

    def _pass_on(self, event: Event) -> None:
        kind = type(event)
        if kind is Opened:
            self.listener.peer_opened(self)
        elif kind is Closed:
            self._said_goodbye(event)  # type: ignore[arg-type]
        else:
            self.listener.peer_event(self, event)

    def _said_goodbye(self, event: Closed) -> None:
        if event.code != ErrorCode.NO_ERROR:
            self._reason = RemoteProtocolError(f"neighbour said: {event.text}", _code(event.code))
        self._hang_up()

    def _violated(self, error: RemoteProtocolError) -> None:
        """Events before the violation count; then the goodbye goes out and we hang up."""
        self._reason = error
        self._deliver(list(getattr(error, "events", ())))
        if not self._closing and not self.closed:
            self._hang_up()

    def _hang_up(self) -> None:
        """Write what is queued, end the stream, and abort if the other side does not read."""
        self._write()
        self._closing = True
        transport = self.transport
        if transport is None or self.closed:
            return
        transport.unregisterProducer()  # type: ignore[attr-defined]
        self._close_limit = self._clock.callLater(CLOSE_LIMIT_S, transport.abortConnection)  # type: ignore[attr-defined]
        transport.loseConnection()

    def _await(self) -> None:
        """Have the kernel wake us when the slice under way is here, or much of it."""
        left = min(self.session.slice_left, WAKE_BYTES)
        wanted = left if left >= LEAST_WAKE_BYTES else 1
        if wanted != self._woken_at and not self.closed and not self._closing:
            self._woken_at = wanted
            wake_at(self.transport, wanted)

    def _write(self) -> None:
        chunks = self.session.take_output()
        if not chunks or self.transport is None:
            return
        size = sum(map(len, chunks))
        self._said += size
        if not self.writable:
            self._unread += size
        left = send_now(self.transport, chunks)
        if left:
            self.transport.writeSequence(left)

    def _arm(self) -> None:
        deadline = self.session.next_deadline()
        if deadline is not None and not self.closed:
            self._watch.at(deadline)

    def _tick(self) -> None:
        if self._closing:
            return
        now = self._clock.seconds()
        if self._pauses.deaf:
            self._watch.at(now + DEAF_S)
            return
        try:
            events = self.session.tick(now)
        except PeerTimedOut as error:
            self._violated(error)
            return
        self._deliver(events)
        self.flush()

    def _stop_reading(self) -> None:
        self.transport.pauseProducing()  # type: ignore[union-attr]

    def _read_on(self) -> None:
        if not self.closed and not self._closing:
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def _paused_too_long(self) -> None:
        self.abort(PeerTimedOut(f"reading was paused for {PAUSE_LIMIT_S:.0f} s"))


def _code(value: int) -> ErrorCode:
    """A code from the wire as ours; unknown ones count as INTERNAL."""
    try:
        return ErrorCode(value)
    except ValueError:
        return ErrorCode.INTERNAL
