"""Asking origins whether a caller may have a content, and for how long a yes counts.

Whoever reads a blob in parts asks for it by the hundred, 50 kB each: a round trip to the registry,
and one more to the storage that it redirects to, for each of them would take longer than the
part. The bytes of a blob that is named by its digest cannot change, only who may have it, so there
a yes counts for the next parts to the same caller. Everything else is asked for each time.
"""

from __future__ import annotations

from dragonfly.daemon.blobs.acquaintances import Acquaintances
from dragonfly.daemon.blobs.admissions import Admissions, question
from dragonfly.daemon.blobs.headers import via_headers
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.http.messages import find_all
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import ConfigError, OriginError
from dragonfly.net.reply import OriginReply

__all__ = ["Checks"]


class Checks:
    """The checks of one dfdaemon.

    What is named by its URL is asked for by a GET as long as its origin gave nothing yet to who
    sends these credentials: some servers say yes to a HEAD of everybody, and the 401 that a
    client logs in by would come too late.  Registries answer both alike, and a GET has those
    that are caches fetch the blob, of which the swarm is to be the first to ask.

    :param via: the name that this process goes by in ``Via``: a check that comes around is a
        loop. The swarm does not get it, since there all hosts must ask for the same.
    """

    def __init__(self, admissions: Admissions, *, via: bytes) -> None:
        self._admissions = admissions
        self._acquaintances = Acquaintances()
        self._via = via

    async def ask(self, source: Source, route: Route) -> OriginReply:
        """The origin's yes to this caller: of now, or for a part of a moment ago.

        Cancelling closes the connection.

        :raises OriginError: anything but a yes.
        :raises ConfigError: the URL is malformed, or a file of authorities cannot be used.
        """
        get = route.head.method == b"GET"
        if get and find_all(route.head.headers, b"range"):
            known = self._admissions.find(self._question(source, route))
            if known is not None:
                return known
        by_get = get and source.digest is None
        if by_get and self._acquaintances.know(route.registry, source.name.text, source.headers):
            by_get = False
        headers = self._headers(source, route)
        try:
            # What is refused here is asked for once more, straight on: no need to ask twice.
            reply = await source.client.probe(source.url, headers, brief=True, by_get=by_get)
        except (OriginError, ConfigError):
            self.doubt(source, route)
            raise
        if by_get:
            self._acquaintances.add(route.registry, source.name.text, source.headers)
        return reply

    def believe(self, source: Source, route: Route) -> None:
        """The origin's answer is good enough to give the content out: do not ask again soon."""
        if source.digest is not None and source.reply is not None:
            self._admissions.keep(self._question(source, route), source.reply)

    def doubt(self, source: Source, route: Route) -> None:
        """What was to be had could not be had after all: ask the next time."""
        self._admissions.drop(self._question(source, route))
        self._acquaintances.drop(route.registry, source.name.text, source.headers)

    def _question(self, source: Source, route: Route) -> bytes:
        return question(route.registry, source.url, self._headers(source, route))

    def _headers(self, source: Source, route: Route) -> tuple[tuple[str, str], ...]:
        return (*source.headers, *via_headers(route.head.headers, self._via))
