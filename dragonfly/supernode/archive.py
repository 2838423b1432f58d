"""The CDN's contents on disk: found after a restart, made, and ended; runs on the disk pool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import PieceStore, TaskFile
from dragonfly.supernode.content import Content, State
from dragonfly.task.digest import Digest
from dragonfly.task.manifest import Manifest, parse_run

__all__ = ["Archive", "has_ended"]


class Archive:
    """What outlives the supernode's process. Every method blocks.

    :param keys: whose runs are believed: the supernode's own.
    """

    _log = Logger()

    def __init__(self, store: PieceStore, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys

    def scan(self) -> list[tuple[bytes, Mapping[str, Any]]]:
        """Read every task's metadata, oldest first."""
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

    def load(self, task: bytes) -> Content | None:
        """What the disk has of a task. Anything unusable is removed."""
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
            manifest.add(raw, parse_run(raw, self._keys))
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

    def create(self, content: Content, *, complete: bool = False) -> TaskFile:
        """Make room on disk, in place of any earlier fetch of the task.

        :raises StoreError: there is none.
        """
        meta = content.meta(complete=complete)
        return self._store.create(
            content.id, content.fetch, content.piece_size, content.length, meta
        )

    def create_whole(self, content: Content) -> TaskFile:
        """For what is written whole by the same job. Only its runs and journal make it be
        believed after a restart, so that its metadata need not be written twice."""
        return self.create(content, complete=True)

    def write_end(self, content: Content, error: DragonflyError | None) -> None:
        """Write what became of it; a version that ended is no use to anyone."""
        if content.file is None:
            return
        if has_ended(error):
            self._store.remove(content.id)
        else:
            content.file.save_meta(content.meta(complete=error is None))


def has_ended(error: DragonflyError | None) -> bool:
    """Whether a version came to its end, so that nothing of it is of use any more."""
    return isinstance(error, (OriginChanged, DigestMismatch))
