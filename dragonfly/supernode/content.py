"""One task as the CDN has it: what is known, what is held, who is told.

The CDN reads an origin from beginning to end, so what it holds is always a prefix; one
number, :attr:`Content.held`, says how much of it may be given out. A piece counts from the
moment its run is signed: before that no peer could verify it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol

import attrs

from dragonfly.control.messages import Validator
from dragonfly.errors import DragonflyError
from dragonfly.net.fanout import OneShot
from dragonfly.net.reply import OriginReply
from dragonfly.signatures import SigningKey
from dragonfly.store.piecestore import TaskFile
from dragonfly.supernode.questions import Access
from dragonfly.task.digest import Digest
from dragonfly.task.layout import Layout
from dragonfly.task.manifest import RUN_DIGESTS, Manifest, Run, sign_run

__all__ = ["ACCESSES_MAX", "Accesses", "Content", "ContentListener", "State"]

ACCESSES_MAX = 8
"""Ways to the origin that are kept for going on when one of them expires."""


class State(Enum):
    """What the CDN does with a task; the values are what the control messages say."""

    FETCHING = "fetching"
    READY = "ready"
    FAILED = "failed"


class ContentListener(Protocol):
    """Told of everything that changes; must not raise."""

    def content_grew(self, content: Content, runs: Sequence[bytes]) -> None:
        """Runs were signed; ``content.held`` has grown to their end if they are new."""

    def content_settled(self, content: Content) -> None:
        """The state is ``READY`` or ``FAILED`` now."""


class Accesses:
    """Admitted callers' ways to one content, newest first, each with its end. Memory only."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, Access]] = {}

    def add(self, access: Access, until: float) -> None:
        """Remember a way that the origin admitted just now."""
        self._known.pop(access.key, None)
        self._known[access.key] = (until, access)
        while len(self._known) > ACCESSES_MAX:
            del self._known[next(iter(self._known))]

    def best(self, now: float) -> Access | None:
        """The newest way that still counts."""
        self._known = {key: pair for key, pair in self._known.items() if pair[0] > now}
        return next(reversed(list(self._known.values())))[1] if self._known else None

    def drop(self, access: Access) -> None:
        """The origin no longer admits this one."""
        self._known.pop(access.key, None)

    def clear(self) -> None:
        """Forget all credentials: the fetch is over."""
        self._known.clear()


