"""What goes out on a connection: whether the client takes it, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.interfaces import (
    INegotiated,
    IPullProducer,
    IPushProducer,
    IReactorTime,
)
from zope.interface import implementer

from dragonfly.daemon.front.pulling import Pulling
from dragonfly.net.backlog import socket_backlog
from dragonfly.net.watch import Watch

__all__ = ["END_S", "Outflow"]

END_S = 10.0
"""So long the other side may take to end when it was sent everything and the end. TLS waits for
its goodbye, and a handshake that never ends for more; longer than the front lingers."""


@implementer(IPushProducer)
class Outflow:
    """The writing half of one connection.

    It is the transport's producer for as long as the connection lasts, so it knows whenever
    the client stops taking what is written, be there a producer for the answer or not.

    :param stall_s: seconds in which the client must take something of what waits for it;
        otherwise the connection is aborted.
    """

    def __init__(self, transport: Any, *, clock: IReactorTime, stall_s: float) -> None:
        self.full = False
        """Whether more waits to be sent than the transport likes."""
        self._transport = transport
        self._clock = clock
        self._stall_s = stall_s
        self._stall = Watch(clock, self._stalled)
        self._backlog = 0
        self._left_s = 0.0
        self._producer: Any = None
        self._ending = False
        self._when_taken: Callable[[], None] | None = None
        transport.registerProducer(self, True)

    # -- writing ------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send that."""
        self._transport.write(data)

    def write_all(self, parts: Sequence[bytes]) -> None:
        """Send all of that without joining it."""
        self._transport.writeSequence(parts)

    def register(self, producer: IPushProducer | IPullProducer, streaming: bool) -> None:
        """Let *producer* hear when to pause; at once if it is so already."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        self._producer = (
            producer if streaming else Pulling(cast("IPullProducer", producer), self._clock)
        )
        if self.full:
            self._producer.pauseProducing()
        elif not streaming:
            self._producer.resumeProducing()

    def unregister(self) -> Any:
        """Forget the producer; returns it, ``None`` if there was none."""
        producer, self._producer = self._producer, None
        if isinstance(producer, Pulling):
            producer.release()
        return producer

    def when_taken(self, call: Callable[[], None]) -> None:
        """Call that as soon as the client has taken enough to be sent more."""
        if self.full:
            self._when_taken = call
        else:
            call()

    # -- IPushProducer, for the transport -----------------------------------------

    def pauseProducing(self) -> None:
        """The client does not keep up."""
        if self.full or self._ending:
            return
        self.full = True
        self._await_progress()
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """It has taken everything."""
        if not self.full or self._ending:
            return
        self.full = False
        self._stall.off()
        call, self._when_taken = self._when_taken, None
        if call is not None:
            call()
        elif self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost; its protocol hears of it too."""

    # -- the ends -----------------------------------------------------------------

    def release(self) -> None:
        """Let the transport go: it has another producer from now on."""
        if not self._ending:
            self._ending = True
            self._stall.close()
            self._transport.unregisterProducer()

    def half_close(self) -> None:
        """Send what waits and then the end; what the client sends may still be read."""
        self._end()
        if INegotiated.providedBy(self._transport):
            self._transport.loseConnection()  # TLS has an end of its own, for both ways
        else:
            self._transport.loseWriteConnection()

    def close(self) -> None:
        """Send what waits, then close; a client that takes nothing is cut off."""
        self._end()
        self._transport.loseConnection()

    def abort(self) -> None:
        """Cut the connection: what waits is dropped, and the client sees a reset."""
        self._ending = True
        self._stall.close()
        self._transport.abortConnection()

    def lost(self) -> Any:
        """The connection is gone; returns the producer that does not know yet."""
        self._ending = True
        self._when_taken = None
        self._stall.close()
        return self.unregister()

    def _end(self) -> None:
        # A transport with a producer never closes.
        if not self._ending:
            self._ending = True
            self._transport.unregisterProducer()
        self._await_progress()

    def _await_progress(self) -> None:
        self._backlog = socket_backlog(_below_tls(self._transport))
        self._left_s = self._stall_s
        self._wait()

    def _wait(self) -> None:
        step_s = min(END_S, self._left_s) if self._ending else self._left_s
        self._left_s -= step_s
        self._stall.within(step_s)

    def _stalled(self) -> None:
        waits = socket_backlog(_below_tls(self._transport))
        if self._ending and not waits:
            self.abort()  # all is out, only the other side's end is not here: TLS waits for that
        elif waits < self._backlog:
            self._await_progress()  # slow, but it reads
        elif self._left_s > 0:
            self._wait()
        else:
            self.abort()


def _below_tls(transport: Any) -> Any:
    """What has the socket."""
    below: Any = transport
    while INegotiated.providedBy(below):  # twice, if TLS is spoken inside of TLS
        below = getattr(below, "transport", None)
    return below
