"""The CDN: each content is read from its origin once, kept on disk, and offered at once.

Who waits for content never holds the work: a fetch belongs to the CDN, goes on when the
client that caused it leaves, and ends by itself. What was fetched survives a restart; it
is verified again, piece by piece, before it is given out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from dragonfly.control.messages import Validator
from dragonfly.errors import (
    DragonflyError,
    NoSources,
    StoreError,
)
from dragonfly.net.fanout import OneShot
from dragonfly.net.tasks import Task, TaskSet
from dragonfly.net.urls import redact
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import PieceStore, TaskFile
from dragonfly.supernode.admission import ADMISSION_S, Admitted
from dragonfly.supernode.archive import Archive, has_ended
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.fetch import Fetch, FetchTools
from dragonfly.supernode.morsels import Morsels
from dragonfly.task.digest import Digest
from dragonfly.task.identity import Name
from dragonfly.task.layout import choose_piece_size
from dragonfly.task.manifest import Manifest

__all__ = ["Cdn", "Wanted"]


@attrs.frozen(kw_only=True)
class Wanted:
    """What a registration asks the CDN for: a task that the origin admitted its caller to."""

    task: bytes
    name: Name
    admitted: Admitted
    digest: Digest | None = None
    identifier: str = ""


class Cdn:
    """All contents of this supernode.

    :param store: where they are kept.
    :param tools: what fetching needs.
    """

    _log = Logger()

    def __init__(self, store: PieceStore, tools: FetchTools) -> None:
        self._archive = Archive(store, KeyRing([tools.key.public]))
        self._tools = tools
        self._contents: dict[bytes, Content] = {}
        self._loading: dict[bytes, OneShot[None]] = {}
        self._fetching: dict[bytes, Task] = {}
        self._latest: dict[bytes, tuple[bytes, bool]] = {}
        self._tasks = TaskSet(self._log)
        self._last_fetch = 0
        self._stored: set[bytes] | None = None
        """What may be on disk; ``None`` until that was looked at."""
        self.morsels = Morsels(tools, self._archive.create_whole)

    # -- life ------------------------------------------------------------------------

    async def open(self) -> int:
        """Read what an earlier run left, names only; return how many tasks there are."""
        known = await self._tools.disk.run("index", self._archive.scan)
        for task, meta in known:
            self._remember(task, meta)
        self._stored = {task for task, _ in known} | set(self._contents)
        return len(known)

    def close(self) -> Deferred[None]:
        """Stop all fetches; what was verified stays for the next start."""
        return self._tasks.cancel_all()

    def release_files(self) -> None:
        """Close all files; only after the disk pool has stopped."""
        for content in self._contents.values():
            if content.file is not None:
                content.file.close()

    # -- what others ask ----------------------------------------------------------------

    def get(self, task: bytes) -> Content | None:
        """The content of ``task`` if it is in memory."""
        return self._contents.get(task)

    def contents(self) -> tuple[Content, ...]:
        """Everything in memory."""
        return tuple(self._contents.values())

    def latest(self, name: bytes) -> tuple[bytes, bool] | None:
        """The newest complete task of a name, and whether everybody may have it unasked.

        Content of which there are variants (Vary) is not: who gets which, only its origin says.
        """
        return self._latest.get(name)

    async def obtain(self, wanted: Wanted) -> Content:
        """Have the content in memory and, if it is not complete, being fetched.

        Returns as soon as it is known what the disk holds; never waits for the origin.
        Cancelling gives up this caller's interest only.
        """
        content = await self._find(wanted.task)
        if content is None:
            content = self._contents[wanted.task] = self._new(wanted)
            if self._stored is not None:
                self._stored.add(wanted.task)
        self._use(content)
        self._admit(content, wanted.admitted)
        if content.state is State.FAILED:
            content = self._try_again(content, wanted)
        self._ensure_fetch(content)
        return content

    async def whole(self, content: Content, limit: int) -> bytes | None:
        """As :meth:`dragonfly.supernode.morsels.Morsels.give`."""
        return await self.morsels.give(content, limit)

    async def recall(self, task: bytes) -> Content | None:
        """Complete content of an earlier registration, for when its origin does not answer."""
        content = await self._find(task)
        if content is None or not content.manifest.complete or has_ended(content.error):
            return None
        self._use(content)
        if content.state is State.FAILED:
            content.restart()
        self._ensure_fetch(content)
        return content

    def forget(self, content: Content) -> bool:
        """Drop idle content from memory; its bytes stay. ``False``: it is in use."""
        if content.watched or content.id in self._fetching:
            return False
        self._contents.pop(content.id, None)
        if content.file is not None:
            content.file.close()
        return True

    # -- into memory -----------------------------------------------------------------

    async def _find(self, task: bytes) -> Content | None:
        """What there is of a task, in memory from now on; ``None``: nothing on disk either."""
        if task not in self._contents and (self._stored is None or task in self._stored):
            shot = self._loading.get(task)
            if shot is None:
                shot = self._loading[task] = OneShot()
                self._tasks.spawn(self._open(task, shot), "opening a task")
            await shot.wait()
        return self._contents.get(task)  # whoever waited before us may have made it

    async def _open(self, task: bytes, shot: OneShot[None]) -> None:
        try:
            content = await self._tools.disk.run(task, self._archive.load, task)
            if content is not None:
                self._contents[task] = content
        except BaseException as error:
            shot.fail(error)
            raise
        finally:
            del self._loading[task]
        shot.fire(None)

    def _new(self, wanted: Wanted) -> Content:
        reply = wanted.admitted.reply
        self._tools.metrics.tasks_registered.inc()
        return Content(
            id=wanted.task,
            name=wanted.name.id,
            url=redact(wanted.name.url),
            identifier=wanted.identifier,
            fetch=(fetch := self._next_fetch()),
            manifest=Manifest(wanted.task, fetch, choose_piece_size(reply.length), reply.length),
            validator=Validator(
                etag=reply.etag, last_modified=reply.last_modified, length=reply.length
            ),
            content_type=reply.content_type,
            digest=wanted.digest,
            public=wanted.admitted.for_everybody,
            opened=reply,
            created=self._tools.clock.seconds(),
        )

    def _next_fetch(self) -> int:
        self._last_fetch = max(self._last_fetch + 1, int(self._tools.clock.seconds() * 1000))
        return self._last_fetch

    def _use(self, content: Content) -> None:
        content.used = self._tools.clock.seconds()

    def _admit(self, content: Content, admitted: Admitted) -> None:
        """Keep the caller's way to the origin while it may be needed."""
        content.public = content.public or admitted.for_everybody
        if content.state is not State.READY:
            until = float("inf") if admitted.public else content.used + ADMISSION_S
            content.accesses.add(admitted.access, until)

    # -- fetching ----------------------------------------------------------------------

    def _try_again(self, failed: Content, wanted: Wanted) -> Content:
        """A fresh try: go on with what is good, or begin anew if the version had ended."""
        if has_ended(failed.error) or failed.file is None:
            fresh = self._new(wanted)
            self._contents[wanted.task] = fresh
            self._use(fresh)
            self._admit(fresh, wanted.admitted)
            return fresh
        failed.restart()
        return failed

    def _ensure_fetch(self, content: Content) -> None:
        if content.state is State.READY:
            self._tools.metrics.cdn_cache_hit.inc()
        elif content.id not in self._fetching:
            self._tools.metrics.cdn_trigger.inc()
            task = self._tasks.spawn(self._fetch(content), f"fetch of {content.url}")
            if task.running:
                self._fetching[content.id] = task

    async def _fetch(self, content: Content) -> None:
        """Fetch to the end, and settle the content whatever comes."""
        error: DragonflyError | None = None
        at_once = False
        try:
            at_once = await self.morsels.fetch(content)
            if not at_once:
                file = await self._file_of(content)
                if not content.manifest.complete:
                    self._tools.metrics.cdn_download.inc()
                await Fetch(content, file, self._tools).run()
        except DragonflyError as caught:
            error = caught
        except Exception:  # cancelled, or a bug that the task set logs
            self._fetching.pop(content.id, None)
            content.settle(NoSources("the supernode gave up this fetch"))
            raise
        self._fetching.pop(content.id, None)
        await self._settle(content, error, written=at_once)

    async def _file_of(self, content: Content) -> TaskFile:
        if content.file is None:
            try:
                content.file = await self._tools.disk.run(content.id, self._archive.create, content)
            except StoreError:
                self._tools.metrics.cdn_trigger_failed.inc()
                raise
        return content.file

    async def _settle(
        self, content: Content, error: DragonflyError | None, *, written: bool
    ) -> None:
        # Queued before anybody is told: who begins anew queues behind it.
        ending: Deferred[None] = succeed(None)
        if not written:
            ending = self._tools.disk.run(content.id, self._archive.write_end, content, error)
        if error is None:
            self._remember(content.id, content.meta(complete=True))
            self._log.info("{url}: complete, {n} bytes", url=content.url, n=content.length)
            content.merge_runs(self._tools.key)
        else:
            self._tools.metrics.cdn_download_failed.inc()
            self._log.warn("{url}: fetch failed: {error}", url=content.url, error=str(error))
        content.settle(error)
        await ending

    def _remember(self, task: bytes, meta: Mapping[str, Any]) -> None:
        if meta.get("complete") and meta.get("name"):
            self._latest[bytes.fromhex(meta["name"])] = (task, bool(meta.get("public")))
