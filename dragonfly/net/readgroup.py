"""Sockets that are looked at together, so that one wake-up serves many arrivals.

A peer of a swarm hears from ten neighbours, a few kilobytes at a time. Each arrival by itself
wakes the process, runs one round of everything, and lets it sleep again: with caches that others
have used meanwhile, a wake-up costs more than the bytes. A :class:`ReadGroup` is what a network
card does when it moderates its interrupts: after one look at its sockets it rests, for no longer
than a small piece takes to come, and the next look finds several of them ready.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any, cast

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["CROWD", "REST_MOST_S", "ReadGroup"]

CROWD = 4
"""Sockets from which on it pays to rest: a lone neighbour's next bytes are an answer to what was
said after its last ones, so that a rest is a loss and nothing else comes in it."""

REST_BYTES = 32 * 1024
"""The group rests while about so many bytes come: the smallest piece. The time goes on top of each
answer's: half a piece's time, of the ten or more that an answer takes in a busy swarm."""

REST_LEAST_S = 0.002
"""For less it is not worth a timer: more than 16 MB/s come, and reads are large anyway."""

REST_MOST_S = 0.08
"""The longest rest, of a peer to which 0.4 MB/s or less come."""

IDLE_BYTES_S = 128 * 1024
"""With less to read there is nothing to save, and what comes may be waited for."""

MEASURE_S = 0.25
"""Over so long the rate is taken."""


@implementer(IReadDescriptor)
class ReadGroup:
    """Some plain TCP connections of ``reactor``, read from in common looks.

    The reactor watches one descriptor for all of them. Writing and timers are the reactor's as
    before. A transport that cannot join (another kind, another platform than Linux) stays with
    the reactor. A connection that is reset while something waits to be written on it ends at
    once: what came last on it is not read any more.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll: select.epoll | None = None
        self._readers: dict[int, Any] = {}
        self._fds: dict[Any, int] = {}
        self._timer: IDelayedCall | None = None
        self._bytes = 0
        self._since = 0.0
        self.rest_s = 0.0
        """How long it rests after a look."""

    def join(self, transport: Any) -> None:
        """Read from ``transport``, which is being read from, with the others until it ends.

        No error if it cannot join.
        """
        if hasattr(select, "epoll") and isinstance(transport, Connection) and not transport.TLS:
            transport.stopReading()
            transport.reactor = cast("Any", self)
            transport.startReading()

    def close(self) -> None:
        """Watch nothing any more: all members have ended."""
        epoll, self._epoll = self._epoll, None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        elif epoll is not None:
            self._reactor.removeReader(self)
        if epoll is not None:
            epoll.close()

    def took(self, count: int) -> None:
        """A member has read so many bytes."""
        self._bytes += count

    # -- what a transport asks of its reactor ------------------------------------------------

    def addReader(self, reader: Any) -> None:
        """Watch ``reader``; no error if it is watched."""
        if reader in self._fds:
            return
        fd = reader.fileno()
        if self._epoll is None:
            self._epoll = select.epoll()
        if self._timer is None:
            self._reactor.addReader(self)
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLRDHUP)
        self._readers[fd], self._fds[reader] = reader, fd

    def removeReader(self, reader: Any) -> None:
        """Watch it no longer; no error if it is not watched."""
        fd = self._fds.pop(reader, None)
        if fd is None:
            return
        del self._readers[fd]
        if self._epoll is not None:
            with suppress(OSError):  # closed already: the kernel has forgotten it
                self._epoll.unregister(fd)

    def __getattr__(self, name: str) -> Any:
        """All else is the reactor's."""
        return getattr(self._reactor, name)

    # -- IReadDescriptor ------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor that is ready when a member is."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def doRead(self) -> None:
        """Some members are ready: read from them, then rest."""
        self._look()
        if self._pays():
            self._rest()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives the group up: it is at its end."""

    def logPrefix(self) -> str:
        """For the log."""
        return type(self).__name__

    # -- inside -----------------------------------------------------------------------------------

    def _pays(self) -> bool:
        """Whether to rest now."""
        crowded = len(self._readers) >= CROWD
        return crowded and self.rest_s > 0 and self._epoll is not None

    def _rest(self) -> None:
        self._reactor.removeReader(self)  # also after a rest: one that joined has had it added
        self._timer = self._reactor.callLater(self.rest_s, self._rested)

    def _rested(self) -> None:
        self._timer = None
        if self._look() and self._pays():
            self._rest()
        elif self._epoll is not None:
            self._reactor.addReader(self)

    def _look(self) -> int:
        """Read once from each member that is ready."""
        if self._epoll is None or not self._readers:
            return 0
        ready = self._epoll.poll(0, len(self._readers))
        for fd, _ in ready:
            reader = self._readers.get(fd)
            if reader is not None:
                self._read(reader)
        self._measure()
        return len(ready)

    def _read(self, reader: Any) -> None:
        """As the reactor does: a mistake is logged, and costs its connection only."""
        try:
            why = reader.doRead()
        except Exception as error:  # noqa: BLE001 - see above
            self._log.failure("reading from {reader}", reader=reader)
            why = error
        if why is not None:
            with self._log.failuresHandled("ending {reader}", reader=reader):
                reader.stopReading()
                reader.stopWriting()
                reader.connectionLost(Failure(why))

    def _measure(self) -> None:
        now = self._reactor.seconds()
        passed = now - self._since
        if passed < MEASURE_S:
            return
        rate, self._bytes, self._since = self._bytes / passed, 0, now
        rest = min(REST_MOST_S, REST_BYTES / rate) if rate > IDLE_BYTES_S else 0.0
        self.rest_s = rest if rest >= REST_LEAST_S else 0.0
