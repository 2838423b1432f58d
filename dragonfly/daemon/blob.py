"""A blob: asked for at the registry and in the swarm at once, and streamed from there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dragonfly.config import Node
from dragonfly.daemon.delivery import Delivery
from dragonfly.daemon.headers import (
    BlobAnswer,
    asked_headers,
    blob_answer,
    conditional,
    unsatisfiable,
    via_headers,
    wanted_range,
)
from dragonfly.daemon.http import Responder
from dragonfly.daemon.note import Note
from dragonfly.daemon.outlet import Outlet
from dragonfly.daemon.registry import Registry
from dragonfly.daemon.source import BlobSource
from dragonfly.daemon.transferring import Transferring
from dragonfly.daemon.vigil import HungUp, Vigil
from dragonfly.errors import ConfigError, DragonflyError, NoSources, OriginError, TaskError
from dragonfly.net.origin import OriginClient
from dragonfly.net.ranges import ByteRange, Unsatisfiable
from dragonfly.net.throttle import Throttle
from dragonfly.net.trust import Trust
from dragonfly.peer.request import FetchRequest
from dragonfly.peer.ways import Reason
from dragonfly.task.identity import Name, name_of
from dragonfly.task.layout import Layout

__all__ = ["DARK_S", "LENGTH_S", "BlobSettings", "Blobs", "StraightOn"]

LENGTH_S = 2.0
"""A registry that does not tell a length may be one of a few whose answer to HEAD lacks it; the
swarm may know it. Longer than that no client should wait for the head of an answer."""

DARK_S = 20.0
"""When no supernode answered, blobs go straight on for so long: finding out for each blob of an
image that a dead host does not answer would cost seconds each time."""

StraightOn = Callable[[Responder, Registry, Note], Awaitable[None]]
"""Answers a request with what the registry answers."""


@attrs.frozen(kw_only=True)
class BlobSettings:
    """How blobs are fetched. Rates are bytes per second.

    :ivar nodes: the supernodes; without any everything goes straight on.
    """

    nodes: tuple[Node, ...] = ()
    local_limit: int | None = None
    total_limit: int | None = None


class Blobs:
    """Answers GETs of blobs.

    :param fetch: begins a download in the peer.
    :param client: gives the client that asks origins with that trust.
    :param straight_on: answers what the swarm cannot.
    :param holds: whether the peer has that in work, so that no supernode is needed for it.
    :param limit: what is read from the registry behind the peer's back keeps to it.
    :param via: the name that this process goes by in ``Via``: a check that comes around is a
        loop. The swarm does not get it, since there all hosts must ask for the same.
    """

    def __init__(
        self,
        settings: BlobSettings,
        *,
        fetch: Callable[[FetchRequest], Transferring],
        client: Callable[[Trust], OriginClient],
        straight_on: StraightOn,
        clock: IReactorTime,
        holds: Callable[[Name], bool] = lambda _: False,
        limit: Throttle | None = None,
        via: bytes,
    ) -> None:
        self._settings = settings
        self._via = via
        self._fetch = fetch
        self._client = client
        self._straight_on = straight_on
        self._clock = clock
        self._holds = holds
        self._limit = limit
        self._dark_until = clock.seconds()

    def limit(self, rate: int | None) -> None:
        """Name ``rate`` as the limit of all downloads together with each blob from now on."""
        self._settings = attrs.evolve(self._settings, total_limit=rate)

    async def answer(self, responder: Responder, registry: Registry, note: Note) -> None:
        """Answer one request: through the swarm, or else straight on, with the reason noted.

        Cancelling it gives the download up.
        """
        try:
            through = await self._through_swarm(responder, registry, note)
        except HungUp:
            note.ending = "gone"
            return
        if not through:
            note.route = "direct"
            await self._straight_on(responder, registry, note)

    async def _through_swarm(self, responder: Responder, registry: Registry, note: Note) -> bool:
        """Answer, or say ``False`` before anything of an answer went out."""
        try:
            source = self._source(responder, registry)
            download = self._fetch(self._request(source, registry))
        except (DragonflyError, _Unfit) as error:
            note.because(str(error))
            return False
        note.route = "swarm"
        vigil = Vigil(responder, self._clock)
        try:
            return await self._checked(download, source, vigil, responder, note)
        finally:
            self._look_for_supernode(download.reason == Reason.NO_SUPERNODE)
            download.cancel()

    def _look_for_supernode(self, dark: bool) -> None:
        """If none answered, look again a little later."""
        if dark:
            self._dark_until = self._clock.seconds() + DARK_S

    # -- what is asked for -----------------------------------------------------------------

    def _source(self, responder: Responder, registry: Registry) -> BlobSource:
        """The blob at its registry.

        :raises _Unfit: the swarm is of no use for this request.
        :raises ConfigError: its URL is malformed, or the registry's authorities are.
        """
        head = responder.head
        if not self._settings.nodes:
            raise _Unfit("no supernode is configured")
        if conditional(head.headers) or responder.body.length != 0:
            raise _Unfit("a conditional request, or one with a body")
        try:
            headers = asked_headers(head.headers)
            url = registry.url(head.target.decode("ascii").encode())
        except UnicodeError:
            raise _Unfit("the request is not text") from None
        name = name_of(url)
        if name.digest is None:
            raise _Unfit("the path names no whole digest")
        if self._clock.seconds() < self._dark_until and not self._holds(name):
            raise _Unfit(f"no supernode answered in the last {DARK_S:g} s")
        client = self._client(registry.trust)
        return BlobSource(client=client, url=url, headers=headers, digest=name.digest)

    def _request(self, source: BlobSource, registry: Registry) -> FetchRequest:
        return FetchRequest(
            url=source.url,
            headers=source.headers,
            digest=source.digest,
            nodes=self._settings.nodes,
            local_limit=self._settings.local_limit,
            total_limit=self._settings.total_limit,
            cacerts=registry.trust.cacerts,
            insecure=registry.trust.insecure,
            client_cert=registry.trust.client_cert,
            client_key=registry.trust.client_key,
            callsystem="dfdaemon",
            admitted=True,
        )

    # -- the check, and what follows from it --------------------------------------------------

    async def _checked(
        self,
        download: Transferring,
        source: BlobSource,
        vigil: Vigil,
        responder: Responder,
        note: Note,
    ) -> bool:
        """Ask the registry whether this caller may have it, while the download begins."""
        try:
            headers = (*source.headers, *via_headers(responder.head.headers, self._via))
            # What is refused here is asked for once more, straight on: no need to ask twice.
            asking = source.client.probe(source.url, headers, brief=True)
            reply = await vigil.wait(Deferred.fromCoroutine(asking))
        except (OriginError, ConfigError) as error:
            note.because(f"the registry's check: {error}")
            return False
        source.length = reply.length
        if reply.length is None:
            if reply.header("docker-content-digest") != str(source.digest):
                # It may be a page to log in at, made on the fly for those who may not have it.
                note.because("the registry's check: it tells neither a length nor the digest")
                return False
            source.length = await self._length(download, vigil)
        if not self._fits(source, download, note):
            return False
        try:
            wanted = wanted_range(responder.head.headers, reply, source.length)
        except Unsatisfiable:
            _start(responder, unsatisfiable(reply, source.length or 0))
            responder.finish()
            return True
        _start(responder, blob_answer(reply, source.length, wanted))
        outlet = self._outlet(responder, source, wanted)
        delivery = Delivery(
            download,
            source,
            outlet,
            vigil=vigil,
            responder=responder,
            note=note,
            clock=self._clock,
            flows=(self._limit.flow(vigil),) if self._limit is not None else (),
        )
        try:
            await delivery.run()
        finally:
            self._look_for_supernode(delivery.unanswered)
        return True

    async def _length(self, download: Transferring, vigil: Vigil) -> int | None:
        """What the swarm says, where the registry does not; not for long."""
        until = self._clock.seconds() + LENGTH_S
        waiting: Deferred[None] = Deferred()

        def enough() -> str:
            waited = self._clock.seconds() >= until
            return "enough" if waited or download.ended or _layout_of(download) else ""

        if not enough():
            with suppress(NoSources):
                await vigil.wait(waiting, enough)
        layout = _layout_of(download)
        return layout.length if layout is not None else None

    def _fits(self, source: BlobSource, download: Transferring, note: Note) -> bool:
        """Whether what is known by now can become an answer; the registry's own is better than
        one that has to be cut off."""
        layout = _layout_of(download)
        known = layout.length if layout is not None else None
        if None not in (known, source.length) and known != source.length:
            note.because(f"{known} bytes are known here, the registry announces {source.length}")
            return False
        if source.length == 0:
            note.because("the registry announces no bytes")
            return False
        if download.error is not None:
            note.because(str(download.error))
            return False
        return True

    def _outlet(self, responder: Responder, source: BlobSource, wanted: ByteRange | None) -> Outlet:
        length = source.length
        begin, end = (wanted.begin, wanted.end) if wanted is not None else (0, length)
        whole = begin == 0 and end == length
        return Outlet(responder, self._clock, begin=begin, end=end, whole=whole)


class _Unfit(Exception):
    """Not for the swarm; the text says why."""


def _layout_of(download: Transferring) -> Layout | None:
    try:
        return download.layout
    except TaskError:
        return None


def _start(responder: Responder, answer: BlobAnswer) -> None:
    responder.start(answer.status, answer.headers)
