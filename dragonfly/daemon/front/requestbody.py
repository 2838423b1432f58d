"""The body of one request, on its way from the connection to whoever takes it."""

from __future__ import annotations

from typing import Protocol

from dragonfly.daemon.http.messages import BodyReceiver
from dragonfly.errors import ClientGone

__all__ = ["BodySource", "IncomingBody"]


class BodySource(Protocol):
    """The connection that a body comes from."""

    def body_wanted(self) -> None:
        """Somebody took the body, or goes on with it: read."""

    def body_unwanted(self) -> None:
        """It is paused: stop reading."""


class IncomingBody:
    """A :class:`~dragonfly.daemon.http.messages.RequestBody`.

    :ivar ended: whether it came to its end.
    :ivar received: bytes given to the receiver, or dropped.
    """

    def __init__(self, length: int | None, source: BodySource) -> None:
        self._length = length
        self._source = source
        self._receiver: BodyReceiver | None = None
        self._paused = False
        self._lost: Exception | None = None
        self.taken = False
        self.ended = False
        self.received = 0

    @property
    def length(self) -> int | None:
        """How long it is; 0: there is none; ``None``: it is chunked."""
        return self._length

    @property
    def flowing(self) -> bool:
        """Whether its receiver waits for more."""
        return self._receiver is not None and not self._paused

    @property
    def paused(self) -> bool:
        """Whether its receiver wants nothing now."""
        return self._receiver is not None and self._paused

    @property
    def rest(self) -> int | None:
        """Bytes that did not come yet; ``None``: nobody knows."""
        if self.ended:
            return 0
        return None if self._length is None else self._length - self.received

    def deliver(self, receiver: BodyReceiver) -> None:
        """Let it flow, once; what is here already comes inside this call.

        :raises RuntimeError: it was taken before.
        """
        if self.taken:
            raise RuntimeError("the body was taken already")
        self.taken = True
        if self._lost is not None:
            receiver.body_lost(self._lost)
        elif self.ended:
            receiver.body_ended()
        else:
            self._receiver = receiver
            self._source.body_wanted()

    def pause(self) -> None:
        """Stop reading; what was read already waits."""
        if self.flowing:
            self._paused = True
            self._source.body_unwanted()

    def resume(self) -> None:
        """Go on reading."""
        if self.paused:
            self._paused = False
            self._source.body_wanted()

    # -- for the connection -------------------------------------------------------

    def data(self, data: bytes) -> None:
        """The next bytes came."""
        self.received += len(data)
        if self._receiver is not None:
            self._receiver.body_data(data)

    def end(self) -> None:
        """That was all."""
        self.ended = True
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.body_ended()

    def lose(self, why: str) -> None:
        """The rest will not come."""
        if self.ended or self._lost is not None:
            return
        self._lost = ClientGone(f"the body of the request is incomplete: {why}")
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.body_lost(self._lost)
