"""Without a swarm: one content read from the origin alone, for this home's user only.

It is kept in the store under an id of this home, so that an interrupted download goes on
where it was, if the origin tells versions apart: by Range, with the strong validator of
the version that is here. Nobody signed for these bytes, so they are never given to others.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from dragonfly.control.messages import Validator
from dragonfly.errors import DragonflyError, OriginChanged, OriginError, StoreError
from dragonfly.net.originbody import OriginBody
from dragonfly.net.reply import strong
from dragonfly.net.tasks import Task
from dragonfly.peer.content.content import Content
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.origin.client import Client
from dragonfly.peer.origin.originstream import OriginSource, OriginStream
from dragonfly.peer.swarm.pace import Pace
from dragonfly.signatures import KeyRing
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.manifest import Manifest

__all__ = ["FIRST_PAUSE_S", "TRIES", "Solo"]

TRIES = 4
"""Attempts in a row that bring not a piece."""

FIRST_PAUSE_S = 0.5
"""Pauses before them, doubled each time: 4 to 8 s in all."""


class Solo:
    """One content on its way from the origin to this host; a ``Joinable``.

    :param validator: the version that it is.
    :param unused: called when the last client has left.
    """

    _log = Logger()

    def __init__(
        self,
        equipment: Equipment,
        file: TaskFile,
        source: OriginSource,
        validator: Validator,
        unused: Callable[[Solo], None],
    ) -> None:
        self.clients: list[Client] = []
        self._equipment = equipment
        self._validator = validator
        self._unused = unused
        self._pace = Pace(equipment.total, equipment.reactor)
        manifest = Manifest(file.task, file.fetch, file.piece_size, file.length)
        self.content = Content(file, manifest, KeyRing(), equipment.disk, equipment.reactor)
        self.content.adopt(file.recorded)
        self._stream = OriginStream(
            self.content, source, equipment.disk, equipment.reactor, flows=self._pace.flows
        )
        self._reading: Task | None = None

    @property
    def task(self) -> bytes:
        """The id under which it is kept."""
        return self.content.task

    @property
    def joinable(self) -> bool:
        """Whether a caller who comes now may share it: what is over is to be asked for anew."""
        return self._reading is not None and self._reading.running and self.content.error is None

    def start(self, body: OriginBody) -> None:
        """Read what ``body`` brings, and what is missing then."""
        self._reading = self._equipment.tasks.spawn(self._read(body), "reading the origin")

    def join(self, client: Client) -> None:
        """One more client wants this content."""
        self.clients.append(client)
        self.content.watchers.append(client)
        self._limits_changed()

    def leave(self, client: Client) -> None:
        """A client wants it no more; the last one ends the reading."""
        if client not in self.clients:
            return
        self.clients.remove(client)
        self.content.watchers.remove(client)
        self._limits_changed()
        if not self.clients:
            self.stop()
            self._unused(self)

    def want_in_order(
        self, reader: Hashable, position: int | None, ahead: int, end: int | None
    ) -> None:
        """The origin is read in order anyway."""

    def due_s(self, begin: int, end: int) -> float | None:  # noqa: ARG002
        """It is on its way from the origin already."""
        return 0.0

    def stop(self) -> None:
        """Read no more; what is on disk stays."""
        if self._reading is not None:
            self._reading.cancel()
        self.content.intake.close()

    def _limits_changed(self) -> None:
        self._pace.limit(client.local_limit for client in self.clients)

    async def _read(self, body: OriginBody) -> None:
        """Read to the end, going on where the origin broke off.

        Over only when the disk has it: who asks anew before that would stop what others wait for.
        """
        try:
            await self._read_all(body)
            first = await self._first_missing()
            if not self.content.finished and self.content.error is None:
                raise StoreError(f"{self.content.file.path}: piece {first} was not stored")
        except CancelledError:
            raise
        except DragonflyError as error:
            self._log.info("reading the origin failed: {error}", error=str(error))
            self.content.fail(error)
        except Exception as error:
            self.content.fail(error)
            raise

    async def _read_all(self, body: OriginBody) -> None:
        error, barren = await self._attempt(self._stream.take(body)), 0
        while error is not None:
            before = await self._first_missing()
            self._check_worth(error, before)
            await deferLater(self._equipment.reactor, self._pause_s(barren))
            error = await self._attempt(self._stream.rest(before, self._validator))
            barren = 0 if await self._first_missing() > before else barren + 1
            if error is not None and barren >= TRIES:
                raise error

    async def _attempt(self, reading: Coroutine[Any, Any, None]) -> OriginError | None:
        try:
            await reading
        except OriginError as error:
            return error
        return None

    async def _first_missing(self) -> int:
        """Where to go on, once everything that came is on the disk."""
        await self._equipment.disk.run(self.task, int)
        return self.content.first_missing()

    def _check_worth(self, error: OriginError, first: int) -> None:
        """Go on only where another attempt can bring the rest of this very version."""
        if self.content.error is not None:
            raise self.content.error
        if not error.retryable or isinstance(error, OriginChanged):
            raise error
        if first and strong(self._validator.etag) is None:
            raise error

    def _pause_s(self, barren: int) -> float:
        return float(self._equipment.rng.uniform(0.5, 1.0) * FIRST_PAUSE_S * 2**barren)
