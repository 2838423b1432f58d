"""Straight on: a request goes to the registry and its answer comes back, both streamed."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import CancelledError, Deferred

from dragonfly.daemon.http.hops import expects_continue, upstream_headers
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.straight.links import with_links_back
from dragonfly.daemon.straight.relay import Relay
from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import DragonflyError
from dragonfly.net.throttle import Throttle

__all__ = ["Passthrough"]


class Passthrough:
    """Answers requests as the registry does.

    :param via: the name that this process goes by in ``Via``; see
        :func:`~dragonfly.daemon.http.hops.came_through`.
    :param limit: what the registry sends keeps to it; each request has the same part.
    """

    def __init__(self, upstream: Upstream, *, via: bytes, limit: Throttle | None = None) -> None:
        self._upstream = upstream
        self._limit = limit
        self._via = via

    async def answer(self, responder: Responder, route: Route, note: Note) -> None:
        """Forward one request; returns when it was answered, cut, or the client is gone.

        Redirects are answers as any other: the client follows them, those to the same registry
        through us.

        :raises OriginError: there is no answer; nothing was started.
        :raises ConfigError: the file with the registry's authorities cannot be used.

        What the front says of a request's body that will never come is raised as it is.
        Cancelling cuts both connections.
        """
        note.route = "direct"
        forwarding = _Forwarding(responder, route, note, self._limit)
        responder.on_gone(forwarding.gone)
        try:
            await forwarding.run(Deferred.fromCoroutine(self._ask(responder, route)))
        finally:
            note.status, note.sent = responder.status, responder.sent

    async def _ask(self, responder: Responder, route: Route) -> Exchange:
        registry, head, body = route.registry, route.head, responder.body
        headers = upstream_headers(
            head, netloc=registry.netloc.encode("ascii"), length=body.length, via=self._via
        )
        return await self._upstream.ask(
            registry,
            head.method,
            head.target,
            headers,
            body,
            expects=expects_continue(head),
        )


class _Forwarding:
    """One request, and what has to stop when its client is gone."""

    def __init__(
        self, responder: Responder, route: Route, note: Note, limit: Throttle | None
    ) -> None:
        self._flows = () if limit is None else (limit.flow(self),)
        self._responder = responder
        self._route = route
        self._note = note
        self._gone = False
        self._asking: Deferred[Exchange] | None = None
        self._relay: Relay | None = None

    def gone(self) -> None:
        self._gone = True
        if self._relay is not None:
            self._relay.gone()
        elif self._asking is not None:
            self._asking.cancel()

    async def run(self, asking: Deferred[Exchange]) -> None:
        self._asking = asking
        if self._gone:
            asking.cancel()
        try:
            exchange = await asking
        except (CancelledError, DragonflyError):
            if not self._gone:
                raise
            self._note.ending = "gone"
            return
        rewrite = partial(with_links_back, route=self._route)
        self._relay = Relay(
            exchange, self._responder, self._note, flows=self._flows, rewrite=rewrite
        )
        self._relay.start()
        await self._relay.done
