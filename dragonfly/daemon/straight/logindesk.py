"""Answers engines that log in at registries which only the path names; see ``logins``."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.http.messages import RequestHead, Responder, find
from dragonfly.daemon.log.note import Note
from dragonfly.daemon.routing.registry import Registry
from dragonfly.daemon.routing.route import Mode, Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.straight.logins import (
    TOKEN_PATH,
    Challenge,
    asks_how,
    challenge_of,
    local_token,
    our_challenge,
    scope_of,
    token_target,
)
from dragonfly.daemon.straight.namecheck import StraightOn
from dragonfly.daemon.upstream.exchange import Exchange
from dragonfly.daemon.upstream.upstream import Upstream
from dragonfly.errors import OriginError
from dragonfly.store.newest import Newest

__all__ = ["CHALLENGES_MAX", "KEEP_S", "LoginDesk"]

KEEP_S = 300.0
"""How registries want to be logged in at changes when they are set up anew."""

CHALLENGES_MAX = 256
"""Registries whose way of logging in is remembered; one engine pulls from a few."""

_BODY = b'{"errors":[{"code":"UNAUTHORIZED","message":"a token is needed for each repository"}]}'
_OK = 200
_UNAUTHORIZED = 401


class LoginDesk:
    """Sends such engines to itself for tokens, and gets these from the registry that is meant.

    :param straight_on: asks a registry's realm in the place of the client.
    """

    def __init__(
        self, router: Router, upstream: Upstream, *, straight_on: StraightOn, clock: IReactorTime
    ) -> None:
        self._router = router
        self._upstream = upstream
        self._straight_on = straight_on
        self._clock = clock
        self._known: Newest[Registry, tuple[float, Challenge]] = Newest(CHALLENGES_MAX)

    def takes(self, head: RequestHead) -> bool:
        """Whether this is a request for it."""
        if head.tunnel:
            return False
        return asks_how(head) or head.target.partition(b"?")[0] == TOKEN_PATH

    async def answer(self, responder: Responder, note: Note) -> None:
        """Answer one request.

        :raises OriginError: the registry, or its realm, cannot be asked.
        :raises Misrouted: the repository is at no registry that may be asked.
        """
        if asks_how(responder.head):
            _give(responder, _UNAUTHORIZED, _BODY, *our_challenge(responder.head))
            return
        repository, actions = scope_of(responder.head.target)
        registry, name = self._router.repository(repository, responder.head)
        head = self._known_to(registry, responder.head)
        note.registry = str(registry)
        challenge = await self._challenge(registry)
        if challenge.scheme != "bearer":
            _give(responder, _OK, local_token(challenge, head.headers, registry.place))
            return
        scope = f"repository:{name}:{actions}" if name else ""
        await self._straight_on(responder, self._to_realm(head, challenge, scope), note)

    def _known_to(self, registry: Registry, head: RequestHead) -> RequestHead:
        """The request without a password, if the operator did not name that registry: engines
        send the mirror's to whatever a path names."""
        if self._router.describes(registry):
            return head
        kept = (line for line in head.headers if line[0].lower() != b"authorization")
        return attrs.evolve(head, headers=tuple(kept))

    def _to_realm(self, head: RequestHead, challenge: Challenge, scope: str) -> Route:
        parts = urlsplit(challenge.realm)
        registry = self._router.origin(challenge.realm, head)
        target = token_target(parts.path, parts.query, head.target, scope, challenge.service)
        return Route(mode=Mode.MIRROR, registry=registry, head=attrs.evolve(head, target=target))

    async def _challenge(self, registry: Registry) -> Challenge:
        known = self._known.get(registry)
        if known is not None and self._clock.seconds() - known[0] < KEEP_S:
            return known[1]
        found = await self._ask(registry)
        self._known.put(registry, (self._clock.seconds(), found))
        return found

    async def _ask(self, registry: Registry) -> Challenge:
        """Ask how to log in.

        :raises OriginError: it does not say.
        """
        lines = ((b"Host", registry.netloc.encode("ascii")), (b"Accept", b"*/*"))
        exchange: Exchange = await self._upstream.ask(registry, b"GET", b"/v2/", lines)
        status, headers = exchange.status, exchange.headers
        exchange.let_go()
        if status == _OK:
            return Challenge()
        found = challenge_of(headers) if status == _UNAUTHORIZED else None
        if found is None:
            kind = find(headers, b"www-authenticate") is not None
            why = "a way of logging in that is not known" if kind else "no way of logging in"
            raise OriginError(f"{registry}: it answers {status} to /v2/ and tells {why}")
        return found


def _give(responder: Responder, status: int, body: bytes, *lines: tuple[bytes, bytes]) -> None:
    headers = ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body)))
    responder.start(status, (*headers, *lines))
    responder.write(body)
    responder.finish()
