"""Small contents: read from the origin in one go, and given whole inside an answer.

For 10 KiB a swarm is a detour: connecting to the seed, proving keys and asking for one piece
takes ten times longer than sending it. Whoever registers for so little gets it at once.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet import defer
from twisted.logger import Logger

from dragonfly.control.messages import INLINE_BYTES
from dragonfly.errors import DigestMismatch, OriginError, StoreError
from dragonfly.net.deadline import deadline
from dragonfly.net.originbody import OriginBody
from dragonfly.net.sink import BodySink
from dragonfly.store.piecestore import TaskFile
from dragonfly.store.recent import Recent
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.fetch import FetchTools, expected_of
from dragonfly.task.digest import Digest, new_hasher, piece_digest

__all__ = ["KEPT_BYTES", "WAIT_S", "Morsels"]

KEPT_BYTES = 16 * 1024 * 1024
"""Small contents kept in memory: a crowd that asks for the same ones needs no disk."""

FLOW = "small contents"
"""They are one flow in the cap on reading: each alone would always be the first to read."""

WAIT_S = 2.0
"""So long a registration waits for its origin's bytes; a swarm can do no better meanwhile."""


@attrs.frozen
class _Whole:
    """A content as it came, and the digests of its pieces."""

    data: bytes
    digests: list[bytes]


class Morsels:
    """The small contents of one CDN.

    :param create: makes a content's file on disk; blocks, runs on the disk pool.
    :ivar kept: those in memory, by task and fetch.
    """

    _log = Logger()

    def __init__(self, tools: FetchTools, create: Callable[[Content], TaskFile]) -> None:
        self._tools = tools
        self._create = create
        self.kept: Recent[tuple[bytes, int]] = Recent(KEPT_BYTES)

    # -- from the origin ------------------------------------------------------------------

    async def fetch(self, content: Content) -> bool:
        """Bring all of a content of which nothing is here, by one request, in one disk job.

        ``False``: it is not small, or this did not work; the ordinary way, which tries
        again and knows what an error means, is to do it. Cancelling stops the transfer.

        :raises StoreError: the disk refuses.
        """
        fresh = content.file is None and content.held == 0 and not content.manifest.known
        if not fresh or not _small(content.length, INLINE_BYTES):
            return False
        try:
            whole = await self._read(content)
        except OriginError as error:
            self._log.info("{error}; trying again", error=str(error))
            return False
        if whole is None:
            return False
        self._tools.metrics.cdn_download.inc()
        runs = content.sign_ahead(self._tools.key, whole.digests)
        writing = self._tools.disk.run(
            content.id, self._write, content, whole, runs, cost=len(whole.data)
        )
        try:
            content.file = await writing
        except StoreError:
            self._tools.metrics.cdn_trigger_failed.inc()
            raise
        content.hold(len(whole.digests))
        self.kept.keep(_key(content), whole.data)
        return True

    async def _read(self, content: Content) -> _Whole | None:
        """Its bytes, if they are what was announced."""
        tools = self._tools
        access = content.accesses.best(tools.clock.seconds())
        if access is None:
            return None
        body = tools.opened(content)
        if body is None:
            body = await tools.reader(access.loopback).get(
                access.url,
                access.headers,
                validator=expected_of(content),
                checked=content.digest is not None,
            )
        if body.remaining not in (None, content.length):
            body.close()
            return None
        data = await self._collect(body, content.length or 0)
        if content.digest is not None and _digest(data, content.digest) != content.digest:
            return None
        return _Whole(data, _digests(data, content.piece_size))

    async def _collect(self, body: OriginBody, length: int) -> bytes:
        chunks: list[bytes] = []
        tools = self._tools
        sink = BodySink(chunks.append, clock=tools.clock, stall_s=tools.stall_s, expected=length)
        await body.deliver(sink)
        data = b"".join(chunks)
        tools.metrics.cdn_download_bytes.inc(len(data))
        if tools.rate is not None:
            await tools.rate.pay(FLOW, len(data))
        return data

    def _write(self, content: Content, whole: _Whole, runs: list[bytes]) -> TaskFile:
        """Everything that a restart needs; blocks."""
        file = self._create(content)
        file.write(0, [whole.data])
        for raw in runs:
            file.append_run(raw)
        file.record(range(len(whole.digests)))
        return file

    # -- into answers ---------------------------------------------------------------------

    async def give(self, content: Content, limit: int) -> bytes | None:
        """All of a content, if it has at most ``limit`` bytes and is here soon; else ``None``.

        Who asks must have been admitted by the origin. Cancelling gives up waiting only.
        """
        if not _small(content.length, min(limit, INLINE_BYTES)):
            return None
        if content.state is State.FETCHING:
            try:
                await deadline(content.done.wait(), WAIT_S, self._tools.clock)
            except defer.TimeoutError:
                return None
        if content.state is not State.READY:
            return None
        kept = self.kept.get(_key(content))
        return await self._load(content) if kept is None else kept or None

    async def _load(self, content: Content) -> bytes | None:
        file, length = content.file, content.length
        if file is None or length is None:
            return None
        try:
            data = await self._tools.disk.run(content.id, file.read, 0, length)
            _check(content, data)
        except StoreError as error:
            self._log.warn("{url}: {error}", url=content.url, error=str(error))
            return None
        except DigestMismatch as error:
            self._log.warn("{url}: {error}", url=content.url, error=str(error))
            data = b""  # kept, too: not to be read for each caller
        self.kept.keep(_key(content), data)
        return data or None


def _small(length: int | None, limit: int) -> bool:
    return length is not None and 0 < length <= limit


def _key(content: Content) -> tuple[bytes, int]:
    return content.id, content.fetch


def _digests(data: bytes, piece_size: int) -> list[bytes]:
    """Those of the pieces, in order."""
    return [piece_digest(data[at : at + piece_size]) for at in range(0, len(data), piece_size)]


def _check(content: Content, data: bytes) -> None:
    """Compare what was read from disk with what was signed: who gets it inside an answer is
    told of no other source for it.

    :raises DigestMismatch: the disk has other bytes by now.
    """
    for piece, digest in enumerate(_digests(data, content.piece_size)):
        expected = content.manifest.digest(piece)
        if digest != expected:
            signed = expected.hex() if expected is not None else "no digest"
            raise DigestMismatch(f"piece {piece} on disk has {digest.hex()}, {signed} was signed")


def _digest(data: bytes, wanted: Digest) -> Digest:
    hasher = new_hasher(wanted.algorithm)
    hasher.update(data)
    return Digest(wanted.algorithm, hasher.digest())
