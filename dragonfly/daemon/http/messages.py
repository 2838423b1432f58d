"""What the front and those who answer say to each other: HTTP as values and interfaces.

The *front* knows connections: it reads requests, frames answers, and pushes back. Whoever
*answers* gets a :class:`Responder` for each request and knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
from twisted.internet.interfaces import IPullProducer, IPushProducer

from dragonfly.net.addresses import is_loopback

__all__ = [
    "Answer",
    "BodyReceiver",
    "Headers",
    "RequestBody",
    "RequestHead",
    "Responder",
    "find",
    "find_all",
]

Headers = tuple[tuple[bytes, bytes], ...]
"""Names and values as they came: order, case and repeated lines are kept."""


def find_all(headers: Headers, name: bytes) -> list[bytes]:
    """All values of a header, whatever the case of its name; ``name`` is lower-case."""
    return [value for key, value in headers if key.lower() == name]


def find(headers: Headers, name: bytes) -> bytes | None:
    """The last value of a header; ``None`` if it was not sent. ``name`` is lower-case."""
    values = find_all(headers, name)
    return values[-1] if values else None


@attrs.frozen(kw_only=True)
class RequestHead:
    """A request without its body.

    :ivar target: as it stands in the request line.
    :ivar version: ``b"1.0"`` or ``b"1.1"``.
    :ivar headers: may hold credentials, so they are not shown.
    :ivar client: the address that the request came from.
    :ivar tunnel: the ``host:port`` that the client had asked to be connected to, if the
        request came inside such a connection, which was opened here; else empty.
    :ivar secure: whether it came over TLS.
    """

    method: bytes
    target: bytes = attrs.field(repr=False)
    version: bytes
    headers: Headers = attrs.field(repr=False)
    client: str = ""
    tunnel: str = ""
    secure: bool = False

    @property
    def local(self) -> bool:
        """Whether the client is on this machine."""
        return is_loopback(self.client) or not self.client


class BodyReceiver(Protocol):
    """Who takes the body of a request; exactly one of the last two comes, once."""

    def body_data(self, data: bytes) -> None:
        """The next bytes."""

    def body_ended(self) -> None:
        """That was all of it."""

    def body_lost(self, error: Exception) -> None:
        """The rest will never come: the client hung up, fell silent or broke the framing."""


class RequestBody(Protocol):
    """The body of a request; nothing of it is read before somebody takes it."""

    @property
    def length(self) -> int | None:
        """How long it is; 0: there is none; ``None``: it is chunked."""

    def deliver(self, receiver: BodyReceiver) -> None:
        """Let it flow, once; what is here already comes inside this call.

        A client that waits for ``100 Continue`` is told to go on, unless the answer has begun.

        :raises RuntimeError: it was taken before.
        """

    def pause(self) -> None:
        """Stop reading; what was read already may still come."""

    def resume(self) -> None:
        """Go on reading."""


class Responder(Protocol):
    """The way back for one request; an ``IConsumer`` between start and finish.

    :ivar head: of the request.
    :ivar body: of the request.
    """

    head: RequestHead
    body: RequestBody

    @property
    def sent(self) -> int:
        """Bytes of the body given to the connection so far."""

    @property
    def status(self) -> int:
        """Of the answer that was started; 0 before."""

    @property
    def over(self) -> bool:
        """Whether it was finished or aborted, or its client is gone."""

    def on_gone(self, call: Callable[[], None]) -> None:
        """Call that (once, at once if so already) when the client is gone before the end.

        A client that closes its sending side is gone. It is not called after :meth:`finish`
        or :meth:`abort`, but it is when :meth:`write` was given more than was announced.
        """

    def start(self, status: int, headers: Headers, *, reason: bytes = b"") -> None:
        """Send status line and headers; those of the connection are the front's own.

        With a ``Content-Length`` exactly so many bytes must follow; without one the body is
        chunked, or for HTTP/1.0 ended by closing. Answers to HEAD, and 204 and 304, have no
        body whatever they announce. Without effect once it is :attr:`over`.

        :raises OriginError: a line of it cannot be sent as HTTP, or it is an interim answer
            (1xx); nothing was sent, and another answer may be started.
        :raises RuntimeError: it was started before.
        """

    def write(self, data: bytes) -> None:
        """The next bytes of the body; without effect once it is :attr:`over`.

        More than was announced is not sent: the connection is aborted.
        """

    def registerProducer(self, producer: IPushProducer | IPullProducer, streaming: bool) -> None:
        """Who writes hears when the client does not read; it is stopped if that is gone."""

    def unregisterProducer(self) -> None:
        """Nobody writes any more."""

    def finish(self) -> None:
        """The body is complete. If fewer bytes were written than announced: :meth:`abort`.

        A producer that is still registered is forgotten.
        """

    def abort(self) -> None:
        """Cut the connection: a body that cannot be completed must not look complete."""


Answer = Callable[[Responder], Awaitable[None]]
"""Answers one request. It returns when the answer was finished or aborted; if it raises before
the start, the front answers 502 or 500; after it, the front aborts."""
