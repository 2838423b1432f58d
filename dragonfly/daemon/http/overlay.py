"""A way back over another one: as that does, unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPullProducer, IPushProducer

from dragonfly.daemon.http.messages import Headers, RequestBody, RequestHead, Responder

__all__ = ["Overlay"]


class Overlay:
    """A :class:`~dragonfly.daemon.http.messages.Responder`; what inherits from it changes what
    has to be different.
    """

    def __init__(self, responder: Responder) -> None:
        self.head: RequestHead = responder.head
        self.body: RequestBody = responder.body
        self._responder = responder

    @property
    def sent(self) -> int:
        """As the one below counts."""
        return self._responder.sent

    @property
    def status(self) -> int:
        """As it was started."""
        return self._responder.status

    @property
    def over(self) -> bool:
        """Whether it is."""
        return self._responder.over

    def on_gone(self, call: Callable[[], None]) -> None:
        """As the one below says."""
        self._responder.on_gone(call)

    def start(self, status: int, headers: Headers, *, reason: bytes = b"") -> None:
        """Begin."""
        self._responder.start(status, headers, reason=reason)

    def write(self, data: bytes) -> None:
        """The next bytes."""
        self._responder.write(data)

    def registerProducer(self, producer: IPushProducer | IPullProducer, streaming: bool) -> None:
        """As the one below does."""
        self._responder.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """As the one below does."""
        self._responder.unregisterProducer()

    def finish(self) -> None:
        """That was all."""
        self._responder.finish()

    def abort(self) -> None:
        """Cut."""
        self._responder.abort()
