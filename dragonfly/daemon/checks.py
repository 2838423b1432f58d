"""Asking origins whether a caller may have a content, before any of it is given out."""

from __future__ import annotations

from dragonfly.daemon.admissions import Admissions, question
from dragonfly.daemon.headers import via_headers
from dragonfly.daemon.route import Route
from dragonfly.daemon.source import Source
from dragonfly.errors import ConfigError, OriginError
from dragonfly.net.reply import OriginReply

__all__ = ["Checks"]


class Checks:
    """Asks, unless the same was answered with a yes a moment ago.

    A HEAD is always passed on: who is about to push a blob asks with it whether the registry
    has that still.

    :param via: the name that this process goes by in ``Via``: a check that comes around is a
        loop. The swarm does not get it, since there all hosts must ask for the same.
    """

    def __init__(self, admissions: Admissions, *, via: bytes) -> None:
        self._admissions = admissions
        self._via = via

    async def ask(self, source: Source, route: Route, *, swarm: bool) -> OriginReply:
        """What the origin says to this caller. Cancelling closes the connection.

        :param swarm: the content may come from there; if not, the origin will be asked for it
            at once, and what it says now is better than what it said before.
        :raises OriginError: anything but a yes.
        :raises ConfigError: the URL is malformed, or a file of authorities cannot be used.
        """
        if swarm and route.head.method == b"GET":
            known = self._admissions.find(self._question(source, route))
            if known is not None:
                return known
        headers = self._headers(source, route)
        try:
            # What is refused here is asked for once more, straight on: no need to ask twice.
            return await source.client.probe(source.url, headers, brief=True)
        except (OriginError, ConfigError):
            self.doubt(source, route)
            raise

    def believe(self, source: Source, route: Route) -> None:
        """The origin's answer is good enough to give the content out: do not ask again soon."""
        if source.digest is not None and source.reply is not None:
            self._admissions.keep(self._question(source, route), source.reply)

    def doubt(self, source: Source, route: Route) -> None:
        """What was to be had could not be had after all: ask the next time."""
        self._admissions.drop(self._question(source, route))

    def _question(self, source: Source, route: Route) -> bytes:
        return question(route.registry, source.url, self._headers(source, route))

    def _headers(self, source: Source, route: Route) -> tuple[tuple[str, str], ...]:
        return (*source.headers, *via_headers(route.head.headers, self._via))
