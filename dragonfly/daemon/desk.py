"""Where requests come in from the front: who answers, and what is remembered of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.front.answering import answer_in_text, status_of
from dragonfly.daemon.http.hops import came_through
from dragonfly.daemon.http.messages import RequestHead, Responder, find
from dragonfly.daemon.log.note import DOCTOR, Note
from dragonfly.daemon.routing.misrouted import Misrouted
from dragonfly.daemon.routing.route import Route
from dragonfly.daemon.routing.router import Router
from dragonfly.daemon.straight.logindesk import LoginDesk
from dragonfly.daemon.straight.logins import with_credentials
from dragonfly.errors import DragonflyError
from dragonfly.net.urls import redact

__all__ = ["Answering", "Desk"]

# Of URLs inside of paths, where one slash may stand for two, and of registries named by the path.
_USERINFO = re.compile(r"(https?(?::|%3a)/+|^/v2/)[^/]*@", re.IGNORECASE)


class Answering(Protocol):
    """Who answers one kind of requests."""

    async def answer(self, responder: Responder, route: Route, note: Note) -> None:
        """Finish or abort the answer, or raise before it began."""


class Desk:
    """Gives each request to who answers it: the ``Answer`` of a front.

    :param router: finds where it goes.
    :param blobs: answers what goes through the swarm.
    :param passthrough: answers everything else,
    :param logins: but for the logins that it takes.
    :param via: the name that this process goes by in ``Via``.
    :param log: is told of each request when it is over.
    """

    def __init__(
        self,
        router: Router,
        *,
        blobs: Answering,
        passthrough: Answering,
        logins: LoginDesk | None = None,
        via: bytes,
        log: Callable[[Note], object],
        clock: IReactorTime,
    ) -> None:
        self._router = router
        self._blobs = blobs
        self._passthrough = passthrough
        self._logins = logins
        self._via = via
        self._log = log
        self._clock = clock

    async def answer(self, responder: Responder) -> None:
        """Answer one request, and log it whatever becomes of it.

        Errors of ours are answered here where nothing was sent yet; after that, and for
        everything else, they are raised: the front knows what to do.
        """
        began, note = self._clock.seconds(), _note(responder.head)
        responder.on_gone(lambda: _gone(note))
        try:
            await self._answer(responder, note)
        except (DragonflyError, CancelledError) as error:
            if not _apologise(responder, note, error):
                raise
        except Exception:
            note.because("an error of dfdaemon itself, see its log")
            note.ending, note.status = "aborted", responder.status or 500
            raise
        finally:
            note.status = responder.status or note.status
            note.sent = responder.sent
            note.seconds = self._clock.seconds() - began
            self._log(note)

    async def _answer(self, responder: Responder, note: Note) -> None:
        try:
            await self._answer_routed(responder, note)
        except Misrouted as refusal:
            note.because(str(refusal))
            answer_in_text(responder, refusal.status, str(refusal))

    async def _answer_routed(self, responder: Responder, note: Note) -> None:
        head = responder.head
        if came_through(head.headers, self._via):
            text = "a loop: this request came through here before; registry or proxy is us"
            raise Misrouted(508, text)
        if self._logins is not None and self._logins.takes(head):
            await self._logins.answer(responder, note)
            return
        route = self._router.route(head)
        asking = with_credentials(route.head.headers, route.registry.place)
        route = attrs.evolve(route, head=attrs.evolve(route.head, headers=asking))
        note.registry, note.mode = str(route.registry), route.mode.value
        who = self._blobs if route.swarm else self._passthrough
        await who.answer(responder, route, note)


def _note(head: RequestHead) -> Note:
    target = redact(head.target.decode("latin-1")).partition("?")[0]
    return Note(
        method=head.method.decode("latin-1"),
        target=_USERINFO.sub(r"\1", target),
        client=head.client,
        trial=find(head.headers, b"user-agent") == DOCTOR.encode(),
    )


def _gone(note: Note) -> None:
    note.ending = "gone"


def _apologise(responder: Responder, note: Note, error: DragonflyError | CancelledError) -> bool:
    """Say what went wrong, if the client can still be told."""
    note.then(str(error) or "the request was given up")
    if responder.over:
        return True
    if responder.status or isinstance(error, CancelledError):
        note.ending = "aborted"
        return False
    answer_in_text(responder, status_of(error), str(error))
    return True
