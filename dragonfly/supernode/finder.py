"""From a wish to the content: what the origin says of this caller, which version it has now."""

from __future__ import annotations

from typing import Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from dragonfly.errors import OriginError, OriginUndecided, OriginUnreachable
from dragonfly.net.reply import strong
from dragonfly.store.lately import Lately
from dragonfly.supernode.admission import Admission, Admitted
from dragonfly.supernode.cdn import Wanted
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.registration import Wish
from dragonfly.supernode.versions import Versions

__all__ = ["OPENED_MAX", "OPENED_S", "Finder", "Found", "Library"]


OPENED_S = 300.0
"""So long after a content was asked for to be fetched, questions about it are of one byte."""

OPENED_MAX = 4096
"""Names of which that is remembered."""

GATEWAY = frozenset({502, 503, 504})
"""What a proxy in front of an origin says when that does not answer: no word of its own."""


class Library(Protocol):
    """Where contents are: :class:`dragonfly.supernode.cdn.Cdn`."""

    def get(self, task: bytes) -> Content | None: ...  # noqa: D102

    def contents(self) -> tuple[Content, ...]: ...  # noqa: D102

    def latest(self, name: bytes) -> tuple[bytes, bool] | None: ...  # noqa: D102

    async def obtain(self, wanted: Wanted) -> Content: ...  # noqa: D102

    async def whole(self, content: Content, limit: int) -> bytes | None: ...  # noqa: D102

    async def recall(self, task: bytes) -> Content | None: ...  # noqa: D102

    def forget(self, content: Content) -> bool: ...  # noqa: D102


@attrs.frozen
class Found:
    """A content, and the origin's yes; ``None`` where the origin was not to be reached."""

    content: Content
    admitted: Admitted | None


class Finder:
    """Finds contents for callers, by asking their origins."""

    def __init__(self, admission: Admission, library: Library, clock: IReactorTime) -> None:
        self._admission = admission
        self._library = library
        self._clock = clock
        self._versions = Versions(self._under_way)
        self._opened: Lately[bytes] = Lately(clock.seconds, OPENED_S, OPENED_MAX)

    async def find(self, wish: Wish, *, identifier: str, loopback: bool) -> Found | None:
        """Give the content as it is at the origin now; ``None``: it is not to be shared.

        Where the origin does not answer, what was fetched earlier is given out if it was
        public then: nobody can be asked about anything else. Not to who has credentials or
        parameters of his own, which may be what silences it.

        :param loopback: the caller is on this host, and may be given what only that serves.
        :raises OriginError: the origin refuses this caller, or does not answer.
        """
        name = wish.name
        access = self._admission.access(wish.url, wish.headers, loopback=loopback)
        immutable = name.digest is not None
        try:
            admitted = await self._admission.check(
                access, name.id, immutable=immutable, opening=self._is_new(name.id)
            )
        except OriginError as error:
            silent = isinstance(error, OriginUnreachable) or error.status in GATEWAY
            if wish.keyed or isinstance(error, OriginUndecided) or not silent:
                raise
            kept = await self._kept(name.id)
            if kept is None:
                raise
            return Found(kept, None)
        version_name = name
        if wish.keyed:
            admitted = _only_this_way(admitted)
            version_name = attrs.evolve(name, digest=None)
        task = self._versions.task(version_name, admitted, self._clock.seconds())
        if task is None:
            return None
        wanted = Wanted(
            task=task, name=name, admitted=admitted, digest=name.digest, identifier=identifier
        )
        content = await self._library.obtain(wanted)
        lengths = {content.length, admitted.reply.length} - {None}
        if immutable and len(lengths) > 1:
            return None  # the origin said yes to something else than this
        return Found(content, admitted)

    def _is_new(self, name: bytes) -> bool:
        """Whether nobody asked for it lately, and nothing of it is here: said once."""
        if name in self._opened or self._library.latest(name) is not None:
            return False
        self._opened.add(name)
        return all(content.name != name for content in self._library.contents())

    async def _kept(self, name: bytes) -> Content | None:
        task, public = self._library.latest(name) or (b"", False)
        return await self._library.recall(task) if public else None

    def _under_way(self, task: bytes) -> bool:
        content = self._library.get(task)
        return content is not None and content.state is State.FETCHING


def _only_this_way(admitted: Admitted) -> Admitted:
    """A yes to a URL with parameters that are not in the name.

    They may be what admits this caller, or what makes the origin show him something else
    that everybody may see; so only the origin's validators tell that it is the same content.
    """
    reply = admitted.reply
    certain = strong(reply.etag) or (reply.last_modified and reply.length is not None)
    audience = admitted.audience if certain else admitted.access.key.hex()
    return attrs.evolve(admitted, public=False, audience=audience)
