"""The way of a body from whoever has it to the client: counted, and held back at the end."""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer, IReactorTime
from zope.interface import implementer

from dragonfly.daemon.http.messages import Responder

__all__ = ["HOLD_BYTES", "Outlet"]

HOLD_BYTES = 256 * 1024
"""So much of the end waits until the digest of the whole is known to be right. One slice: the
client loses no time with it, since all before it is on its way meanwhile."""


@implementer(IConsumer, IPushProducer)
class Outlet:
    """Takes bytes in order from one source after another, and gives them to a client.

    The end of a whole body is held back until :meth:`release`, so that a client never has
    all bytes of a body that turns out wrong. A part of a blob is not held back: its digest is
    known to nobody, and only the client, who puts the parts together, can check the whole.

    :param begin: the first byte of the body in the blob.
    :param end: behind its last byte; ``None``: not known yet.
    :param whole: whether it is all of the blob.

    :ivar position: in the blob, of the byte that the client gets next.
    :ivar moved_at: when a byte came, or the client began to wait for one, last.
    """

    def __init__(
        self,
        responder: Responder,
        clock: IReactorTime,
        *,
        begin: int = 0,
        end: int | None = None,
        whole: bool = True,
    ) -> None:
        self.begin = begin
        self.end = end
        self.whole = whole
        self.position = begin
        self.moved_at = clock.seconds()
        self._responder = responder
        self._clock = clock
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._source: IPushProducer | None = None
        self._paused = False

    # -- facts ----------------------------------------------------------------------

    @property
    def taken(self) -> int:
        """Up to where bytes came, those that are held back included."""
        return self.position + self._held_bytes

    @property
    def sent(self) -> int:
        """Bytes that the client was given."""
        return self.position - self.begin

    def waited_s(self) -> float:
        """How long the client has been waiting for a byte."""
        return 0.0 if self._paused else float(self._clock.seconds() - self.moved_at)

    # -- the ends -------------------------------------------------------------------

    def open(self) -> None:
        """The head of the answer is out: hear when the client does not read."""
        self.moved_at = self._clock.seconds()
        self._responder.registerProducer(self, True)

    def close(self) -> None:
        """Nothing more is written."""
        self._responder.unregisterProducer()

    def release(self) -> None:
        """Give out what was held back: the whole is right."""
        while self._held:
            self._pass_on(self._held.popleft())

    def drop(self) -> None:
        """Forget what was held back: somebody else brings it again."""
        self._held.clear()
        self._held_bytes = 0

    # -- IConsumer, for the source --------------------------------------------------------

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """The next source; a push producer, which pauses while the client does not read."""
        if not streaming:
            raise ValueError("a body comes from push producers only")
        self._source = IPushProducer(producer)
        if self._paused:
            self._source.pauseProducing()

    def unregisterProducer(self) -> None:
        """That source has ended."""
        self._source = None

    def write(self, data: bytes) -> None:
        """The next bytes; they are sent as far as they may be."""
        self.moved_at = self._clock.seconds()
        self._held.append(data)
        self._held_bytes += len(data)
        while self._held and self._may_pass() >= len(self._held[0]):
            self._pass_on(self._held.popleft())
        room = self._may_pass()
        if self._held and room > 0:
            self._pass_on_part(room)

    # -- IPushProducer, for the client ----------------------------------------------------

    def pauseProducing(self) -> None:
        """The client has enough for now."""
        self._paused = True
        if self._source is not None:
            self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """The client waits for more."""
        self._paused = False
        self.moved_at = self._clock.seconds()
        if self._source is not None:
            self._source.resumeProducing()

    def stopProducing(self) -> None:
        """The client is gone; whoever reads for it hears of that by ``on_gone``."""

    # -- inside -----------------------------------------------------------------------

    def _may_pass(self) -> int:
        """How many of the held bytes may be sent before the whole is known to be right."""
        if not self.whole:
            return self._held_bytes
        if self.end is None:
            return self._held_bytes - HOLD_BYTES
        return min(self._held_bytes, self.end - HOLD_BYTES - self.position)

    def _pass_on_part(self, length: int) -> None:
        first = self._held.popleft()
        self._held.appendleft(first[length:])
        self._pass_on(first[:length])

    def _pass_on(self, data: bytes) -> None:
        self.position += len(data)
        self._held_bytes -= len(data)
        self._responder.write(data)
