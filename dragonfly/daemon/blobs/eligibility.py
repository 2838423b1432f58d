"""Which requests the swarm can answer in the origin's place, and for what content they ask."""

from __future__ import annotations

from collections.abc import Callable

from dragonfly.daemon.blobs.headers import asked_headers, conditional
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.http.hops import came_through
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.routing.route import Route
from dragonfly.net.origin import OriginClient
from dragonfly.net.originrequests import READER
from dragonfly.net.trust import Trust
from dragonfly.task.identity import name_of
from dragonfly.task.signedurls import signing_parameters

__all__ = ["Unfit", "source_of"]


class Unfit(Exception):
    """Not for the swarm; the text says why."""


def source_of(
    responder: Responder, route: Route, client: Callable[[Trust, bool], OriginClient]
) -> Source:
    """The content that is asked for, at its origin.

    :param client: gives the client that asks origins with that trust, on this machine's own
        loopback too or not.
    :raises Unfit: nothing but the origin's own answer will do for this request.
    :raises ConfigError: its URL is malformed, or the origin's authorities are.
    """
    head, wishes = route.head, route.wishes
    if conditional(head.headers) or responder.body.length != 0:
        raise Unfit("a conditional request, or one with a body")
    if came_through(head.headers, READER.encode()):
        raise Unfit("asked for on behalf of a swarm, which would wait for itself")
    try:
        headers = asked_headers(head.headers)
        url = route.registry.url(head.target.decode("ascii").encode())
    except UnicodeError:
        raise Unfit("the request is not text") from None
    filters = signing_parameters(url) if wishes.filters is None else wishes.filters
    return Source(
        client=client(route.registry.trust, route.registry.local),
        url=url,
        headers=headers,
        name=name_of(url, filters=filters, identifier=wishes.tag),
        filters=filters,
        identifier=wishes.tag,
    )
