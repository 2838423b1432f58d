"""One fetch of the CDN: an origin's bytes become signed pieces, whatever the origin does.

A transfer that is cut goes on where it stopped if the origin can prove that it still has
the same version (a strong entity tag), or if the content is named by its digest. Otherwise
it begins again, and the bytes are compared with what was signed: content that changed ends
this version, nobody ever gets a mix.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from dragonfly.control.messages import Validator
from dragonfly.errors import (
    DigestMismatch,
    DragonflyError,
    OriginChanged,
    OriginError,
)
from dragonfly.metrics import SupernodeMetrics
from dragonfly.net.disk import DiskPool
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import OriginReply
from dragonfly.net.throttle import Throttle
from dragonfly.signatures import SigningKey
from dragonfly.store.piecestore import TaskFile
from dragonfly.supernode.attempts import Attempts
from dragonfly.supernode.content import Content
from dragonfly.supernode.intake import REREAD_BYTES, Intake
from dragonfly.supernode.openings import Openings
from dragonfly.supernode.pump import Pump
from dragonfly.supernode.questions import Access
from dragonfly.supernode.runsigner import RunSigner

__all__ = ["STALL_S", "Fetch", "FetchTools", "Reader", "expected_of"]

STALL_S = 30.0
"""Silence of an origin after which the transfer counts as cut."""

_T = TypeVar("_T")


class Reader(Protocol):
    """What streams an origin: :class:`dragonfly.net.origin.OriginClient`."""

    async def get(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        start: int = 0,
        validator: Validator | None = None,
        checked: bool = False,
    ) -> OriginBody:
        """Ask for the content from ``start`` on."""


@attrs.frozen(kw_only=True)
class FetchTools:
    """What every fetch of one CDN works with."""

    reader: Callable[[bool], Reader]
    disk: DiskPool
    key: SigningKey
    clock: IReactorTime
    rng: random.Random
    metrics: SupernodeMetrics
    rate: Throttle | None = None
    stall_s: float = STALL_S
    openings: Openings | None = None

    def opened(self, content: Content, start: int = 0) -> OriginBody | None:
        """The body that the question about a new content opened; once, for who wants it from
        its first byte on."""
        reply, content.opened = content.opened, None
        body = self.openings.take(reply) if self.openings is not None and reply else None
        if body is not None and start > 0:
            body.close()
            return None
        return body


class Fetch:
    """Brings one content from its origin to the disk; :meth:`run` once."""

    _log = Logger()

    def __init__(self, content: Content, file: TaskFile, tools: FetchTools) -> None:
        self._content = content
        self._file = file
        self._tools = tools
        self._intake = self._new_intake()
        self._seen = 0
        """Pieces of this pass over the content."""
        self._validator: Validator | None = None
        self._signer = RunSigner(
            content,
            tools.key,
            tools.clock,
            seen=lambda: self._seen,
            on_runs=lambda runs, pieces: self._later(self._persist, runs, pieces),
        )

    async def run(self) -> None:
        """Fetch until the content is complete.

        Cancelling stops the transfer; what was verified stays and is used the next time.

        :raises OriginError: the origin refuses, changed, or brings nothing any more.
        :raises DigestMismatch: the whole is not what was asked for.
        :raises StoreError: the disk refuses.
        """
        try:
            await self._catch_up()
            if not self._all_held:
                await self._transfers()
            await self._complete()
        except (OriginChanged, DigestMismatch):
            raise
        except DragonflyError:
            self._signer.sign()  # what came is good, and the next attempt builds on it
            raise
        finally:
            self._signer.stop()

    # -- what is there already -----------------------------------------------------

    async def _catch_up(self) -> None:
        """Verify what the disk claims to have, piece by piece, and give it out."""
        content = self._content
        claimed = self._claimed()
        if content.held >= claimed and content.digest is None and not content.manifest.complete:
            self._intake.position, self._seen = self._bytes(content.held), content.held
            return
        end = self._bytes(claimed)
        while self._intake.position < end:
            upto = min(self._intake.position + REREAD_BYTES, end)
            digests = await self._job(self._intake.reread, upto)
            if upto == content.length:
                last, _whole = await self._job(self._intake.finish)
                digests = [*digests, last] if last is not None else digests
            if not self._verified(digests):
                self._start_over()
                return

    def _claimed(self) -> int:
        """Pieces in front that are on disk by the journal's word, or by our own."""
        signed = self._content.manifest.first_unknown()
        recorded = self._file.recorded
        count = 0
        while count < signed and count in recorded:
            count += 1
        return max(count, self._content.held)

    def _verified(self, digests: Sequence[bytes]) -> bool:
        """Compare; give out the good ones in front. ``False``: the disk is wrong here."""
        good = self._seen
        for digest in digests:
            if digest != self._content.manifest.digest(good):
                break
            good += 1
        wrong = good < self._seen + len(digests)
        self._seen = good
        if good > self._content.held:
            self._content.hold(good)
        return not wrong

    @property
    def _all_held(self) -> bool:
        """Whether the disk had everything, so that the origin need not be asked."""
        content = self._content
        return content.manifest.complete and self._intake.position == content.length

    def _start_over(self) -> None:
        """Begin at the first byte: the hash of the whole cannot skip what was wrong.

        What waits for its signature gets it first: from here on its bytes may be overwritten,
        so nothing may be signed without having been compared.
        """
        self._signer.sign()
        self._intake = self._new_intake()
        self._seen = 0

    def _new_intake(self) -> Intake:
        digest = self._content.digest
        return Intake(
            self._file,
            held=self._bytes(self._content.held),
            algorithm=digest.algorithm if digest is not None else None,
        )

    def _bytes(self, pieces: int) -> int:
        length = self._content.length
        size = pieces * self._content.piece_size
        return size if length is None else min(size, length)

    # -- transfers -------------------------------------------------------------------

    async def _transfers(self) -> None:
        """Transfer until the origin has no more, however often it is cut."""
        attempts = Attempts(self._content, self._tools.clock, self._tools.rng)
        while True:
            access = attempts.access()
            before = self._intake.position
            try:
                await self._transfer(access)
            except OriginError as error:
                wait_s = attempts.failed(
                    error, access, before=before, position=self._intake.position
                )
                self._log.info("{error}; trying again", error=str(error))
            else:
                return
            await deferLater(self._tools.clock, wait_s)

    async def _transfer(self, access: Access) -> None:
        """One request, one body, to its end."""
        start = self._resumable()
        if start < self._intake.position:
            self._start_over()
        body = self._tools.opened(self._content, start)
        if body is None:
            reader = self._tools.reader(access.loopback)
            body = await reader.get(
                access.url, access.headers, start=start, validator=self._expected()
            )
        try:
            await self._accept(body.reply)
        except BaseException:
            body.close()
            raise
        await self._pump(body).run(body)

    def _pump(self, body: OriginBody) -> Pump:
        tools, length = self._tools, self._content.length
        if body.remaining is not None or length is None:
            expected = None  # the transfer knows, or nobody does
        else:
            expected = length - self._intake.position
        return Pump(
            self._intake.absorb,
            self.digests,
            key=self._content.id,
            disk=tools.disk,
            clock=tools.clock,
            stall_s=tools.stall_s,
            on_bytes=tools.metrics.cdn_download_bytes.inc,
            expected=expected,
            flows=(tools.rate.flow(self),) if tools.rate is not None else (),
        )

    def _resumable(self) -> int:
        """From which byte the origin can go on."""
        if self._content.digest is not None:
            return self._intake.position
        known = self._expected()
        strong = known is not None and known.etag is not None and known.etag.startswith('"')
        return self._intake.position if strong else 0

    def _expected(self) -> Validator | None:
        return expected_of(self._content, self._validator)

    async def _accept(self, reply: OriginReply) -> None:
        """Settle length and version by what the transfer says, before a byte is taken."""
        content = self._content
        if content.length is None and reply.length is not None:
            await self._job(self._file.set_length, reply.length)
            content.announce_length(reply.length)
        elif None not in (content.length, reply.length) and content.length != reply.length:
            raise OriginChanged(
                f"{content.url}: {content.length} bytes were announced, "
                f"the transfer has {reply.length}",
                reply.status,
            )
        if reply.start < self._intake.position:
            self._start_over()  # the origin does not do ranges
        known = self._validator or content.validator
        self._validator = Validator(
            etag=reply.etag or known.etag,
            last_modified=reply.last_modified or known.last_modified,
            length=content.length,
        )

    # -- pieces ------------------------------------------------------------------------

    def digests(self, digests: Sequence[bytes]) -> None:
        """Take the digests of pieces that were just written, in order.

        :raises OriginChanged: one differs from what was signed.
        """
        content = self._content
        signed = content.manifest.first_unknown()
        for digest in digests:
            known = content.signed_digest(self._seen)
            if known is None:
                content.add_digest(digest)
            elif known != digest:
                raise OriginChanged(f"{content.url}: piece {self._seen} is not what it was")
            self._seen += 1
        held, good = content.held, min(self._seen, signed)
        if held < good:  # signed by an earlier run, and lost from its journal or disk
            content.hold(good)
            self._later(self._file.record, range(held, good))
        self._signer.sign_soon()

    def _persist(self, runs: Sequence[bytes], pieces: range) -> None:
        """Write what a restart needs; blocks."""
        for raw in runs:
            self._file.append_run(raw)
        self._file.record(pieces)

    async def _complete(self) -> None:
        """All bytes came: check the whole, then sign the end."""
        content = self._content
        last, whole = await self._job(self._intake.finish)
        if last is not None and self._bytes(self._seen) < self._intake.position:
            self.digests([last])
        if content.digest is not None and whole != content.digest:
            raise DigestMismatch(
                f"{content.url}: expected {content.digest}, the origin has {whole}"
            )
        end = self._intake.position
        if content.length is None:
            await self._job(self._file.set_length, end)
        self._signer.sign(end=end)
        await self._job(_nothing)  # what was to be written is written

    # -- disk --------------------------------------------------------------------------

    def _job(self, fn: Callable[..., _T], *args: object) -> Deferred[_T]:
        return self._tools.disk.run(self._content.id, fn, *args)

    def _later(self, fn: Callable[..., object], *args: object) -> None:
        job = self._job(fn, *args)
        job.addErrback(self._persist_failed)

    def _persist_failed(self, failure: Failure) -> None:
        """A restart will fetch this again; the running swarm does not care."""
        if not failure.check(CancelledError):
            self._log.warn(
                "{url}: the manifest could not be written: {error}",
                url=self._content.url,
                error=failure.getErrorMessage(),
            )


def expected_of(content: Content, latest: Validator | None = None) -> Validator | None:
    """What the origin must still have; content named by its digest speaks for itself.

    :param latest: what a transfer told, if there was one.
    """
    if content.digest is not None:
        return None
    return latest or content.validator


def _nothing() -> None:
    """A job that only waits for its turn."""
