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
    BadRun,
    ConfigError,
    DigestMismatch,
    DragonflyError,
    JournalCorrupt,
    NoSources,
    OriginChanged,
    StoreError,
)
from dragonfly.net.fanout import OneShot
from dragonfly.net.tasks import Task, TaskSet
from dragonfly.net.urls import redact
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import PieceStore, TaskFile
from dragonfly.supernode.admission import ADMISSION_S, Admitted
from dragonfly.supernode.content import Content, State
from dragonfly.supernode.fetch import Fetch, FetchTools
from dragonfly.supernode.morsels import Morsels
from dragonfly.task.digest import Digest
from dragonfly.task.identity import Name
from dragonfly.task.layout import choose_piece_size
from dragonfly.task.manifest import Manifest, parse_run

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
        self._store = store
        self._tools = tools
        self._ring = KeyRing([tools.key.public])
        self._contents: dict[bytes, Content] = {}
        self._loading: dict[bytes, OneShot[None]] = {}
        self._fetching: dict[bytes, Task] = {}
        self._latest: dict[bytes, tuple[bytes, bool]] = {}
        self._tasks = TaskSet(self._log)
        self._last_fetch = 0
        self._stored: set[bytes] | None = None
        """What may be on disk; ``None`` until that was looked at."""
        self.morsels = Morsels(tools, self._create_whole)

    # -- life ------------------------------------------------------------------------

    async def open(self) -> int:
        """Read what an earlier run left, names only; return how many tasks there are."""
        known = await self._tools.disk.run("index", self._scan)
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

    def _scan(self) -> list[tuple[bytes, Mapping[str, Any]]]:
        """Read every task's metadata, oldest first; blocks."""
        found = []
        for task in self._store.tasks():
            try:
                file = self._store.load(task)
            except StoreError as error:
                self._log.warn("cannot read a stored task: {error}", error=str(error))
                continue
            if file is not None:
                found.append((task, dict(file.meta)))
                file.close()
        return sorted(found, key=lambda pair: float(pair[1].get("created") or 0.0))

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
        if content is None or not content.manifest.complete or _ended(content.error):
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
            content = await self._tools.disk.run(task, self._load, task)
            if content is not None:
                self._contents[task] = content
        except BaseException as error:
            shot.fail(error)
            raise
        finally:
            del self._loading[task]
        shot.fire(None)

    def _load(self, task: bytes) -> Content | None:
        """What the disk has of a task; blocks. Anything unusable is removed."""
        try:
            file = self._store.load(task)
            return None if file is None else self._from_disk(file)
        except (JournalCorrupt, BadRun, ConfigError, ValueError, KeyError, TypeError) as error:
            self._log.warn("a stored task is unusable: {error}", error=str(error))
            self._store.remove(task)
            return None

    def _from_disk(self, file: TaskFile) -> Content:
        meta = file.meta
        manifest = Manifest(file.task, file.fetch, file.piece_size, file.length)
        for raw in file.runs():
            manifest.add(raw, parse_run(raw, self._ring))
        digest = meta.get("digest")
        return Content(
            id=file.task,
            name=bytes.fromhex(meta["name"]),
            url=str(meta["url"]),
            identifier=str(meta.get("identifier", "")),
            fetch=file.fetch,
            manifest=manifest,
            validator=Validator(
                etag=meta.get("etag"),
                last_modified=meta.get("last_modified"),
                length=file.length,
            ),
            content_type=meta.get("content_type"),
            digest=Digest.parse(digest) if digest else None,
            public=bool(meta.get("public")),
            created=float(meta.get("created", 0.0)),
            file=file,
            state=State.FAILED,  # until somebody asks for it
            error=NoSources("nobody asked for this task since the supernode started"),
        )

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
        if _ended(failed.error) or failed.file is None:
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
                content.file = await self._tools.disk.run(content.id, self._create, content)
            except StoreError:
                self._tools.metrics.cdn_trigger_failed.inc()
                raise
        return content.file

    def _create(self, content: Content, *, complete: bool = False) -> TaskFile:
        """Make room on disk, in place of any earlier fetch of the task; blocks."""
        meta = content.meta(complete=complete)
        return self._store.create(
            content.id, content.fetch, content.piece_size, content.length, meta
        )

    def _create_whole(self, content: Content) -> TaskFile:
        """For what is written whole by the same job. Only its runs and journal make it be
        believed after a restart, so that its metadata need not be written twice."""
        return self._create(content, complete=True)

    async def _settle(
        self, content: Content, error: DragonflyError | None, *, written: bool
    ) -> None:
        # Queued before anybody is told: who begins anew queues behind it.
        ending: Deferred[None] = succeed(None)
        if not written:
            ending = self._tools.disk.run(content.id, self._write_end, content, error)
        if error is None:
            self._remember(content.id, content.meta(complete=True))
            self._log.info("{url}: complete, {n} bytes", url=content.url, n=content.length)
            content.merge_runs(self._tools.key)
        else:
            self._tools.metrics.cdn_download_failed.inc()
            self._log.warn("{url}: fetch failed: {error}", url=content.url, error=str(error))
        content.settle(error)
        await ending

    def _write_end(self, content: Content, error: DragonflyError | None) -> None:
        """Write what became of it; a version that ended is no use to anyone. Blocks."""
        if content.file is None:
            return
        if _ended(error):
            self._store.remove(content.id)
        else:
            content.file.save_meta(content.meta(complete=error is None))

    def _remember(self, task: bytes, meta: Mapping[str, Any]) -> None:
        if meta.get("complete") and meta.get("name"):
            self._latest[bytes.fromhex(meta["name"])] = (task, bool(meta.get("public")))


def _ended(error: DragonflyError | None) -> bool:
    """Whether a version came to its end, so that nothing of it is of use any more."""
    return isinstance(error, (OriginChanged, DigestMismatch))
