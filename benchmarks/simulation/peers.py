"""A simulated peer: the real transfer, on a simulated network and disk."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dragonfly.config import Node
from dragonfly.control.messages import (
    AnnounceAnswer,
    Announced,
    AnnounceRequest,
    DirectAnswer,
    LeaveRequest,
    RegisterAnswer,
    RegisterRequest,
)
from dragonfly.net.tasks import TaskSet
from dragonfly.net.throttle import Throttle
from dragonfly.peer.connections.links import Links
from dragonfly.peer.equipment import Equipment
from dragonfly.peer.swarm.transfer import Transfer
from dragonfly.peer.uploads.uploader import Uploader
from dragonfly.sched.slots import SLOTS, UploadSlots
from dragonfly.supernode.tracker import Caller

from .clock import SimClock
from .hosts import Host, SimDisk, SimFile
from .origin import URL
from .supernode import SEED_ADDRESS, SimSupernode
from .wire import SimPeer

__all__ = ["PORT", "SimTransfer", "SwarmPeer"]

PORT = 65002


class _Key:
    """An identity; nothing is signed with it here."""

    def __init__(self, public: bytes) -> None:
        self.public = public


class _Line:
    """The way to the supernode for one peer, as
    :class:`~dragonfly.peer.tracker.supernodes.Supernode`."""

    node = Node("supernode", 8002)

    def __init__(self, supernode: SimSupernode, caller: Caller) -> None:
        self._supernode = supernode
        self._caller = caller

    async def register(self, message: RegisterRequest) -> RegisterAnswer | DirectAnswer:
        """Register."""
        return await self._supernode.register(message, self._caller)

    async def announce(self, message: AnnounceRequest) -> AnnounceAnswer:
        """Announce."""
        return await self._supernode.announce(message, self._caller)

    async def leave(self, message: LeaveRequest) -> None:
        """Leave."""
        await self._supernode.leave(message)


class SimTransfer(Transfer):
    """The real one; only its connections are simulated."""

    on_finished: Callable[[], object]

    def _make_protocol(self, links: Links) -> Any:
        return SimPeer(self._clock, links)  # type: ignore[arg-type]

    def content_finished(self) -> None:
        """All is here."""
        super().content_finished()
        self.on_finished()


class _Client:
    """Wants everything, and asks for no more than that."""

    whole = True
    local_limit = None

    def content_layout(self) -> None:
        """It counts bytes only."""

    def content_ranges(self, ranges: list[tuple[int, int]], kind: str) -> None:
        """The transfer counts them."""

    def content_finished(self) -> None:
        """The transfer tells."""

    def content_failed(self, error: Exception) -> None:
        """Then it is missing in the report."""

    def impatient(self, expected_s: float | None, rate: float, now: float) -> bool:
        """It has no limits."""
        return False

    def fell_back(self, how: str) -> None:
        """It cannot."""

    def origin_source(self) -> None:
        """There is no origin for peers."""


class SwarmPeer:
    """One peer.

    :param dial: connects an end of ours to an address.
    :param lies: what it sends is wrong.
    :ivar done_at: when it had everything; ``None`` before.
    """

    def __init__(
        self,
        number: int,
        host: Host,
        clock: SimClock,
        supernode: SimSupernode,
        *,
        rng: random.Random,
        disk: SimDisk,
        dial: Callable[[SwarmPeer, str, SimPeer], Deferred[object]],
        on_done: Callable[[SwarmPeer], object],
        lies: bool = False,
        slots: int = SLOTS,
    ) -> None:
        self.key = number.to_bytes(4, "big") + rng.randbytes(28)
        self.host = host
        self.born = 0.0
        self.done_at: float | None = None
        self.lies = lies
        self.transfer: SimTransfer | None = None
        self._clock = clock
        self._on_done = on_done
        self._line = _Line(
            supernode, Caller(address=host.address, reached=SEED_ADDRESS, secure=True)
        )
        self._tasks = TaskSet(Logger())
        says = Announced(port=PORT, hostname=f"host{number}", version="1")
        uploader = Uploader(UploadSlots(slots), clock, disk, on_served=self._served)  # type: ignore[arg-type]
        self._equipment = Equipment(
            reactor=clock,
            rng=rng,
            key=_Key(self.key),  # type: ignore[arg-type]
            disk=disk,  # type: ignore[arg-type]
            store=None,  # type: ignore[arg-type]
            uploader=uploader,
            supernodes=None,  # type: ignore[arg-type]
            origins=None,  # type: ignore[arg-type]
            tasks=self._tasks,
            dial=lambda address, _, peer: dial(self, address, peer),  # type: ignore[arg-type]
            announced=lambda: says,
            total=Throttle(self._clock),
        )
        self._request = RegisterRequest(url=URL, key=self.key, peer=says, callsystem="sim")

    @property
    def held_bytes(self) -> int:
        """What it has, verified."""
        if self.transfer is None:
            return 0
        content = self.transfer.content
        return len(content.have) * content.file.piece_size

    def start(self) -> None:
        """Register, and begin when the answer is there."""
        self.born = self._clock.now
        self._tasks.spawn(self._begin(), "a simulated peer")

    def die(self) -> None:
        """End without a word: the kernel resets the connections."""
        self.host.dead = True
        if self.transfer is not None:
            for link in self.transfer.links:
                link.peer.abort()
            self.transfer.stop()
        self._tasks.cancel_all()

    async def _begin(self) -> None:
        answer = await self._line.register(self._request)
        if not isinstance(answer, RegisterAnswer):
            raise TypeError(f"the tracker says {answer}")
        piece = bytes([self.lies]) * answer.piece_size
        file: Any = SimFile(answer.task, answer.fetch, piece)
        line: Any = self._line
        self.transfer = SimTransfer(
            self._equipment, file, line, answer, self._request, out=answer.down_limit
        )
        self.transfer.on_finished = self._finished
        self.transfer.join(_Client())
        self.transfer.start()

    def _served(self, _peer: object, _file: object, length: int) -> None:
        if self.transfer is not None:
            self.transfer.served(length)

    def _finished(self) -> None:
        self.done_at = self._clock.now
        self._on_done(self)
