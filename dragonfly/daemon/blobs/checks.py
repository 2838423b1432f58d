"""Asking origins whether a caller may have a content, and for how long a yes counts.

Whoever reads a blob in parts asks for it by the hundred, 50 kB each: a round trip to the registry,
and one more to the storage that it redirects to, for each of them would take longer than the
part. The bytes of a blob that is named by its digest cannot change, only who may have it, so there
a yes counts for the next parts to the same caller. Everything else is asked for each time.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from dragonfly.daemon.blobs.acquaintances import Acquaintances
from dragonfly.daemon.blobs.admissions import Admissions, question
from dragonfly.daemon.blobs.headers import via_headers
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.http.messages import find_all
from dragonfly.daemon.routing.route import Route
from dragonfly.errors import ConfigError, OriginError
from dragonfly.net.reply import OriginReply

__all__ = ["Checks", "Plan"]


@attrs.frozen(kw_only=True)
class Plan:
    """How a check is made.

    :ivar certain: its yes is one to this caller's GET, so that what is here may be given to him.
    :ivar by_get: it is a GET of one byte.
    :ivar known: the answer, where that is no question any more.
    """

    certain: bool
    by_get: bool = False
    known: OriginReply | None = None


class Checks:
    """The checks of one dfdaemon.

    Some servers say yes to a HEAD of everybody: it counts where the origin gave that very URL
    to who sends these credentials on a GET a moment ago, and told the same of it. Else what is
    named by its URL is asked for by a GET of one byte, and so is a blob that is on this host. Of
    other blobs the HEAD may do for the time being, since they come from where their bytes are asked
    for by a GET in any case; a GET has registries that are caches fetch the blob, of which the
    swarm is to be the first to ask.

    :param via: the name that this process goes by in ``Via``: a check that comes around is a
        loop. The swarm does not get it, since there all hosts must ask for the same.
    :param now: seconds; it never goes back.
    """

    def __init__(self, now: Callable[[], float], *, via: bytes) -> None:
        self._admissions = Admissions(now)
        self._acquaintances = Acquaintances(now)
        self._via = via

    def plan(self, source: Source, route: Route, *, held: bool) -> Plan:
        """How to ask for that, now.

        :param held: its bytes are on this host, so that nobody else is asked for them.
        """
        if route.head.method != b"GET":
            return Plan(certain=True)
        if find_all(route.head.headers, b"range"):
            asked = self._question(source, route)
            known = self._admissions.find(asked)
            if known is not None and known.length is not None:
                return Plan(certain=True, known=known)
            self._admissions.drop(asked)  # no part can be cut out of what has no length
        acquaintances, registry = self._acquaintances, route.registry
        if acquaintances.know(registry, source.url, source.headers):
            return Plan(certain=True)
        by_get = source.digest is None or held or acquaintances.suspects(registry)
        return Plan(certain=by_get, by_get=by_get)

    async def ask(self, source: Source, route: Route, plan: Plan) -> OriginReply:
        """The origin's yes to this caller: of now, or for a part of a moment ago.

        Cancelling closes the connection.

        :raises OriginError: anything but a yes.
        :raises ConfigError: the URL is malformed, or a file of authorities cannot be used.
        """
        if plan.known is not None:
            return plan.known
        headers, by_get = self._headers(source, route), plan.by_get
        try:
            # What is refused here is asked for once more, straight on: no need to ask twice.
            reply = await source.client.probe(source.url, headers, brief=True, by_get=by_get)
            if not by_get and self._tells_other(source, route, reply):
                by_get = True
                reply = await source.client.probe(source.url, headers, brief=True, by_get=True)
        except (OriginError, ConfigError):
            self.doubt(source, route)
            raise
        if by_get:
            self.given(source, route, reply)
        return reply

    def _tells_other(self, source: Source, route: Route, reply: OriginReply) -> bool:
        """Whether a HEAD does not tell what a GET would.

        Who has had a part takes the next answer for one, too: that must not depend on whether
        the check was a HEAD.
        """
        if route.head.method != b"GET":
            return False
        if reply.length is None and find_all(route.head.headers, b"range"):
            return True
        acquaintances, who = self._acquaintances, (route.registry, source.url, source.headers)
        return acquaintances.know(*who) and not acquaintances.heard(*who, reply)

    def given(self, source: Source, route: Route, reply: OriginReply) -> None:
        """The origin gave a byte of it to this caller, and told that of it."""
        self._acquaintances.add(route.registry, source.url, source.headers, reply)

    def believe(self, source: Source, route: Route) -> None:
        """The origin's answer is good enough to give the content out: do not ask again soon."""
        reply = source.reply
        if source.digest is None or reply is None:
            return
        if reply.length is None:  # the swarm may know it
            reply = attrs.evolve(reply, length=source.length)
        self._admissions.keep(self._question(source, route), reply)

    def doubt(self, source: Source, route: Route) -> None:
        """What was to be had could not be had after all: ask the next time."""
        self._admissions.drop(self._question(source, route))
        self._acquaintances.drop(route.registry, source.url, source.headers)

    def refused(self, source: Source, route: Route) -> None:
        """The origin refuses what it said yes to: that was a HEAD, and none is believed now."""
        self.doubt(source, route)
        self._acquaintances.suspect(route.registry)

    def _question(self, source: Source, route: Route) -> bytes:
        return question(route.registry, source.url, self._headers(source, route))

    def _headers(self, source: Source, route: Route) -> tuple[tuple[str, str], ...]:
        return (*source.headers, *via_headers(route.head.headers, self._via))
