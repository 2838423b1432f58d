"""Where requests come in from the front: who answers, and what is remembered of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from dragonfly.daemon.answering import answer_in_text, status_of
from dragonfly.daemon.hops import came_through
from dragonfly.daemon.http import RequestHead, Responder
from dragonfly.daemon.note import Note
from dragonfly.daemon.registry import Registry
from dragonfly.daemon.rules import Rules
from dragonfly.errors import DragonflyError

__all__ = ["Answering", "Desk"]


class Answering(Protocol):
    """Who answers one kind of requests."""

    async def answer(self, responder: Responder, registry: Registry, note: Note) -> None:
        """Finish or abort the answer, or raise before it began."""


class Desk:
    """Gives each request to who answers it: the ``Answer`` of a front.

    :param blobs: answers what the rules send through the swarm.
    :param passthrough: answers everything else.
    :param registry: chooses the registry of a request.
    :param via: the name that this process goes by in ``Via``.
    :param log: is told of each request when it is over.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        blobs: Answering,
        passthrough: Answering,
        registry: Callable[[RequestHead], Registry],
        via: bytes,
        log: Callable[[Note], object],
        clock: IReactorTime,
    ) -> None:
        self._rules = rules
        self._blobs = blobs
        self._passthrough = passthrough
        self._registry = registry
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
        head = responder.head
        refused = self._refusal(head)
        if refused is not None:
            status, text = refused
            note.because(text)
            answer_in_text(responder, status, text)
            return
        registry = self._registry(head)
        note.registry = str(registry)
        swarm = self._rules.through_swarm(head.method, head.target)
        await (self._blobs if swarm else self._passthrough).answer(responder, registry, note)

    def _refusal(self, head: RequestHead) -> tuple[int, str] | None:
        if came_through(head.headers, self._via):  # whatever it is: a tunnel to us has no end
            return 508, "a loop: this request came through here before; registry or proxy is us"
        if head.method == b"CONNECT":
            return 501, "CONNECT is not supported: this is a mirror of one registry"
        if head.target == b"*" and head.method == b"OPTIONS":
            return 501, "OPTIONS for the server as a whole is not supported"
        if not head.target.startswith(b"/"):
            return 400, "the request target must be a path: this is a mirror, not a proxy"
        return None


def _note(head: RequestHead) -> Note:
    return Note(
        method=head.method.decode("latin-1"),
        target=head.target.partition(b"?")[0].decode("latin-1"),
        client=head.client,
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
