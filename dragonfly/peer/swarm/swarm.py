"""The registry of this peer's tasks: which are running, who shares them, when they end.

One transfer for each task, shared by all downloads that want it. It goes on serving what
it has until nobody has used it for the expire time; one that nobody waits for and that is
not finished ends soon, and what it has stays on disk for the next who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.logger import Logger

from dragonfly.control.messages import (
    DirectAnswer,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.errors import DragonflyError, NoSources, OriginChanged
from dragonfly.net.deadline import deadline
from dragonfly.peer.connections.protocol import PeerProtocol
from dragonfly.peer.download.download import Download
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.shelf.shelf import Shelf
from dragonfly.peer.shelf.storage import Whole
from dragonfly.peer.swarm.registrar import Registrar
from dragonfly.peer.swarm.solo import Solo
from dragonfly.peer.swarm.solodesk import SoloDesk, SoloRequest
from dragonfly.peer.swarm.transfer import Transfer
from dragonfly.peer.tracker.supernodes import Supernode
from dragonfly.store.piecestore import TaskFile
from dragonfly.task.identity import Name

__all__ = ["GOODBYE_S", "LINGER_S", "PART_LINGER_S", "Swarm"]

FRESH_S = 30.0
"""Credentials count as valid for so long: tokens of registries live for 60 s at least."""

LINGER_S = 5.0
"""An unfinished transfer without clients lives so long: dfget may be back in a moment."""

PART_LINGER_S = 60.0
"""One of which parts were read: a container that starts reads the next part of its layer within
seconds, and each new registration would cost a check at the registry and new connections. An
idle member costs some messages a minute."""

TRANSFERS_MAX = 4096
"""Each costs some 26 KiB, however small its content: package managers fetch such by the thousand,
and what a host shares for an hour must not become its memory."""

GOODBYE_S = 2.0
"""So long supernodes may take to hear that we leave; then they find out by themselves."""


class Swarm:
    """All tasks of this peer; implements ``Ways`` for downloads.

    :param shelf: what is in the store.
    :param most: beyond so many, one is shared no more for each that comes.
    """

    _log = Logger()

    def __init__(self, equipment: Equipment, shelf: Shelf, *, most: int = TRANSFERS_MAX) -> None:
        self.shelf = shelf
        self._most = most
        self.solos = SoloDesk(equipment, shelf)
        self._equipment = equipment
        self._clock = equipment.reactor
        self._transfers: dict[bytes, Transfer] = {}
        self._turns: WeakValueDictionary[bytes, DeferredLock] = WeakValueDictionary()
        self._registrar = Registrar(equipment, shelf, self._transfers)
        self._stopped = False

    # -- facts --------------------------------------------------------------------------

    def get(self, task: bytes) -> Transfer | None:
        """The transfer that takes part in ``task``."""
        return self._transfers.get(task)

    @property
    def transfers(self) -> list[Transfer]:
        """All that run."""
        return list(self._transfers.values())

    def running(self, name: Name) -> Transfer | None:
        """The transfer of what was used last under ``name``, if others may still join it."""
        shelved = self.shelf.named(name.id)
        transfer = self._transfers.get(shelved.task) if shelved is not None else None
        return transfer if transfer is not None and _fresh(transfer) else None

    def served(self, peer: PeerProtocol, file: TaskFile, length: int) -> None:  # noqa: ARG002
        """The uploader gave ``length`` bytes of ``file`` to a neighbour."""
        transfer = self._transfers.get(file.task)
        if transfer is not None:
            transfer.served(length)

    # -- Ways -----------------------------------------------------------------------------

    async def at_hand(self, download: Download, name: Name) -> Transfer | None:
        """Have ``download`` join the transfer that runs under ``name``, without registering.

        For names that hold a digest, and callers who need not be admitted. What still lacks
        bytes is registered for now and then all the same, so that the supernode has
        credentials which are valid; behind the back of who wants a part, which may be in the
        swarm already.
        """
        await self._ready()
        transfer = self.running(name)
        if transfer is None:
            return None
        if self._needs_registering(transfer):
            if download.whole:
                return None
            self._equipment.tasks.spawn(self._register_anew(download, name), "registering anew")
        transfer.join(download)
        return transfer

    async def _register_anew(self, download: Download, name: Name) -> None:
        """Register for what is in work; a version that was replaced is ended."""
        with suppress(DragonflyError):
            _, answer = await self._registrar.register(download, name)
            if isinstance(answer, RegisterAnswer):
                async with self._turn(answer.task):
                    self._current(answer, self._registrar.request(download, name))

    def _needs_registering(self, transfer: Transfer) -> bool:
        age_s = self._clock.seconds() - transfer.membership.registered_at
        needless = transfer.content.finished or transfer.supernode_lost()
        return not needless and age_s >= FRESH_S

    async def through_swarm(self, download: Download, name: Name) -> Transfer | str:
        """Register, and have ``download`` join the transfer of the task that comes back.

        :return: a text instead: the content is not to be shared, and why.
        :raises TrackerUnreachable: no supernode answers; other errors are theirs.
        :raises StoreError: there is no room for the content.
        """
        await self._ready()
        supernode, answer = await self._registrar.register(download, name)
        if isinstance(answer, DirectAnswer):
            return answer.reason
        request = self._registrar.request(download, name)
        async with self._turn(answer.task):
            transfer = self._current(answer, request)
            if transfer is None:
                transfer = await self._open(supernode, answer, request, name, download)
            transfer.join(download)
            return transfer

    async def alone(self, download: Download, name: Name, *, private: bool) -> Solo:
        """Have ``download`` join a content that is read from the origin for this home only.

        :raises OriginError: the origin does not give it.
        :raises StoreError: there is no room for it.
        """
        await self._ready()
        source = download.source()
        wanted = SoloRequest(source=source, trust=download.request.terms, private=private)
        return await self.solos.join(download, name, wanted)

    async def _ready(self) -> None:
        await self.shelf.ready()
        if self._stopped:
            raise NoSources("this peer is stopping")

    # -- transfers -----------------------------------------------------------------------

    def _turn(self, task: bytes) -> DeferredLock:
        """One at a time opens or ends a task."""
        return self._turns.setdefault(task, DeferredLock())

    def _current(self, answer: RegisterAnswer, request: RegisterRequest) -> Transfer | None:
        """The transfer that runs already, if it is of the version in ``answer``."""
        transfer = self._transfers.get(answer.task)
        if transfer is None:
            return None
        if _fresh(transfer) and transfer.reports.same(answer):
            transfer.reports.registered(answer, request)
            return transfer
        error = OriginChanged("the supernode has fetched it anew")
        self._end(transfer, error, keep=not transfer.content.spoilt)
        return None

    async def _open(
        self,
        supernode: Supernode,
        answer: RegisterAnswer,
        request: RegisterRequest,
        name: Name,
        download: Download,
    ) -> Transfer:
        whole = Whole(answer.content, tuple(answer.runs)) if answer.content else None
        file = await self.shelf.take(
            answer.task,
            answer.fetch,
            answer.piece_size,
            answer.length,
            {"name": name.id.hex()},
            whole=whole,
            reserve=download.whole,
        )
        self._make_place()
        out = download.request.client_queue or max(1, answer.down_limit)
        transfer = Transfer(self._equipment, file, supernode, answer, request, out=out)
        self._transfers[answer.task] = transfer
        transfer.start()
        return transfer

    def _end(
        self, transfer: Transfer, error: Exception | None = None, *, keep: bool = True
    ) -> None:
        """Serve it no more. With an ``error`` whoever still uses it is told."""
        content = transfer.content
        self._transfers.pop(content.task, None)
        if error is not None:
            content.fail(error)
            for client in list(transfer.clients):
                client.content_failed(error)
        transfer.stop()
        self.shelf.give_back(content.file, content.on_disk, keep=keep)

    # -- time and the end ------------------------------------------------------------------

    def expire(self, idle_s: float, *, share_s: float = float("inf")) -> None:
        """End what nobody waits for; delete what has served nobody for ``idle_s``.

        :param share_s: what has served nobody for so long is only shared no more.
        """
        now = self._clock.seconds()
        for transfer in self.transfers:
            if transfer.clients:
                continue
            idle = now - transfer.last_used
            if not transfer.content.finished or transfer.content.error is not None:
                if idle >= (PART_LINGER_S if transfer.in_parts else LINGER_S):
                    self._leave(transfer, keep=True)
            elif not _fresh(transfer) or idle >= min(idle_s, share_s):
                self._leave(transfer, keep=_fresh(transfer) and share_s < idle_s)
        self.shelf.expire(idle_s)

    def _make_place(self) -> None:
        """Share what was not used for longest no more; it stays on the disk."""
        if len(self._transfers) < self._most:
            return
        idle = (each for each in self.transfers if each.content.finished and not each.clients)
        oldest = min(idle, key=lambda each: each.last_used, default=None)
        if oldest is not None:
            self._leave(oldest, keep=_fresh(oldest))

    def make_room(self, wanted: int, *, idle_s: float) -> int:
        """Delete what nobody uses until ``wanted`` bytes are gone; give how many are.

        What is shared comes last, the longest unused first; so does what was read in parts.

        :param idle_s: what is shared leaves only if it has served nobody for so long.
        """
        freed = self.shelf.make_room(wanted)
        now = self._clock.seconds()
        for transfer in sorted(self.transfers, key=lambda each: each.last_used):
            if freed >= wanted:
                break
            idle = not transfer.clients and now - transfer.last_used >= idle_s
            if idle and (transfer.content.finished or transfer.in_parts):
                freed += transfer.content.layout.length or 0
                self._leave(transfer, keep=False)
        return freed

    def _leave(self, transfer: Transfer, *, keep: bool) -> None:
        self._end(transfer, keep=keep)
        self._log.info("task {task} ends: nobody uses it", task=transfer.name)
        self._equipment.tasks.spawn(self._goodbye(transfer), "leaving a task")

    async def _goodbye(self, transfer: Transfer) -> None:
        with suppress(DragonflyError):
            await transfer.goodbye()

    async def stop(self) -> None:
        """End everything; tell the supernodes, for at most :data:`GOODBYE_S`."""
        self._stopped = True
        self.solos.stop()
        reachable = {}
        for transfer in self.transfers:
            if transfer.member and not transfer.supernode_lost():
                reachable[transfer.supernode.node] = transfer.supernode
            self._end(transfer)
        await self._leave_all(reachable.values())

    async def _leave_all(self, supernodes: Iterable[Supernode]) -> None:
        message = LeaveRequest(key=self._equipment.key.public)
        calls = [Deferred.fromCoroutine(each.leave(message)) for each in supernodes]
        await DeferredList(
            [deadline(call, GOODBYE_S, self._clock) for call in calls], consumeErrors=True
        )


def _fresh(transfer: Transfer) -> bool:
    """Whether others may still join it."""
    content = transfer.content
    return content.error is None and not content.spoilt and not transfer.outdated
