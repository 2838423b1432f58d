"""One client's download: from the request to the last verified byte, through whatever way.

A :class:`Download` belongs to one client. It has its content found (:mod:`.search`), follows
it, begins again if it changed, checks a digest of the whole, and tells its listeners.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger

from dragonfly.errors import (
    DragonflyError,
    NoSources,
    OriginChanged,
    OriginError,
    OriginTruncated,
    StoreError,
    TaskError,
    VersionUnknown,
)
from dragonfly.net.fanout import OneShot
from dragonfly.net.tasks import Task
from dragonfly.peer.content.content import Content
from dragonfly.peer.content.verification import Verification
from dragonfly.peer.download.audience import Audience
from dragonfly.peer.download.patience import Patience
from dragonfly.peer.download.prefix import Prefix
from dragonfly.peer.download.reader import OrderedReader
from dragonfly.peer.download.readers import Readers
from dragonfly.peer.download.request import FetchRequest
from dragonfly.peer.download.restarts import Restarts
from dragonfly.peer.download.search import Search
from dragonfly.peer.download.ways import DownloadListener, Joinable, Reason, Ways
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.origin.originstream import OriginSource
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.identity import Name, name_of
from dragonfly.task.layout import Layout

__all__ = ["Download"]


class Download:
    """One client's download.

    It is done when everything is here and as it should be; one that is not for the whole, when
    all of its readers have ended, of which it needs one at least. Then, too, there may be more.

    :ivar sources: bytes by source: cache, cdn, peers, origin.
    :ivar reason: why the origin was read, see :class:`Reason`.
    """

    _log = Logger()

    def __init__(self, request: FetchRequest, equipment: Equipment, ways: Ways) -> None:
        self.request = request
        self.sources: dict[str, int] = {"cache": 0, "cdn": 0, "peers": 0, "origin": 0}
        self.reason = Reason.NONE
        self.done: OneShot[None] = OneShot()
        self.error: Exception | None = None
        self._equipment = equipment
        self._search = Search(self, ways)
        self._patience = Patience(
            equipment.reactor,
            timeout_s=request.timeout_s,
            min_rate=request.min_rate,
            on_timeout=self._timed_out,
        )
        self._audience = Audience()
        self._joined: Joinable | None = None
        self._finish: Deferred[None] | None = None
        self._verification: Verification | None = None
        self._readers = Readers()
        self._task: Task | None = None

    # -- facts ------------------------------------------------------------------------------

    @property
    def content(self) -> Content | None:
        """What is being downloaded; ``None`` until that is known."""
        return self._joined.content if self._joined is not None else None

    @property
    def task(self) -> bytes:
        """The task's id; empty until it is known."""
        return self.content.task if self.content is not None else b""

    @property
    def layout(self) -> Layout:
        """Piece size and length.

        :raises TaskError: they are not known yet.
        """
        if self.content is None:
            raise TaskError("the download has not begun")
        return self.content.layout

    @property
    def file(self) -> TaskFile:
        """The file in the store; it stays until the download is cancelled or released.

        :raises TaskError: there is none yet.
        """
        if self.content is None:
            raise TaskError("the download has not begun")
        return self.content.file

    @property
    def path(self) -> Path:
        """Where the bytes are; only ranges that were told of hold content."""
        return Path(self.file.path)

    @property
    def seconds(self) -> float:
        """How long it took, or takes so far."""
        return self._patience.seconds

    @property
    def ended(self) -> bool:
        """Whether it is done or has failed."""
        return self._patience.ended

    # -- for its owner ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin. Listeners may be added before or after."""
        self._patience.start()
        self._task = self._equipment.tasks.spawn(self._run(), "download")

    def add_listener(self, listener: DownloadListener) -> None:
        """Tell ``listener`` what has happened so far, and what happens from now on."""
        self._audience.add(listener)
        content = self.content
        if content is not None:
            listener.on_layout(content.layout)
            ranges = content.ranges()
            if ranges:
                listener.on_ranges(ranges)
        if self.error is not None:
            listener.on_failed(self.error)
        elif self.ended:
            listener.on_done()

    def cancel(self) -> None:
        """Want it no more: before the end this gives it up (it can be continued later),
        after the end it lets the file go. Listeners hear nothing more; readers fail."""
        self._audience.clear()
        if not self.ended:
            self._end(CancelledError())
            self.done.fail(CancelledError())
        self._readers.fail(CancelledError())
        if self._task is not None:
            self._task.cancel()
        self._leave()

    def give_up(self, error: DragonflyError) -> None:
        """Fail with ``error``, as if it had come by itself; one that has ended only has its
        readers fail."""
        if self.ended:
            self._readers.fail(error)
            return
        self._fail(error)
        if self._task is not None:
            self._task.cancel()
        self._leave()

    def reader(self, consumer: IConsumer, begin: int = 0, end: int | None = None) -> OrderedReader:
        """Push the bytes ``begin`` to ``end`` to ``consumer``, in order, as they are verified.

        Needs a layout. See :class:`OrderedReader` for what its ``done`` promises. If the
        content changes under it, it fails: bytes of two versions are never mixed.

        If all bytes are asked for, the download is compared with its digest, as one for the
        whole always is.

        :raises TaskError: the download has not begun.
        """
        length = self.layout.length
        reader = OrderedReader(self, self._equipment.disk, consumer, begin, end)
        self._readers.add(reader)
        all_of_it = begin == 0 and (end is None or (length is not None and end >= length))
        if all_of_it and self._verification is not None:
            self._verification.begin()
        reader.advance(length)
        return reader

    async def verdict(self) -> None:
        """Wait until the whole was compared with its digest, for who has read all of it.

        At once where there is no digest, or parts were read only. Unlike :attr:`done` it is
        also about readers that came when others had ended. Cancelling gives up waiting.

        :raises DigestMismatch: it is not what was asked for.
        :raises Exception: what the download failed with.
        """
        if self.whole:
            await self.done.wait()
        elif self._verification is not None:
            await self._verification.result()

    def due_s(self, begin: int, end: int) -> float | None:
        """Seconds until the bytes can be had from here or from anybody: 0: now; infinite: not
        while things stand still as they do; ``None``: it is too early to tell."""
        return self._joined.due_s(begin, end) if self._joined is not None else None

    def prefix(self) -> Prefix:
        """The front of the file as it is now, to be released by the caller.

        :raises TaskError: the download has not begun.
        """
        return Prefix(self.file, self._equipment.disk)

    # -- Ready (for readers) -----------------------------------------------------------------

    def ready_to(self, begin: int) -> int:
        """Up to where bytes from ``begin`` on may be given out."""
        return self.content.ready_to(begin) if self.content is not None else begin

    @property
    def memory(self) -> bytes | None:
        """All of it, if it is in memory."""
        return self.content.memory if self.content is not None else None

    def reader_at(self, reader: OrderedReader, position: int | None) -> None:
        """A reader moved on, or ended."""
        if position is None:
            self._readers.discard(reader)
        if self._joined is None:
            return
        if position is None or (self.ended and self.whole):
            self._joined.want_in_order(reader, None, 0, None)
        else:
            ahead = self.ready_to(position) - position
            self._joined.want_in_order(reader, position, ahead, reader.end)
        if position is None and not (self.whole or self.ended or self._readers):
            self._settle(None)

    def unreadable(self, error: StoreError) -> None:
        """A reader could not read what is ready."""
        if self.content is not None:
            self.content.unreadable(error)

    # -- Client of a transfer -----------------------------------------------------------------

    @property
    def whole(self) -> bool:
        """Whether everything is to come."""
        return self.request.whole

    @property
    def local_limit(self) -> int | None:
        """This download's own rate limit."""
        return self.request.local_limit

    def impatient(self, expected_s: float | None, rate: float, now: float) -> bool:
        """Whether the user's limits on time or rate will not be met like this."""
        return self._patience.spent(expected_s, rate, now)

    def fell_back(self, how: str) -> None:
        """The origin is being read."""
        if self.reason == Reason.NONE:
            self.reason = Reason.DOWNLOAD_FAILED
        self.notice(f"reading from the origin {how}")

    def origin_source(self) -> OriginSource | None:
        """How this caller reads the origin; ``None`` with ``--notbs``."""
        return None if self.request.notbs else self.source()

    def source(self) -> OriginSource:
        """How this caller reads the origin.

        :raises ConfigError: the file of authorities cannot be used.
        """
        request = self.request
        origins = self._equipment.origins
        client = origins.get(request.trust, request.loopback, everywhere=request.everywhere)
        return OriginSource(client, request.url, request.headers)

    def notice(self, text: str) -> None:
        """Tell the user."""
        self._audience.on_notice(text)

    def content_layout(self) -> None:
        """The length is known."""
        if self.content is None:
            return  # whoever joins is told when it has joined
        layout = self.layout
        self._readers.advance(layout.length)  # the end of one may be that of all: nobody listens
        self._audience.on_layout(layout)

    def content_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        """More bytes are there."""
        if self.content is None:
            return
        self.sources[kind] += sum(end - begin for begin, end in ranges)
        if self._verification is not None:
            self._verification.advance()
        self._readers.advance()
        self._audience.on_ranges(ranges)

    def content_finished(self) -> None:
        """All bytes are there."""
        if self.whole:
            self._settle(None)

    def content_failed(self, error: Exception) -> None:
        """It will not be finished this way, or what was finished is gone."""
        if self.ended:
            self._readers.fail(error)
        self._settle(error)

    # -- the download ---------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._until_unchanged()
        except CancelledError:
            raise
        except DragonflyError as error:
            self._fail(error)
        except Exception as error:
            self._fail(error)
            raise
        else:
            self._succeed()

    async def _until_unchanged(self) -> None:
        """Try, and begin again when the content changed under us."""
        restarts = Restarts()
        while True:
            try:
                await self._once()
            except (OriginChanged, OriginTruncated) as error:  # noqa: PERF203 - a download each
                restarts.count(error)
                if restarts.hopeless_in_swarm and not self.request.notbs:
                    self._search.no_swarm()
                self._begin_again(error)
            else:
                return

    async def _once(self) -> None:
        request = self.request
        name = name_of(
            request.url,
            filters=request.filters,
            identifier=request.identifier,
            digest=request.digest,
        )
        self._joined = await self._search.find(name)
        await self._follow(name)

    async def _follow(self, name: Name) -> None:
        """Wait for the content, and check the digest of the whole."""
        content = self.content
        if content is None:
            raise NoSources("there is nothing to follow")
        verification = self._verification = Verification(
            content, self.request.digest or name.digest, name.digest, self._equipment.disk
        )
        if self.whole:
            verification.begin()
        finish = self._finish = Deferred()
        self._introduce(content)
        if self._joined is None:
            raise CancelledError  # from inside: who was told has all he wants, and nobody waits
        if content.error is not None:
            self._settle(content.error)
        elif content.finished:
            self.content_finished()
        await finish
        if content.finished:
            await verification.result()

    def _introduce(self, content: Content) -> None:
        """Tell of the layout and of what is here already."""
        self.content_layout()
        ranges = content.ranges()
        if ranges:
            self.content_ranges(ranges, content.introduction())

    def _settle(self, error: Exception | None) -> None:
        finish, self._finish = self._finish, None
        if finish is None:
            return
        if error is None:
            finish.callback(None)
        else:
            finish.errback(error)

    def _begin_again(self, error: OriginError) -> None:
        self._readers.fail(error)
        self._leave()
        if isinstance(error, VersionUnknown):
            self._search.no_swarm()
        for kind in self.sources:
            self.sources[kind] = 0
        self.notice(f"beginning again: {error}")
        self._audience.on_restart()

    # -- ends ---------------------------------------------------------------------------------

    def _succeed(self) -> None:
        self._end(None)
        self._audience.on_done()
        self.done.fire(None)

    def _fail(self, error: Exception) -> None:
        if self.ended:
            return
        self._end(error)
        self._readers.fail(error)
        self._audience.on_failed(error)
        self.done.fail(error)

    def _end(self, error: Exception | None) -> None:
        self._patience.end()
        self.error = error

    def _leave(self) -> None:
        joined, self._joined = self._joined, None
        self._finish = None
        if self._verification is not None:
            self._verification.stop()
            self._verification = None
        if joined is not None:
            joined.leave(self)

    def _timed_out(self) -> None:
        self.give_up(NoSources(f"not finished within {self.request.timeout_s:g} s"))