@attrs.define(eq=False, kw_only=True)
class Content:
    """One task of the CDN.

    :ivar fetch: generation of the manifest.
    :ivar public: the origin gives everybody these bytes.
    :ivar held: how many leading pieces may be given out.
    :ivar file: where they are; ``None`` until the first byte is due.
    :ivar opened: the origin's answer that this began with, whose body may still wait.
    :ivar done: fires with the state when it settles, for whoever waits for the whole.
    """

    id: bytes
    name: bytes
    url: str
    """Fit to be shown: without query and userinfo."""
    fetch: int
    manifest: Manifest
    validator: Validator
    content_type: str | None = None
    digest: Digest | None = None
    public: bool = False
    identifier: str = ""
    created: float = 0.0
    file: TaskFile | None = None
    opened: OriginReply | None = None
    state: State = State.FETCHING
    error: DragonflyError | None = None
    held: int = 0
    used: float = 0.0
    accesses: Accesses = attrs.field(factory=Accesses)
    done: OneShot[State] = attrs.field(factory=OneShot)
    _announced: int | None = None
    _listeners: list[ContentListener] = attrs.field(factory=list)
    _unsigned: list[bytes] = attrs.field(factory=list)

    # -- facts ---------------------------------------------------------------------

    @property
    def piece_size(self) -> int:
        """Bytes of every piece but the last."""
        return self.manifest.piece_size

    @property
    def length(self) -> int | None:
        """Bytes in all, ``None`` while nobody knows."""
        known = self.manifest.length
        return self._announced if known is None else known

    @property
    def layout(self) -> Layout:
        """How the bytes are cut."""
        return Layout(self.piece_size, self.length)

    @property
    def held_bytes(self) -> int:
        """How many leading bytes may be given out."""
        if self.length is None:
            return self.held * self.piece_size
        return min(self.held * self.piece_size, self.length)

    def signed_digest(self, piece: int) -> bytes | None:
        """The digest that was signed or is about to be; ``None`` if there is none yet."""
        first = self._first_unsigned
        if first <= piece < first + len(self._unsigned):
            return self._unsigned[piece - first]
        return self.manifest.digest(piece)

    # -- listeners -----------------------------------------------------------------

    def listen(self, listener: ContentListener) -> None:
        """Tell ``listener`` from now on; what was before it can see."""
        self._listeners.append(listener)

    def unlisten(self, listener: ContentListener) -> None:
        """Stop telling; one that does not listen is no error."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    @property
    def watched(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def announce_length(self, length: int) -> None:
        """The transfer told a length that was not known before; runs carry it from now on."""
        self._announced = length

    # -- growing ---------------------------------------------------------------------

    @property
    def unsigned(self) -> int:
        """Digests that wait for a signature."""
        return len(self._unsigned)

    def add_digest(self, digest: bytes) -> None:
        """One more piece is on disk; it is given out with the next run."""
        self._unsigned.append(digest)

    def sign(self, key: SigningKey, *, keep: int = 0, end: int | None = None) -> list[bytes]:
        """Sign what waits, except the last ``keep`` pieces, and give it out.

        :param end: the length, if the bytes are complete and checked: the last run then
            says so.
        :return: the new runs, to be written beside the content.
        """
        count = max(0, len(self._unsigned) - keep)
        batch, self._unsigned = self._unsigned[:count], self._unsigned[count:]
        length = self.length if end is None else end
        first = self.manifest.first_unknown()
        runs = [
            self._run(key, first + at, batch[at : at + RUN_DIGESTS], length)
            for at in range(0, len(batch), RUN_DIGESTS)
        ]
        if end is not None and not runs and not self._ended:
            runs.append(self._run(key, first, [], length))
        if count or end is not None:
            # Not otherwise: after a restart more may be signed than was verified on disk.
            self.held = max(self.held, first + count)
        if runs:
            self._tell(lambda listener: listener.content_grew(self, runs))
        return runs

    def sign_ahead(self, key: SigningKey, digests: Sequence[bytes]) -> list[bytes]:
        """Sign the whole of a content, which is about to be on disk; :meth:`hold` follows then.

        :param digests: those of all pieces, at most :data:`RUN_DIGESTS`; the length is known.
        :return: the only run.
        """
        return [self._run(key, 0, digests, self.length)]

    def merge_runs(self, key: SigningKey) -> None:
        """Sign again, in as few runs as can be, what was signed bit by bit while it came."""
        count, known = self.manifest.piece_count, self.manifest
        if count is None or not known.complete or len(known.runs) <= -(-count // RUN_DIGESTS):
            return
        for first in range(0, count, RUN_DIGESTS):
            pieces = range(first, min(count, first + RUN_DIGESTS))
            digests = [known.digest(piece) or b"" for piece in pieces]
            self._run(key, first, digests, self.length)

    def hold(self, pieces: int) -> None:
        """The first ``pieces`` pieces, signed before, are on disk for certain."""
        self.held = max(self.held, pieces)
        self._tell(lambda listener: listener.content_grew(self, ()))

    def _run(
        self, key: SigningKey, first: int, digests: Sequence[bytes], length: int | None
    ) -> bytes:
        run = Run(
            task=self.id,
            fetch=self.fetch,
            piece_size=self.piece_size,
            first=first,
            digests=tuple(digests),
            length=length,
        )
        raw = sign_run(run, key)
        self.manifest.add(raw, run)
        return raw

    @property
    def _ended(self) -> bool:
        """Whether a signed run tells the end; empty content needs one like any other."""
        return self.manifest.complete and bool(self.manifest.runs)

    @property
    def _first_unsigned(self) -> int:
        return self.manifest.first_unknown()

    # -- the end -----------------------------------------------------------------------

    def settle(self, error: DragonflyError | None = None) -> None:
        """The fetch is over: ready, or failed with ``error``."""
        self.state = State.READY if error is None else State.FAILED
        self.error = error
        self._unsigned.clear()
        self.accesses.clear()
        done, self.done = self.done, OneShot()
        done.fire(self.state)
        self._tell(lambda listener: listener.content_settled(self))

    def restart(self) -> None:
        """A failed fetch is tried again."""
        self.state = State.FETCHING
        self.error = None

    def meta(self, *, complete: bool = False) -> dict[str, Any]:
        """What is written beside the bytes; nothing in it is secret."""
        return {
            "name": self.name.hex(),
            "url": self.url,
            "identifier": self.identifier,
            "public": self.public,
            "etag": self.validator.etag,
            "last_modified": self.validator.last_modified,
            "length": self.length,
            "content_type": self.content_type,
            "digest": str(self.digest) if self.digest is not None else None,
            "complete": complete,
            "created": self.created,
        }

    def _tell(self, what: Callable[[ContentListener], None]) -> None:
        for listener in tuple(self._listeners):
            what(listener)
