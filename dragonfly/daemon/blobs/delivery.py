"""One body to one client: from the swarm as long as that works, then from the registry."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from dragonfly.daemon.blobs.continuation import Continuation
from dragonfly.daemon.blobs.detours import Detour
from dragonfly.daemon.blobs.hearing import Hearing
from dragonfly.daemon.blobs.outlet import Outlet
from dragonfly.daemon.blobs.parts import Part, Parts
from dragonfly.daemon.blobs.sentfront import SentFront
from dragonfly.daemon.blobs.shares import shares
from dragonfly.daemon.blobs.sieve import Sieve, grouped, wanted_bytes
from dragonfly.daemon.blobs.source import Source
from dragonfly.daemon.blobs.transferring import Transferring
from dragonfly.daemon.blobs.vigil import Vigil
from dragonfly.daemon.http.messages import Responder
from dragonfly.daemon.log.note import Note
from dragonfly.errors import (
    DigestMismatch,
    DragonflyError,
    NoSources,
    OriginChanged,
    OriginError,
    OriginRefused,
)
from dragonfly.net.fanout import OneShot
from dragonfly.net.throttle import Flow
from dragonfly.task.digest import Hasher

__all__ = ["CHECK_S", "Delivery"]

_REFUSALS = frozenset({401, 403, 404})

CHECK_S = 60.0
"""All bytes are there, and the digest of the whole is not compared yet: 100 GiB of hashing."""


class Delivery:
    """Brings the bytes of ``parts``; the head of the answer is out.

    The digest of a whole blob is checked by the download, which hashes behind the transfer on
    the disk pool. Only if the registry has to bring the rest, the front is read from disk
    and hashed once more, so that the digest of all that went out is known: that costs nothing
    as long as everything goes well, where hashing all that passes would cost half a second
    for each GiB a second time.

    :param download: ``None``: everything comes from the registry.
    :param detour: of small parts that nobody in the swarm has.
    :ivar unanswered: no supernode said anything in time.
    :ivar refused: the registry did not give it to this caller.
    :ivar unheard: small parts did not wait until one said anything; the download is the
        caller's to cancel.
    :ivar parted: fires when nothing is read any more of what the peer keeps.
    """

    _log = Logger()

    def __init__(
        self,
        download: Transferring | None,
        source: Source,
        parts: Parts,
        *,
        vigil: Vigil,
        responder: Responder,
        note: Note,
        clock: IReactorTime,
        detour: Detour,
        flows: Sequence[Flow] = (),
    ) -> None:
        self._download = download
        self._source = source
        self._parts = parts
        self._vigil = vigil
        self._responder = responder
        self._note = note
        self._clock = clock
        self._detour = detour
        self._flows = flows
        self._group = parts.parts[:1]
        self._outlet = self._outlet_of()
        self._hearing = Hearing(clock, note)
        self._front = SentFront()
        self.unanswered = False
        self.refused = False
        self.unheard = False
        self.parted: OneShot[None] = OneShot()

    async def run(self) -> None:
        """Bring all of it, and finish or abort the answer.

        :raises HungUp: the client hung up.
        """
        try:
            for group in grouped(self._parts.parts):
                await self._bring_group(group)
        except DragonflyError as error:
            self.refused = isinstance(error, OriginRefused) and error.status in _REFUSALS
            self._explain_cut(str(error))
            self._abort()
        except BaseException:
            self._abort()
            raise
        else:
            self._responder.write(self._parts.tail)
            self._responder.finish()
        finally:
            self._let_go()

    async def _bring_group(self, group: tuple[Part, ...]) -> None:
        self._group = group
        self._outlet = outlet = self._outlet_of()
        self._detour.begin(outlet.begin, outlet.end, whole=not self._is_part(outlet))
        outlet.open()
        try:
            await self._bring()
        finally:
            outlet.close()

    def _outlet_of(self) -> Outlet:
        """The way to the client: what can be compared with a digest is held back at its end."""
        group = self._group
        span = Part(group[0].begin, group[-1].end)
        plain = len(group) == 1 and not group[0].head
        whole = not self._is_part(span)
        return Outlet(
            self._responder if plain else Sieve(self._responder, group),
            self._clock,
            begin=span.begin,
            end=span.end,
            whole=whole and self._source.digest is not None,
        )

    async def _bring(self) -> None:
        if self._download is None:
            await self._from_registry()
            return
        try:
            try:
                await self._from_swarm(self._download)
            finally:
                self._count(self._download)
        except DragonflyError as error:
            if isinstance(error, DigestMismatch) and self._outlet.sent:
                raise  # what went out is wrong already
            if self._detour.taken:
                await self._by_detour(error)
                return
            self._fall_back(self._download, error)
            await self._from_registry()

    # -- from the swarm ----------------------------------------------------------------

    async def _from_swarm(self, download: Transferring) -> None:
        """Read the download to the end of the part, and wait for its verdict on a whole.

        One that begins again because its content changed is read again, if nothing of it
        went out yet.
        """
        while True:
            self._check_worth(download)
            await self._layout(download)
            self._check_version(download)
            self._check_length(download)
            self._check_worth(download)
            if self._outlet.whole:
                self._front.keep(download)
            reader = download.reader(self._outlet, self._outlet.begin, self._outlet.end)
            try:
                await self._vigil.wait(reader.done, self._late)
                break
            except OriginError:
                if download.ended or self._outlet.sent or self._late():
                    raise
                self._outlet.drop()
                await self._vigil.wait(deferLater(self._clock, 0))  # it is in the midst of it
        if self._outlet.whole:
            verdict = Deferred.fromCoroutine(download.verdict())
            await self._vigil.wait(verdict, self._late_verdict)
        self._check_length(download)
        self._outlet.release()

    def _check_version(self, download: Transferring) -> None:
        """Whether it is what the origin announced to this caller; where a digest is to be
        had, that tells.

        :raises OriginChanged: it is something else.
        """
        if self._source.digest is None and download.task != self._source.task:
            raise OriginChanged("the swarm has another version than the origin announced")

    def _check_length(self, download: Transferring) -> None:
        """It may be right, but of how many bytes?

        :raises DigestMismatch: others than were announced, so those that went out are wrong.
        """
        here, told = download.layout.length, self._source.length
        if None not in (here, told) and here != told:
            what = self._source.digest or "it"
            raise DigestMismatch(f"the registry announces {told} bytes of {what}, here are {here}")

    def _check_worth(self, download: Transferring) -> None:
        """Whether waiting for a small part makes sense.

        :raises NoSources: it will not be there in time.
        """
        pointless = self._detour.pointless(download, self._outlet)
        if pointless:
            raise NoSources(pointless)

    async def _layout(self, download: Transferring) -> None:
        """Wait until the download has something to read."""
        if not self._hearing.has_layout(download):
            await self._vigil.wait(self._hearing.layout(download), self._late)

    def _late(self) -> str:
        """Why the client should wait no longer; empty: it should."""
        outlet, waited_s = self._outlet, self._outlet.waited_s()
        limit_s = self._hearing.limit_s(outlet, part=self._is_part(outlet))
        if waited_s < limit_s:
            download = self._download
            return self._detour.late(download, outlet) if download is not None else ""
        self.unanswered = not self._hearing.known
        return f"nothing came for {limit_s:g} s after {outlet.taken - outlet.begin} bytes"

    def _is_part(self, piece: Part | Outlet) -> bool:
        """Several parts stay parts, also where all between the first and the last is read."""
        several = len(self._parts.parts) > 1
        return several or piece.begin > 0 or piece.end != self._source.length

    def _late_verdict(self) -> str:
        if self._outlet.waited_s() < CHECK_S:
            return ""
        return f"the digest was not checked in {CHECK_S:g} s"

    # -- from the registry -----------------------------------------------------------------

    def _fall_back(self, download: Transferring, error: DragonflyError) -> None:
        """What is left comes from the registry."""
        self._note.because(str(error))
        self._log.info("the rest of a blob from the registry: {error}", error=str(error))
        self._outlet.drop()
        self._download = None
        download.cancel()

    async def _by_detour(self, why: DragonflyError) -> None:
        """This part comes from the registry; of the next ones the swarm may know more."""
        self._note.because(str(why))
        self._outlet.drop()
        self.unheard = not self._hearing.known
        await self._detour.run(self._vigil, self._outlet, self._from_registry)

    async def _from_registry(self) -> None:
        outlet = self._outlet
        hasher = await self._hasher() if outlet.whole else None
        self.parted.fire(None)
        rest = Continuation(
            self._source,
            outlet,
            self._vigil,
            self._clock,
            hasher=hasher,
            flows=self._flows,
        )
        try:
            await rest.run()
        finally:
            self._note.sources["registry"] += rest.read

    async def _hasher(self) -> Hasher | None:
        """One that has taken all that went out."""
        digest = self._source.digest
        if digest is None:
            return None
        hashing = Deferred.fromCoroutine(self._front.hasher(digest, self._outlet.position))
        return await self._vigil.wait(hashing)

    # -- the books -------------------------------------------------------------------------

    def _count(self, download: Transferring) -> None:
        """The client's bytes by source, in the shares that the download has them from."""
        self._note.task = download.task.hex()[:16]
        sent = wanted_bytes(self._group, self._outlet.position)
        for kind, part in shares(sent, download.sources).items():
            self._note.sources[kind] += part

    def _explain_cut(self, text: str) -> None:
        """Why the body is not complete, behind what led to it."""
        self._log.info("cutting an answer off: {error}", error=text)
        self._note.then(text)

    def _abort(self) -> None:
        if not self._responder.over:
            self._note.ending = "aborted"
            self._responder.abort()

    def _let_go(self) -> None:
        self._hearing.stop()
        self._front.release()
        self.parted.fire(None)
        if self._download is not None and not self.unheard:
            self._download.cancel()
