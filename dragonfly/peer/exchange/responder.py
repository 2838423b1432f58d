"""Answers what the neighbours of one task ask for: pieces, digests, and what is refused."""

from __future__ import annotations

from dragonfly.errors import ErrorCode
from dragonfly.peer.connections.links import Link
from dragonfly.peer.content.content import Content
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.wire.constants import ANY_PIECE, RUNS_PER_ANSWER
from dragonfly.wire.events import (
    CancelReceived,
    GetDigestsReceived,
    RequestAnyReceived,
    RequestReceived,
)

__all__ = ["Responder"]


class Responder:
    """The answering side of one task's conversations.

    Requests for pieces wait until :meth:`serve`; everything else is answered at once.
    """

    def __init__(self, content: Content, uploader: Uploader) -> None:
        self._content = content
        self._uploader = uploader
        self._wanted: list[tuple[Link, RequestReceived]] = []

    def requested(self, link: Link, event: RequestReceived) -> None:
        """A piece, or a part of one, is asked for."""
        self._wanted.append((link, event))

    def requested_any(self, link: Link, _: RequestAnyReceived) -> None:
        """Only a seed chooses for others."""
        if link.peer.is_open:  # not if the same read brought its goodbye
            link.peer.session.reject(ANY_PIECE, 0, ErrorCode.NOT_ALLOWED)
            link.peer.flush()

    def cancelled(self, link: Link, event: CancelReceived) -> None:
        """A request is taken back."""
        name = (link, event.piece, event.begin)
        self._wanted = [w for w in self._wanted if (w[0], w[1].piece, w[1].begin) != name]
        self._uploader.cancel(link.peer, event.piece, event.begin)

    def digests_requested(self, link: Link, event: GetDigestsReceived) -> None:
        """Signed runs are asked for."""
        if not link.peer.writable or not link.peer.is_open:
            return  # it does not read what it has; it will ask again
        for raw in self._content.manifest.runs_from(event.first, RUNS_PER_ANSWER):
            link.peer.session.send_digests(raw)
        link.peer.flush()

    def serve(self) -> None:
        """Answer the requests that wait."""
        if self._uploader.slots.free < max(1, len(self._wanted)):
            self._uploader.collect()
        wanted, self._wanted = self._wanted, []
        for link, asked in wanted:
            if link.peer.is_open:
                self._answer(link, asked)

    def drop(self, link: Link) -> None:
        """It is closed, and with it go its requests and answers."""
        self._wanted = [each for each in self._wanted if each[0] is not link]
        self._uploader.drop(link.peer)

    def stop(self) -> None:
        """Leave unanswered what waits."""
        self._wanted.clear()

    def _answer(self, link: Link, asked: RequestReceived) -> None:
        """With what is here, verified; anything else is gone."""
        content, piece, begin = self._content, asked.piece, asked.begin
        if piece in content.have and begin + asked.length <= content.length_of(piece):
            self._uploader.serve(link.peer, content.file, piece, begin, asked.length)
        else:
            link.peer.session.reject(piece, begin, ErrorCode.GONE)
            link.peer.flush()
