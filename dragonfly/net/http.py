"""Control calls to supernodes: small JSON bodies, both ways, with a deadline.

The only module that knows treq.  Its defaults suit bodies of this size; what it
must not do, buffer without limit or read on after a timeout, is taken over by
:class:`~dragonfly.net.sink.BodySink`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

import attrs
from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from dragonfly.errors import (
    OriginTruncated,
    TrackerError,
    TrackerLost,
    TrackerUnreachable,
    TrustError,
)
from dragonfly.net.deadline import deadline
from dragonfly.net.hostendpoint import HostEndpoint
from dragonfly.net.pool import quiet_pool
from dragonfly.net.reasons import cause, innermost
from dragonfly.net.sink import BodySink
from dragonfly.net.urls import Target, parse_target

__all__ = ["ControlAnswer", "ControlClient", "make_client"]

IDLE_MAX = 16
"""Idle connections to one supernode that are kept: a TLS handshake costs more than a small
content, and an engine pulls many of these at once."""

PATIENCE_S = 0.1
"""So long a call waits for one of these when all are in use, before it opens one more."""

ANSWER_LIMIT = 1 << 20
"""Bytes of an answer; the largest honest ones are a few KiB."""


@attrs.frozen
class ControlAnswer:
    """Status and body of an answer; any status is an answer."""

    status: int
    body: bytes = attrs.field(repr=False)


# What a connection that was kept open says when its other end is gone.
_LOST = (ConnectionLost, ConnectionDone)


class _WireURL(EncodedURL):
    """A URL that is in its wire form already.

    treq passes every host through IDNA, which refuses IPv6 addresses.
    """

    def to_uri(self) -> _WireURL:
        """Return this very URL."""
        return self


@attrs.frozen
class _Call:
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = None


class ControlClient:
    """Asks a supernode.

    Errors of all calls: :class:`~dragonfly.errors.TrackerUnreachable` if there
    was no answer in time, :class:`~dragonfly.errors.TrackerLost` of these if the
    connection broke, :class:`~dragonfly.errors.TrustError` if the server
    shows the wrong key, :class:`~dragonfly.errors.TrackerError` for an answer
    that is too long.  Cancelling closes the connection.
    """

    def __init__(self, agent: IAgent, reactor: Any, pool: HTTPConnectionPool | None) -> None:
        self._client = HTTPClient(agent)
        self._reactor = reactor
        self._pool = pool
        self._turns: WeakValueDictionary[tuple[str, str, int], DeferredSemaphore]
        self._turns = WeakValueDictionary()

    async def post_json(
        self,
        url: str,
        body: bytes,
        headers: Iterable[tuple[str, str]] = (),
        *,
        timeout_s: float = 10.0,
        limit: int = ANSWER_LIMIT,
    ) -> ControlAnswer:
        """POST *body*, which is JSON already, and return the answer.

        :param timeout_s: for everything: connection, headers and body.
        :param limit: the longest body that is accepted, in bytes.
        :raises ConfigError: *url* is malformed.
        """
        extra = (("Content-Type", "application/json"), *headers)
        return await self._call(_Call("POST", url, extra, body), timeout_s, limit)

    async def get(
        self,
        url: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        timeout_s: float = 10.0,
        limit: int = ANSWER_LIMIT,
    ) -> ControlAnswer:
        """GET *url* and return the answer; everything else as for :meth:`post_json`."""
        return await self._call(_Call("GET", url, tuple(headers)), timeout_s, limit)

    def close(self) -> Deferred[None]:
        """Close the idle connections; fires when they are gone."""
        if self._pool is None:
            done: Deferred[None] = Deferred()
            done.callback(None)
            return done
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    async def _call(self, call: _Call, timeout_s: float, limit: int) -> ControlAnswer:
        target = parse_target(call.url)
        asking = Deferred.fromCoroutine(self._ask_in_turn(call, target, limit))
        answer = deadline(asking, timeout_s, self._reactor)
        return await answer.addErrback(_explain, target)

    async def _ask_in_turn(self, call: _Call, target: Target, limit: int) -> ControlAnswer:
        """Ask when a connection is free, or after a moment anyway.

        So a burst of calls makes few connections, and no call waits for slow ones.
        """
        turns = self._turns.setdefault(target.origin, DeferredSemaphore(IDLE_MAX))
        try:
            await deadline(turns.acquire(), PATIENCE_S, self._reactor)
        except defer.TimeoutError:
            return await self._ask(call, target, limit)
        try:
            return await self._ask(call, target, limit)
        finally:
            turns.release()

    async def _ask(self, call: _Call, target: Target, limit: int) -> ControlAnswer:
        response: IResponse = await self._client.request(
            call.method,
            _WireURL.from_text(target.url),
            headers=_to_headers(call.headers),
            data=call.body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        chunks: list[bytes] = []
        room = limit

        def take(data: bytes) -> None:
            nonlocal room
            room -= len(data)
            if room < 0:
                raise TrackerError(f"an answer of more than {limit} bytes")
            chunks.append(data)

        sink = BodySink(take, clock=self._reactor)
        response.deliverBody(sink)
        await sink.done
        return ControlAnswer(response.code, b"".join(chunks))


def make_client(reactor: Any, trust: IPolicyForHTTPS, *, connect_s: float = 5.0) -> ControlClient:
    """Make a client with a pool of its own.

    :param trust: usually a :class:`~dragonfly.net.tls.PinnedPolicy`.
    :param connect_s: seconds for each address that is tried.
    """
    pool = quiet_pool(reactor, persistent=True)
    pool.maxPersistentPerHost = IDLE_MAX
    pool.cachedConnectionTimeout = 30
    # A call that died with its connection may have been carried out: the caller
    # decides about repeating it.
    pool.retryAutomatically = False
    endpoints = _Endpoints(reactor, trust, connect_s)
    agent = Agent.usingEndpointFactory(reactor, endpoints, pool)
    return ControlClient(agent, reactor, pool)


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Where supernodes are: directly, by any name."""

    def __init__(self, reactor: Any, trust: IPolicyForHTTPS, connect_s: float) -> None:
        self._reactor = reactor
        self._trust = trust
        self._connect_s = connect_s

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        where = HostEndpoint(self._reactor, host, uri.port, self._connect_s)
        if uri.scheme != b"https":
            return where
        return wrapClientTLS(self._trust.creatorForNetloc(uri.host, uri.port), where)


def _to_headers(pairs: Iterable[tuple[str, str]]) -> Headers:
    headers = Headers()
    for name, value in pairs:
        headers.addRawHeader(name, value)
    return headers


def _explain(failure: Failure, target: Target) -> ControlAnswer:
    """Turn whatever kept a call from being answered into an error of ours."""
    failure.trap(Exception)
    failed = innermost(failure)
    if failure.check(CancelledError):
        failure.raiseException()
    if isinstance(failed, TrustError):
        raise failed
    if isinstance(failed, TrackerError):
        raise TrackerError(f"supernode {target.netloc}: {failed}") from None
    what = str(failed) if isinstance(failed, OriginTruncated) else cause(failure)
    kind = TrackerLost if isinstance(failed, _LOST) else TrackerUnreachable
    raise kind(f"supernode {target.netloc}: {what}") from None
